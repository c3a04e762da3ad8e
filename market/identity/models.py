"""Tables of identity."""

from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class Account(SQLModel, table=True):
    """A party that has made itself known."""

    __tablename__: ClassVar[str] = "account"

    account_id: str = Field(primary_key=True)
    public_key: str = Field(unique=True)
    registered_at_ms: int = Field(sa_type=BigInteger)
