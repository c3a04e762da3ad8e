"""The prime-order group of Ed25519: points, scalars, and what can go wrong with them.

The only module that opens the library's group operations, because each has a trap:
it refuses the scalar zero and the identity, reduces scalars that are too large, and
adds points of small order. Here zero and the identity work as they do in mathematics,
scalars have one form, and `is_point` says which bytes may come in from outside.

Source: RFC 8032, section 5.1; libsodium's documentation of its Ed25519 group.
"""

import hashlib
from collections.abc import Iterable

import nacl.bindings

from ledger.errors import CommitmentError

ORDER = 2**252 + 27742317777372353535851937790883648493
"""How many points the group has, a prime."""
POINT_BYTES = 32
SCALAR_BYTES = 32
IDENTITY = b"\x01" + bytes(31)
"""What changes nothing when it is added."""
SECOND_BASE_LABEL = b"ledger/pedersen/H/v1"


def _second_base() -> bytes:
    digest = hashlib.sha256(SECOND_BASE_LABEL).digest()
    point: bytes = nacl.bindings.crypto_core_ed25519_from_uniform(digest)
    return point


SECOND_BASE = _second_base()
"""A point of which nobody knows how many times the first base it is."""


def is_point(data: bytes) -> bool:
    """Whether bytes from outside are a point of this group other than the identity.

    Canonical, on the curve, and without a part of small order, which could vanish
    when it is multiplied and so hide in a sum.
    """
    if len(data) != POINT_BYTES:
        return False
    return bool(nacl.bindings.crypto_core_ed25519_is_valid_point(data))


def add(left: bytes, right: bytes) -> bytes:
    """Add two points.

    Args:
        left: Checked by `is_point`, or computed here; so for all functions below.
        right: Likewise.
    """
    point: bytes = nacl.bindings.crypto_core_ed25519_add(left, right)
    return point


def add_all(points: Iterable[bytes]) -> bytes:
    """The sum of points; the identity if there are none."""
    total = IDENTITY
    for point in points:
        total = add(total, point) if total != IDENTITY else point
    return total


def multiply(scalar: int, point: bytes) -> bytes:
    """A point added to itself `scalar` times.

    Args:
        scalar: From 0 to below `ORDER`.
        point: May be the identity.

    Raises:
        CommitmentError: The scalar is out of range.
    """
    data = encode_scalar(scalar)
    if scalar == 0 or point == IDENTITY:
        return IDENTITY
    product: bytes = nacl.bindings.crypto_scalarmult_ed25519_noclamp(data, point)
    return product


def multiply_base(scalar: int) -> bytes:
    """As `multiply`, of the first base, which is about four times as fast."""
    data = encode_scalar(scalar)
    if scalar == 0:
        return IDENTITY
    product: bytes = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp(data)
    return product


def encode_scalar(scalar: int) -> bytes:
    """A scalar as 32 bytes, the lowest first.

    Raises:
        CommitmentError: It is negative, or not below `ORDER`.
    """
    if not 0 <= scalar < ORDER:
        raise CommitmentError("A scalar is at least 0 and below the group's order.")
    return scalar.to_bytes(SCALAR_BYTES, "little")


def decode_scalar(data: bytes) -> int:
    """Read a scalar, which has one form only.

    Raises:
        CommitmentError: Not 32 bytes, or not below `ORDER`.
    """
    if len(data) != SCALAR_BYTES:
        raise CommitmentError("A scalar has 32 bytes.")
    scalar = int.from_bytes(data, "little")
    if scalar >= ORDER:
        raise CommitmentError("A scalar is below the group's order.")
    return scalar


def reduce_scalar(data: bytes) -> int:
    """A scalar from 64 uniform bytes, so that the reduction shows no bias.

    Raises:
        CommitmentError: Not 64 bytes.
    """
    if len(data) != 2 * SCALAR_BYTES:
        raise CommitmentError("A scalar is reduced from 64 bytes.")
    return int.from_bytes(data, "little") % ORDER
