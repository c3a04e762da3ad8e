"""What a process does because of the others that serve the same market, if any."""

from collections.abc import Sequence
from typing import Protocol

from sqlmodel import Session

from ledger.request_signing import SignedRequest
from market.transaction import Transaction


class Role(Protocol):
    """The right to publish the log, which one process has at a time."""

    def is_ours(self) -> bool:
        """Whether this process has it; takes it if nobody has."""

    def tell(self, keys: Sequence[str]) -> None:
        """Wake whoever watches these keys at another process."""


class Peers(Protocol):
    """The other processes of a market, as one of them sees them."""

    @property
    def role(self) -> Role:
        """The right to publish."""

    def start(self) -> None:
        """Join them, before the database is used."""

    def stop(self) -> None:
        """Leave them, after all else has stopped."""

    def begin(self, session: Session) -> None:
        """Follow what they have written: first in each transaction of the writer."""

    def tell(self, session: Session, keys: Sequence[str]) -> None:
        """Say what has changed, to be heard if this transaction commits."""

    def doubt(self) -> None:
        """The views in memory may not be what the database says."""

    def share_signs(self, transaction: Transaction) -> None:
        """Exchange which nodes were heard of."""

    async def learn(self, node: str) -> None:
        """Put a node into the fleet that was offered at another process."""

    async def admit(self, request: SignedRequest) -> None:
        """Refuse a request that one of them has admitted before."""
