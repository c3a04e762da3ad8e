"""Holds whose time has run out, and what gives them back."""

from dataclasses import dataclass
from typing import ClassVar, Self

from ledger.books.transfer import Record, TransferKind

EXPIRED_PER_CALL_MAX = 256
"""A round stays short; what is left over is met in the next."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """A hold that was given back because its time had run out."""

    transfer_id: str
    """Of the transfer that gave it back."""
    hold_id: str
    debit: str
    credit: str
    amount_microcredits: int
    """All that was held."""

    kind: ClassVar[TransferKind] = TransferKind.EXPIRE

    @classmethod
    def of(cls, transfer_id: str, record: Record) -> Self:
        """What a recorded expiry says."""
        assert record.resolves is not None
        amount = record.amount_microcredits
        return cls(transfer_id, record.resolves, record.debit, record.credit, amount)
