"""Tables by which processes of one market meet. A process that is alone needs none."""

from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary
from sqlmodel import Field, SQLModel


class WriterTurn(SQLModel, table=True):
    """Which process wrote last: one row, changed whenever it is another one."""

    __tablename__: ClassVar[str] = "writer_turn"
    __table_args__ = (CheckConstraint("id = 1"),)

    id: int = Field(
        default=1, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    """Always 1."""
    writer: str


class NodeSign(SQLModel, table=True):
    """When a node was last heard of, whichever process it has called."""

    __tablename__: ClassVar[str] = "node_sign"

    node: str = Field(primary_key=True)
    seen_ms: int = Field(sa_type=BigInteger)


class RequestNonce(SQLModel, table=True):
    """A signed request that was made, kept for as long as it could be repeated."""

    __tablename__: ClassVar[str] = "request_nonce"

    request: bytes = Field(primary_key=True, sa_type=LargeBinary)
    """The key that has signed it, and the nonce that it chose."""
    over_after_ms: int = Field(sa_type=BigInteger, index=True)
