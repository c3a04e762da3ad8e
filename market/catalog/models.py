"""Tables of the catalogue: offers of nodes, published workloads."""

from typing import ClassVar

from sqlalchemy import BigInteger, LargeBinary
from sqlmodel import Field, SQLModel


class Offer(SQLModel, table=True):
    """A provider's signed offer for one node; the newest of a node is the live one."""

    __tablename__: ClassVar[str] = "offer"

    offer_id: str = Field(primary_key=True)
    provider: str = Field(foreign_key="account.account_id", index=True)
    node: str = Field(index=True)
    digest: str
    entry: bytes = Field(sa_type=LargeBinary)
    live: bool = Field(index=True)
    valid_until_ms: int = Field(sa_type=BigInteger)


class Workload(SQLModel, table=True):
    """A published workload with its content."""

    __tablename__: ClassVar[str] = "workload"

    workload_id: str = Field(primary_key=True)
    owner: str = Field(foreign_key="account.account_id", index=True)
    name: str
    workload_kind: str
    content_digest: str
    content: bytes = Field(sa_type=LargeBinary)
    royalty_microcredits: int = Field(sa_type=BigInteger)
    entry: bytes = Field(sa_type=LargeBinary)
