"""The numbers of the profile are SEAL's own, and its bounds hold."""

import pytest

from enclave_sim.errors import ProfileError
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192, find_profile
from enclave_sim.homomorphic.seal import open_context, sealapi


def test_profile_is_found_by_name() -> None:
    assert find_profile("ckks-linear-8192-v1") is CKKS_LINEAR_8192


@pytest.mark.parametrize("name", ["", "ckks-linear-8192-v2", "x" * 10_000])
def test_unknown_profile_is_refused(name: str) -> None:
    with pytest.raises(ProfileError):
        find_profile(name)


def test_moduli_are_those_seal_creates() -> None:
    created = sealapi.CoeffModulus.Create(8192, [60, 40, 60])
    assert tuple(item.value() for item in created) == CKKS_LINEAR_8192.moduli


def test_context_has_128_bit_security() -> None:
    context = open_context(CKKS_LINEAR_8192)
    qualifiers = context.first_context_data().qualifiers()
    assert qualifiers.sec_level == sealapi.SEC_LEVEL_TYPE.TC128


def test_scale_is_that_of_the_rescaling_prime() -> None:
    assert abs(CKKS_LINEAR_8192.moduli[1] / CKKS_LINEAR_8192.scale - 1) < 1e-6


def test_scores_leave_room_below_the_data_prime() -> None:
    profile = CKKS_LINEAR_8192
    assert 4 * profile.score_max * profile.result_scale < profile.moduli[0]


@pytest.mark.parametrize(
    ("rows", "blocks"), [(1, 1), (4072, 1), (4073, 2), (130_304, 32)]
)
def test_rows_fill_blocks(rows: int, blocks: int) -> None:
    assert CKKS_LINEAR_8192.block_count(rows) == blocks


@pytest.mark.parametrize("rows", [-1, 0, 130_305, 2**70])
def test_rows_out_of_bounds_are_refused(rows: int) -> None:
    with pytest.raises(ProfileError):
        CKKS_LINEAR_8192.block_count(rows)
