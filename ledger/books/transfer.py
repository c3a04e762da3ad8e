"""Transfers: what can be asked of the books, and what they keep of it.

A request that could not be meant does not exist: only a hold has a timeout, only what
resolves a hold names one, and only what moves between two accounts balances them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self

IDENTIFIER_CHARACTERS_MAX = 128
"""Ours have at most 63 characters; an id is part of several indexes."""
TIMEOUT_MS_MAX = 31_536_000_000
"""A year. What is reserved for longer is a debt, not a hold."""


class TransferKind(StrEnum):
    """What a recorded transfer is; it never changes."""

    TRANSFER = "transfer"
    """Money moved at once."""
    HOLD = "hold"
    """Money reserved until one of the three below resolves it: pending."""
    POST = "post"
    """A hold paid, wholly or in part; the rest was given back."""
    VOID = "void"
    """A hold given back."""
    EXPIRE = "expire"
    """A hold given back because its time had run out; only the books make these."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What moves between two accounts.

    If it balances, `amount_microcredits` is the most that it moves. Balancing the
    debit account it moves no more than that one has free, whatever its bound;
    balancing the credit account, no more than brings its credits up to its debits.
    """

    transfer_id: str
    debit: str
    credit: str
    amount_microcredits: int
    balancing_debit: bool = False
    balancing_credit: bool = False

    kind: ClassVar[TransferKind]


@dataclass(frozen=True, slots=True)
class Transfer(Movement):
    """Money that moves at once."""

    kind: ClassVar[TransferKind] = TransferKind.TRANSFER


@dataclass(frozen=True, slots=True)
class Hold(Movement):
    """Money that is reserved on both accounts until it is posted, voided or expires."""

    timeout_ms: int | None = None
    """After so long it can no longer be posted; None if it waits for ever."""

    kind: ClassVar[TransferKind] = TransferKind.HOLD


@dataclass(frozen=True, slots=True)
class Post:
    """Pay a hold; what is left of it is free again."""

    transfer_id: str
    hold_id: str
    amount_microcredits: int | None = None
    """At most what is held; None for all of it."""

    kind: ClassVar[TransferKind] = TransferKind.POST


@dataclass(frozen=True, slots=True)
class Void:
    """Give a whole hold back."""

    transfer_id: str
    hold_id: str

    kind: ClassVar[TransferKind] = TransferKind.VOID


Request = Transfer | Hold | Post | Void


@dataclass(slots=True)
class Record:
    """A transfer as the books keep it. Only `resolution` ever changes, and once."""

    kind: TransferKind
    debit: str
    credit: str
    amount_microcredits: int
    """What it moved, reserved or gave back; of a balancing one, what it came to."""
    created_at_ms: int
    balancing_debit: bool = False
    balancing_credit: bool = False
    expires_at_ms: int | None = None
    """Of a hold with a timeout: from then on it cannot be posted."""
    resolution: TransferKind | None = None
    """Of a hold: the kind of what resolved it; None while it is open."""
    resolves: str | None = None
    """Of what resolves a hold: which one."""
    held_microcredits: int | None = None
    """Of what resolves a hold: how much that one had reserved."""

    @classmethod
    def of(cls, request: Movement, amount_microcredits: int, *, now_ms: int) -> Self:
        """What is kept of a movement that came to this amount."""
        timeout_ms = request.timeout_ms if isinstance(request, Hold) else None
        return cls(
            request.kind,
            request.debit,
            request.credit,
            amount_microcredits,
            now_ms,
            request.balancing_debit,
            request.balancing_credit,
            None if timeout_ms is None else now_ms + timeout_ms,
        )

    def resolved_by(
        self,
        kind: TransferKind,
        hold_id: str,
        *,
        now_ms: int,
        amount: int | None = None,
    ) -> "Record":
        """What is kept of the transfer that resolves this hold; None is all of it."""
        held = self.amount_microcredits
        return Record(
            kind,
            self.debit,
            self.credit,
            held if amount is None else amount,
            now_ms,
            resolves=hold_id,
            held_microcredits=held,
        )

    @property
    def timeout_ms(self) -> int | None:
        """As the hold was asked for."""
        if self.expires_at_ms is None:
            return None
        return self.expires_at_ms - self.created_at_ms

    @property
    def posted_shift(self) -> int:
        """By how much it changed posted debits and posted credits."""
        is_paid = self.kind in (TransferKind.TRANSFER, TransferKind.POST)
        return self.amount_microcredits if is_paid else 0

    @property
    def pending_shift(self) -> int:
        """By how much it changed pending debits and pending credits."""
        if self.kind is TransferKind.HOLD:
            return self.amount_microcredits
        return -(self.held_microcredits or 0)

    def is_overdue(self, now_ms: int) -> bool:
        """Whether its time has run out."""
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms
