"""The group: mathematics where the library has traps."""

import pytest

from ledger.commitments import group
from ledger.errors import CommitmentError

BASE = bytes.fromhex("58" + "66" * 31)
SMALL_ORDER = [
    # All points of order 1, 2, 4 and 8 in their canonical forms.
    group.IDENTITY,
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes(32),
    bytes(31) + b"\x80",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


def test_bases_are_those_published() -> None:
    assert group.multiply_base(1) == BASE
    assert group.SECOND_BASE.hex() == (
        "0c1f54d8d69c408e085f471f674d9d6876a798a63a2d4f6ffd0533f5087c88c8"
    )
    assert group.is_point(group.SECOND_BASE)


def test_zero_and_identity_are_as_in_mathematics() -> None:
    assert group.multiply_base(0) == group.IDENTITY
    assert group.multiply(0, BASE) == group.IDENTITY
    assert group.multiply(5, group.IDENTITY) == group.IDENTITY
    assert group.add_all([]) == group.IDENTITY
    assert group.add(BASE, group.IDENTITY) == BASE
    inverse = group.multiply_base(group.ORDER - 1)
    assert group.add(BASE, inverse) == group.IDENTITY
    assert group.add_all([BASE, inverse, BASE]) == BASE


def test_multiples_are_sums() -> None:
    five = group.add_all([BASE] * 5)
    assert five == group.multiply_base(5) == group.multiply(5, BASE)
    assert group.multiply(3, five) == group.multiply_base(15)


@pytest.mark.parametrize("scalar", [-1, group.ORDER, group.ORDER + 1, 2**256])
def test_scalar_out_of_range_is_refused(scalar: int) -> None:
    for refused in (
        lambda: group.encode_scalar(scalar),
        lambda: group.multiply(scalar, BASE),
        lambda: group.multiply_base(scalar),
    ):
        with pytest.raises(CommitmentError):
            refused()


def test_scalars_have_one_form() -> None:
    largest = group.ORDER - 1
    assert group.decode_scalar(group.encode_scalar(largest)) == largest
    for data in (group.ORDER.to_bytes(32, "little"), b"\xff" * 32, b"", bytes(31)):
        with pytest.raises(CommitmentError):
            group.decode_scalar(data)


def test_reduction_takes_64_bytes() -> None:
    assert group.reduce_scalar(bytes(64)) == 0
    assert group.reduce_scalar(group.ORDER.to_bytes(64, "little")) == 0
    for data in (bytes(32), bytes(65)):
        with pytest.raises(CommitmentError):
            group.reduce_scalar(data)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_points_of_small_order_are_none(point: bytes) -> None:
    assert not group.is_point(point)
    # Hidden in a true point, it would vanish in a multiple of eight.
    if point != group.IDENTITY:
        assert not group.is_point(group.add(BASE, point))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BASE[:31],
        BASE + b"\x00",
        b"\xff" * 32,
        b"\x02" + bytes(31),
        # The identity with y + p, a second spelling.
        bytes.fromhex(
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        ),
    ],
)
def test_other_bytes_are_no_point(data: bytes) -> None:
    assert not group.is_point(data)
