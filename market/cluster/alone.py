"""One process that is alone with its database: it has no others to mind.

That it is alone is kept by a lock on a file beside the database, from start to end.
"""

from collections.abc import Sequence
from pathlib import Path

from sqlmodel import Session

from ledger.process_lock import ProcessLock
from ledger.request_signing import SignedRequest
from market.database import Database
from market.fleet_loading import load_fleet
from market.placement.fleet import Fleet
from market.transaction import Transaction


class Alone:
    """One process with a database of its own: no others, and nothing to do."""

    def __init__(self, database: Database, fleet: Fleet) -> None:
        path = database.address
        assert isinstance(path, Path), "a shared database has more than one process"
        self._database = database
        self._fleet = fleet
        self._lock = ProcessLock(path.with_name(f"{path.name}.lock"))
        self.role = _Sole()

    def start(self) -> None:
        """Keep others away.

        Raises:
            LockedError: Another process has the database.
        """
        self._lock.acquire()

    def stop(self) -> None:
        """Let others have the database."""
        self._lock.release()

    def begin(self, session: Session) -> None:
        """Nobody else writes."""

    def tell(self, session: Session, keys: Sequence[str]) -> None:
        """Nobody to tell."""

    def doubt(self) -> None:
        """Read the views anew."""
        with self._database.reading() as session:
            load_fleet(session, self._fleet)

    def share_signs(self, transaction: Transaction) -> None:
        """Nobody to exchange them with."""

    async def learn(self, node: str) -> None:
        """All that were offered were offered here."""

    async def admit(self, request: SignedRequest) -> None:
        """What this process remembers is all there is."""


class _Sole:
    """The role of a process that has no rival."""

    def is_ours(self) -> bool:
        return True

    def tell(self, keys: Sequence[str]) -> None:
        """Nobody to tell."""
