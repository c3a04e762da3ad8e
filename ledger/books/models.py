"""Tables of the books. The database itself keeps every balance within its bounds."""

from enum import StrEnum
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint
from sqlmodel import Field, SQLModel


class TransferState(StrEnum):
    """What a transfer is; only a pending one ever changes, and only once."""

    POSTED = "posted"
    PENDING = "pending"
    PENDING_POSTED = "pending_posted"
    PENDING_VOIDED = "pending_voided"


class BookAccount(SQLModel, table=True):
    """One account, with its four running sums in micro-credits."""

    __tablename__: ClassVar[str] = "book_account"
    __table_args__ = (
        CheckConstraint("debits_pending >= 0 AND credits_pending >= 0"),
        CheckConstraint("debits_posted >= 0 AND credits_posted >= 0"),
        CheckConstraint(
            "may_overdraw OR credits_posted >= debits_posted + debits_pending"
        ),
    )

    account_id: str = Field(primary_key=True)
    """`<party>/<purpose>`."""
    may_overdraw: bool
    """True only for the account through which money enters the books."""
    debits_pending: int = Field(default=0, sa_type=BigInteger)
    debits_posted: int = Field(default=0, sa_type=BigInteger)
    credits_pending: int = Field(default=0, sa_type=BigInteger)
    credits_posted: int = Field(default=0, sa_type=BigInteger)


class BookTransfer(SQLModel, table=True):
    """One movement between two accounts; never deleted."""

    __tablename__: ClassVar[str] = "book_transfer"
    __table_args__ = (CheckConstraint("amount_microcredits > 0"),)

    transfer_id: str = Field(primary_key=True)
    debit: str = Field(foreign_key="book_account.account_id", index=True)
    credit: str = Field(foreign_key="book_account.account_id", index=True)
    amount_microcredits: int = Field(sa_type=BigInteger)
    state: TransferState
    resolves: str | None = Field(default=None, foreign_key="book_transfer.transfer_id")
    """The pending transfer that this one posts."""
    created_at_ms: int = Field(sa_type=BigInteger)
