"""Tables of the log: its entries, and the one row that says where it ends."""

from sqlalchemy import BigInteger, CheckConstraint, Integer
from sqlmodel import Field, SQLModel

_BIG_INTEGER = BigInteger().with_variant(Integer(), "sqlite")
"""A log outgrows 32 bits; SQLite's INTEGER has 64, and as a key costs no index."""


class LogEntry(SQLModel, table=True):
    """One entry, never changed and never removed."""

    __tablename__ = "log_entry"

    index: int = Field(
        sa_type=_BIG_INTEGER,
        primary_key=True,
        sa_column_kwargs={"autoincrement": False},
    )
    """Place in the log, from 0, without gaps."""

    data: bytes
    """What the tree's leaf is the hash of; at most 65,535 bytes."""


class LogHead(SQLModel, table=True):
    """Where the log ends: one row, which each append compares and swaps."""

    __tablename__ = "log_head"
    __table_args__ = (CheckConstraint("id = 1"),)

    id: int = Field(
        default=1, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    """Always 1, so that two heads cannot be."""

    size: int = Field(sa_type=_BIG_INTEGER)
    """Count of entries."""

    frontier: bytes
    """The right edge of the tree: a hash of 32 bytes for each one-bit of `size`."""
