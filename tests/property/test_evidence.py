"""Laws of evidence: what is altered is refused, and nothing makes the judge fall."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enclave_sim.attestation import (
    NO_HOST_DATA,
    NOT_CHECKED,
    SIMULATED_ROOT,
    SNP_FORMAT,
    AppraisalPolicy,
    Attestation,
    Challenge,
    EnclaveKeys,
    Evidence,
    Expected,
    Tcb,
    appraise,
    parse_attestation,
    parse_challenge,
    parse_evidence,
)
from enclave_sim.attestation.certificates import parse_certificate, read_endorsement
from enclave_sim.attestation.snp import parse_report
from enclave_sim.attestation.tcb import parse_tcb
from enclave_sim.attestation.vendor import (
    SIMULATED_TCB,
    DevelopmentVendor,
    simulated_chip_id,
)
from enclave_sim.channel import PUBLIC_KEY_BYTES, ChannelKey, seal
from enclave_sim.errors import AttestationError, ChannelError, SealedResultError
from enclave_sim.sealed_result import parse_sealed_result

NOW_MS = 1_790_000_000_000
MEASUREMENT = bytes(range(48))
REPORT_DATA = bytes(range(64))

POLICY = AppraisalPolicy(
    format=SNP_FORMAT,
    roots=frozenset({SIMULATED_ROOT}),
    accept_simulated=True,
    accept_vlek=True,
    accept_debug=True,
    accept_migration=True,
    accept_provisional=True,
    vmpl=0,
    measurements=frozenset({MEASUREMENT}),
    chip_ids=NOT_CHECKED,
    minimum_tcb=Tcb(0, 0, 0, 0),
)
EXPECTED = Expected(report_data=REPORT_DATA, host_data=NO_HOST_DATA)

levels = st.integers(0, 255)
names = st.text(
    st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=200
)
public_keys = st.binary(min_size=PUBLIC_KEY_BYTES, max_size=PUBLIC_KEY_BYTES)
challenges = st.builds(
    Challenge,
    nonce=st.binary(min_size=32, max_size=32),
    job_id=names,
    consumer=names,
    audience=names,
    recipient=public_keys,
)
enclave_keys = st.builds(
    EnclaveKeys, channel=public_keys, result=st.binary(min_size=32, max_size=32)
)
any_evidence = st.builds(
    Evidence,
    format=st.sampled_from([SNP_FORMAT, "nitro", ""]),
    report=st.binary(max_size=1300),
    certificates=st.lists(st.binary(max_size=200), max_size=4).map(tuple),
)


@pytest.fixture(scope="module")
def evidence(pytestconfig: pytest.Config) -> Evidence:
    cache = Path(pytestconfig.cache.mkdir("development-vendor"))
    chip = DevelopmentVendor(cache).issue_chip(simulated_chip_id("test chip"))
    return chip.report(measurement=MEASUREMENT, report_data=REPORT_DATA)


def is_accepted(evidence: Evidence, **changes: Any) -> bool:
    expected = replace(EXPECTED, **changes)
    verdict = appraise(evidence, policy=POLICY, expected=expected, now_ms=NOW_MS)
    return verdict.is_accepted


def altered(data: bytes, index: int, mask: int) -> bytes:
    index %= len(data)
    return data[:index] + bytes((data[index] ^ mask,)) + data[index + 1 :]


def spliced(data: bytes, start: int, size: int, patch: bytes) -> bytes:
    start %= len(data)
    return data[:start] + patch + data[start + size :]


@given(index=st.integers(0, 1183), mask=st.integers(1, 255))
def test_report_with_any_byte_altered_is_refused(
    evidence: Evidence, index: int, mask: int
) -> None:
    """Under the most lenient policy: nothing but the binding holds it back."""
    assert is_accepted(evidence)
    assert not is_accepted(
        replace(evidence, report=altered(evidence.report, index, mask))
    )


@given(place=st.integers(0, 2), index=st.integers(0, 4000), mask=st.integers(1, 255))
def test_certificate_with_any_byte_altered_is_refused(
    evidence: Evidence, place: int, index: int, mask: int
) -> None:
    chain = list(evidence.certificates)
    chain[place] = altered(chain[place], index, mask)
    assert not is_accepted(replace(evidence, certificates=tuple(chain)))


@given(index=st.integers(0, 63), mask=st.integers(1, 255))
def test_other_expected_values_are_refused(
    evidence: Evidence, index: int, mask: int
) -> None:
    assert not is_accepted(evidence, report_data=altered(REPORT_DATA, index, mask))
    assert not is_accepted(evidence, host_data=altered(NO_HOST_DATA, index, mask))
    other = frozenset({altered(MEASUREMENT, index, mask)})
    policy = replace(POLICY, measurements=other)
    verdict = appraise(evidence, policy=policy, expected=EXPECTED, now_ms=NOW_MS)
    assert not verdict.is_accepted


@given(
    place=st.integers(0, 2),
    start=st.integers(0, 4000),
    size=st.integers(0, 40),
    patch=st.binary(max_size=40),
)
def test_spliced_certificate_never_passes(
    evidence: Evidence, place: int, start: int, size: int, patch: bytes
) -> None:
    chain = list(evidence.certificates)
    chain[place] = spliced(chain[place], start, size, patch)
    is_same = tuple(chain) == evidence.certificates
    assert is_accepted(replace(evidence, certificates=tuple(chain))) == is_same


@given(any_evidence)
def test_judge_never_falls_and_never_accepts_garbage(evidence: Evidence) -> None:
    assert not is_accepted(evidence)


@given(st.binary(max_size=3000))
@example(b"")
def test_parsers_raise_only_their_error(data: bytes) -> None:
    with pytest.raises(AttestationError):
        parse_report(data)
    with pytest.raises(AttestationError):
        parse_certificate(data)
    with pytest.raises(AttestationError):
        parse_evidence(data)
    with pytest.raises(AttestationError):
        parse_challenge(data)
    with pytest.raises(AttestationError):
        parse_attestation(data)


@given(st.binary(min_size=1184, max_size=1184), st.integers(2, 5))
def test_report_of_right_size_parses_or_is_refused(data: bytes, version: int) -> None:
    data = version.to_bytes(4, "little") + data[4:]
    try:
        assert parse_report(data).data == data
    except AttestationError:
        return


@given(start=st.integers(0, 4000), size=st.integers(0, 8), patch=st.binary(max_size=8))
def test_near_certificate_parses_or_is_refused(
    evidence: Evidence, start: int, size: int, patch: bytes
) -> None:
    leaf = spliced(evidence.certificates[0], start, size, patch)
    try:
        read_endorsement(parse_certificate(leaf))
    except AttestationError:
        return


@given(start=st.integers(0), size=st.integers(0, 8), patch=st.binary(max_size=8))
def test_near_attestation_parses_or_is_refused(
    evidence: Evidence, start: int, size: int, patch: bytes
) -> None:
    keys = EnclaveKeys(channel=bytes(PUBLIC_KEY_BYTES), result=bytes(32))
    data = Attestation(evidence, keys).encode()
    try:
        parse_attestation(spliced(data, start, size, patch))
    except AttestationError:
        return


@given(any_evidence, enclave_keys)
def test_attestation_survives_its_journey(
    evidence: Evidence, keys: EnclaveKeys
) -> None:
    assert parse_evidence(evidence.encode()) == evidence
    attestation = Attestation(evidence, keys)
    assert parse_attestation(attestation.encode()) == attestation


@given(challenges)
def test_challenge_survives_its_journey(challenge: Challenge) -> None:
    assert parse_challenge(challenge.encode()) == challenge


@given(levels, levels, levels, levels, st.none() | levels)
def test_levels_survive_their_journey(
    bootloader: int, tee: int, snp: int, microcode: int, fmc: int | None
) -> None:
    tcb = Tcb(bootloader, tee, snp, microcode, fmc)
    assert parse_tcb(tcb.encode(), is_turin=fmc is not None) == tcb
    assert tcb.reaches(tcb)
    assert tcb.reaches(SIMULATED_TCB) == (
        bootloader >= 4 and snp >= 24 and microcode >= 219
    )


@given(st.binary(max_size=3000), st.binary(max_size=400))
def test_result_parser_raises_only_its_error(data: bytes, claim: bytes) -> None:
    framed = len(claim).to_bytes(4, "big") + claim + data
    for candidate in (data, framed):
        with pytest.raises(SealedResultError):
            parse_sealed_result(candidate)


@given(st.binary(max_size=3000), st.binary(max_size=100))
def test_sealed_garbage_is_refused(data: bytes, info: bytes) -> None:
    key = ChannelKey(bytes(96))
    with pytest.raises(ChannelError):
        key.open(data, info=info)


@given(st.binary(max_size=3000), st.binary(max_size=100))
def test_sealed_message_survives_its_journey(plaintext: bytes, info: bytes) -> None:
    key = ChannelKey(bytes(96))
    sealed = seal(key.public, plaintext, info=info)
    assert key.open(sealed, info=info) == plaintext
