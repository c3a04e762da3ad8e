"""Commitments to whole numbers: `C = value * G + blinding * H`.

A commitment shows nothing of its value, and cannot be opened to another one. Sums and
whole multiples of commitments open to the same sums and multiples of their values, so
that anybody can rate and add what nobody can see.

Source: T. P. Pedersen, "Non-Interactive and Information-Theoretic Secure Verifiable
Secret Sharing", CRYPTO 1991, section 3; decision 0012.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ledger.commitments import group
from ledger.encoding import Json, canonical_json, decode_base64, encode_base64
from ledger.errors import CommitmentError, EncodingError
from ledger.limits import AMOUNT_MICROCREDITS_MAX

RECORD_KEY_BYTES = 32
BLINDING_LABEL = b"sixfold/blinding/v1\n"
VALUE_MAX = AMOUNT_MICROCREDITS_MAX
"""Of quantities, amounts and totals; far below the group's order, so none wraps."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """A point that hides a number. Adding and multiplying follow the number.

    Make it with `commit`, or `parse` what comes from outside.
    """

    data: bytes

    @staticmethod
    def parse(text: str) -> "Commitment":
        """Check a commitment from outside.

        Args:
            text: 32 bytes in padded base64.

        Raises:
            CommitmentError: Not canonical, not on the curve, of small order, outside
                of the prime-order group, or the identity.
        """
        try:
            data = decode_base64(text, size=group.POINT_BYTES)
        except EncodingError as error:
            raise CommitmentError("A commitment is 32 bytes in base64.") from error
        if not group.is_point(data):
            raise CommitmentError("A commitment is a point of the prime-order group.")
        return Commitment(data)

    @property
    def text(self) -> str:
        """The point in padded base64."""
        return encode_base64(self.data)


class CommitmentOpening(NamedTuple):
    """What opens a commitment: the number and its blinding, both at least 0."""

    value: int
    blinding: int

    @staticmethod
    def parse(value: object) -> "CommitmentOpening":
        """Check the JSON form `{"blinding": base64, "value": integer}`.

        Raises:
            CommitmentError: It has another form, or is out of bounds.
        """
        match value:
            case {"blinding": str() as blinding, "value": int() as number, **rest} if (
                not rest and type(number) is int and 0 <= number <= VALUE_MAX
            ):
                try:
                    data = decode_base64(blinding, size=group.SCALAR_BYTES)
                except EncodingError as error:
                    raise CommitmentError("A blinding is 32 bytes.") from error
                return CommitmentOpening(number, group.decode_scalar(data))
        raise CommitmentError("An opening has a blinding, and a value of at least 0.")

    def to_json(self) -> dict[str, Json]:
        """The form that `parse` reads."""
        blinding = encode_base64(group.encode_scalar(self.blinding))
        return {"blinding": blinding, "value": self.value}

    def verify(self, commitment: Commitment) -> None:
        """Check that this opens a commitment.

        Raises:
            CommitmentError: It does not.
        """
        if commit(self.value, self.blinding) != commitment:
            raise CommitmentError("The opening does not fit its commitment.")


def commit(value: int, blinding: int) -> Commitment:
    """Commit to a number.

    Args:
        value: From 0 to `VALUE_MAX`.
        blinding: A scalar that nobody can guess, used for nothing else.

    Raises:
        CommitmentError: One is out of bounds.
    """
    if not 0 <= value <= VALUE_MAX:
        raise CommitmentError("A committed value is at least 0, and bounded.")
    blinded = group.multiply(blinding, group.SECOND_BASE)
    return Commitment(
        blinded if value == 0 else group.add(group.multiply_base(value), blinded)
    )


def derive_blinding(record_key: bytes, *place: str | int) -> int:
    """The blinding of one field of one record.

    Whoever holds the record key can open every field under it, so it is given to the
    record's parties and to nobody else.

    Args:
        record_key: 32 secret bytes.
        place: What tells this field of this record from all others.

    Source: HMAC-SHA512 as a pseudo-random function (RFC 2104), reduced from 512 bits.
    """
    assert len(record_key) == RECORD_KEY_BYTES
    message = BLINDING_LABEL + canonical_json(list(place))
    return group.reduce_scalar(hmac.digest(record_key, message, hashlib.sha512))


def combine(terms: Iterable[tuple[int, Commitment]]) -> Commitment | None:
    """A sum of multiples of commitments, each multiple at least 0.

    Commitments with the same multiple are added before they are multiplied, since
    adding costs a fifth of multiplying.

    Returns:
        The commitment to the same sum of multiples; None if that is of nothing.
    """
    by_multiple: dict[int, bytes] = {}
    for multiple, commitment in terms:
        known = by_multiple.get(multiple)
        data = commitment.data
        by_multiple[multiple] = data if known is None else group.add(known, data)
    total = group.add_all(
        group.multiply(multiple, point) if multiple != 1 else point
        for multiple, point in by_multiple.items()
        if multiple > 0
    )
    return None if total == group.IDENTITY else Commitment(total)


def combine_openings(
    terms: Iterable[tuple[int, CommitmentOpening]],
) -> CommitmentOpening:
    """The opening of what `combine` makes of the same terms."""
    value = blinding = 0
    for multiple, opening in terms:
        value += multiple * opening.value
        blinding += multiple * opening.blinding
    return CommitmentOpening(value, blinding % group.ORDER)
