"""Table of uploaded blobs: who may refer to which."""

from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class Blob(SQLModel, table=True):
    """One upload; the bytes lie in the blob folder under their digest."""

    __tablename__: ClassVar[str] = "blob"

    digest: str = Field(primary_key=True)
    account: str = Field(primary_key=True, index=True)
    """The uploading key as an account, whether it is registered as one or not."""
    node: str
    """The same key as a node."""
    size_bytes: int
    is_used: bool
    """Whether a job refers to it."""
    created_at_ms: int = Field(sa_type=BigInteger)
