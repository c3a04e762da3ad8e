"""Tables of the market as a whole: records of statements."""

from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class StatementRecord(SQLModel, table=True):
    """Where a statement stands in the log, and what opens its private fields."""

    __tablename__: ClassVar[str] = "statement_record"

    index: int = Field(
        primary_key=True,
        sa_type=BigInteger,
        sa_column_kwargs={"autoincrement": False},
    )
    digest: str = Field(unique=True)
    kind: str
    openings: str


class StatementParty(SQLModel, table=True):
    """Who may see the openings of a statement."""

    __tablename__: ClassVar[str] = "statement_party"

    party: str = Field(primary_key=True)
    index: int = Field(
        primary_key=True, sa_type=BigInteger, foreign_key="statement_record.index"
    )
    fields: str | None = None
    """Names of the openings that the party may see, with spaces; None for all."""
