"""Tables of the market as a whole: commands, and records of statements."""

from typing import ClassVar

from sqlalchemy import BigInteger, LargeBinary
from sqlmodel import Field, SQLModel


class CommandRecord(SQLModel, table=True):
    """A command that took effect, kept for ever: same id, same answer."""

    __tablename__: ClassVar[str] = "command"

    party: str = Field(primary_key=True)
    command_id: str = Field(primary_key=True)
    payload_hash: bytes = Field(sa_type=LargeBinary)
    answer: str


class StatementRecord(SQLModel, table=True):
    """Where a statement stands in the log, and what opens its private fields."""

    __tablename__: ClassVar[str] = "statement_record"

    index: int = Field(primary_key=True, sa_type=BigInteger)
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
