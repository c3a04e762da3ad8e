"""Table of commands that were done."""

from typing import ClassVar

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel


class CommandRecord(SQLModel, table=True):
    """A command that took effect, kept for ever: same id, same answer."""

    __tablename__: ClassVar[str] = "command"

    party: str = Field(primary_key=True)
    command_id: str = Field(primary_key=True)
    payload_hash: bytes = Field(sa_type=LargeBinary)
    answer: str
