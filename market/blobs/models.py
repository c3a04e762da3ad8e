"""Table of uploaded blobs: who may refer to which."""

from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class Blob(SQLModel, table=True):
    """One upload; the bytes lie in the blob folder under their digest."""

    __tablename__: ClassVar[str] = "blob"

    digest: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    size_bytes: int
    created_at_ms: int = Field(sa_type=BigInteger)
