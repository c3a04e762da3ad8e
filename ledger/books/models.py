"""Tables of the books. The database itself refuses what must never be.

Each constraint has a name, so that a refusal tells which one it was. Sums are compared
by subtraction, which cannot leave 64 bits as these are never negative.
"""

from enum import StrEnum
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Enum,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from ledger.books.account import SUM_MICROCREDITS_MAX, Bound
from ledger.books.transfer import TransferKind
from ledger.limits import AMOUNT_MICROCREDITS_MAX


def _words(kind: type[StrEnum], name: str) -> Enum:
    """Text with a constraint: a native type could not be changed in a migration."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


class BookAccount(SQLModel, table=True):
    """One account, with its four running sums in micro-credits; never deleted."""

    __tablename__: ClassVar[str] = "book_account"
    __table_args__ = (
        CheckConstraint(
            "debits_pending >= 0 AND debits_posted >= 0"
            " AND credits_pending >= 0 AND credits_posted >= 0",
            name="book_account_nothing_negative",
        ),
        CheckConstraint(
            f"debits_pending <= {SUM_MICROCREDITS_MAX} - debits_posted"
            f" AND credits_pending <= {SUM_MICROCREDITS_MAX} - credits_posted",
            name="book_account_sums_fit",
        ),
        CheckConstraint(
            f"bound <> '{Bound.DEBITS_MUST_NOT_EXCEED_CREDITS}'"
            " OR debits_pending <= credits_posted - debits_posted",
            name="book_account_debits_bound",
        ),
        CheckConstraint(
            f"bound <> '{Bound.CREDITS_MUST_NOT_EXCEED_DEBITS}'"
            " OR credits_pending <= debits_posted - credits_posted",
            name="book_account_credits_bound",
        ),
    )

    account_id: str = Field(primary_key=True)
    """`<party>/<purpose>`."""
    bound: Bound = Field(
        sa_column=Column(_words(Bound, "book_account_bound"), nullable=False)
    )
    closed: bool = False
    """A closed account takes part in nothing new; its holds can only be given back."""
    debits_pending: int = Field(default=0, sa_type=BigInteger)
    debits_posted: int = Field(default=0, sa_type=BigInteger)
    credits_pending: int = Field(default=0, sa_type=BigInteger)
    credits_posted: int = Field(default=0, sa_type=BigInteger)


class BookTransfer(SQLModel, table=True):
    """One movement between two accounts; never deleted, never changed.

    But for `resolution` of a hold, which is written once. What resolves a hold is a
    transfer of its own, tied to it by key: the same accounts, no more than was held,
    and of the kind that the hold says has resolved it. So a hold cannot be opened
    again, resolved twice, or resolved by what does not fit it.
    """

    __tablename__: ClassVar[str] = "book_transfer"
    __table_args__ = (
        CheckConstraint(
            f"amount_microcredits BETWEEN 1 AND {AMOUNT_MICROCREDITS_MAX}",
            name="book_transfer_amount",
        ),
        CheckConstraint("debit <> credit", name="book_transfer_two_accounts"),
        CheckConstraint(
            "kind IN ('transfer', 'hold') OR NOT (balancing_debit OR balancing_credit)",
            name="book_transfer_balancing",
        ),
        CheckConstraint(
            "expires_at_ms IS NULL"
            " OR (kind = 'hold' AND expires_at_ms > created_at_ms)",
            name="book_transfer_timeout",
        ),
        CheckConstraint(
            "resolution IS NULL"
            " OR (kind = 'hold' AND resolution IN ('post', 'void', 'expire'))",
            name="book_transfer_holds_are_resolved",
        ),
        CheckConstraint(
            "(kind IN ('transfer', 'hold')"
            " AND resolves IS NULL AND held_microcredits IS NULL)"
            " OR (kind IN ('post', 'void', 'expire')"
            " AND resolves IS NOT NULL AND held_microcredits IS NOT NULL)",
            name="book_transfer_resolves",
        ),
        CheckConstraint(
            "held_microcredits IS NULL OR held_microcredits = amount_microcredits"
            " OR (kind = 'post' AND held_microcredits > amount_microcredits)",
            name="book_transfer_no_more_than_held",
        ),
        UniqueConstraint("resolves", name="book_transfer_resolved_once"),
        UniqueConstraint(
            "transfer_id",
            "debit",
            "credit",
            "amount_microcredits",
            "resolution",
            name="book_transfer_what_was_held",
        ),
        ForeignKeyConstraint(
            ["resolves", "debit", "credit", "held_microcredits", "kind"],
            [
                "book_transfer.transfer_id",
                "book_transfer.debit",
                "book_transfer.credit",
                "book_transfer.amount_microcredits",
                "book_transfer.resolution",
            ],
            name="book_transfer_resolves_what_was_held",
        ),
        Index(
            "book_transfer_open_until",
            "expires_at_ms",
            "transfer_id",
            sqlite_where=text("resolution IS NULL AND expires_at_ms IS NOT NULL"),
            postgresql_where=text("resolution IS NULL AND expires_at_ms IS NOT NULL"),
        ),
    )

    transfer_id: str = Field(primary_key=True)
    kind: TransferKind = Field(
        sa_column=Column(_words(TransferKind, "book_transfer_kind"), nullable=False)
    )
    debit: str = Field(foreign_key="book_account.account_id")
    credit: str = Field(foreign_key="book_account.account_id")
    amount_microcredits: int = Field(sa_type=BigInteger)
    created_at_ms: int = Field(sa_type=BigInteger)
    balancing_debit: bool = False
    balancing_credit: bool = False
    expires_at_ms: int | None = Field(default=None, sa_type=BigInteger)
    resolution: TransferKind | None = Field(
        default=None,
        sa_column=Column(_words(TransferKind, "book_transfer_resolution")),
    )
    resolves: str | None = None
    held_microcredits: int | None = Field(default=None, sa_type=BigInteger)
