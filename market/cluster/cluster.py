"""One of several processes that serve one market from one PostgreSQL database.

All batches of all writers stand in one order: each begins by locking the head of the
log, and sees all that those before it have committed. So a batch is as alone as if
there were one process, and nothing that it reads from the database can be out of
date. Only views in memory can be, and they are read anew when another process has
written last.

Source: decision 0012 (several processes write in turns).
"""

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from ledger.identifiers import new_identifier
from ledger.request_signing import SignedRequest
from market.clock import Clock
from market.cluster.models import NodeSign, WriterTurn
from market.cluster.nonces import SharedNonces
from market.cluster.notices import CHANNEL, Listener, payloads
from market.cluster.role import PublisherRole
from market.database import Database
from market.fleet_loading import is_offered, load_fleet
from market.placement.fleet import Fleet
from market.transaction import Transaction


class Cluster:
    """The other processes of a market, as one of them sees them."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        clock: Clock,
        *,
        heard: Callable[[Sequence[str]], None],
        missed: Callable[[], None],
    ) -> None:
        """Name the parts. Nothing is opened before `start`.

        Args:
            database: The one they share.
            fleet: This process' view of it.
            clock: Tells the time, as theirs do.
            heard: Called with the keys that another process has changed.
            missed: Called when it cannot be told which keys have changed.
        """
        url = database.url
        process_id = new_identifier("process")
        self.role = PublisherRole(url, process_id)
        self._database = database
        self._fleet = fleet
        self._process_id = process_id
        self._writer = process_id
        self._nonces = SharedNonces(url, clock)
        self._listener = Listener(url, process_id, heard=heard, missed=missed)

    def start(self) -> None:
        """Join them, before the database is used.

        Raises:
            DatabaseError: The database cannot be reached, or is being changed.
        """
        self._listener.start()
        self._nonces.start()

    def stop(self) -> None:
        """Leave them, after all else has stopped."""
        self._nonces.stop()
        self.role.release()
        self._listener.stop()

    def begin(self, session: Session) -> None:
        """Follow what they have written: first in each transaction of the writer."""
        turn = insert(WriterTurn).values(id=1, writer=self._writer)
        turn = turn.on_conflict_do_update(
            index_elements=["id"],
            set_={"writer": self._writer},
            where=col(WriterTurn.writer) != self._writer,
        )
        if session.connection().execute(turn).rowcount:
            load_fleet(session, self._fleet)
            self._read_signs(session)

    def tell(self, session: Session, keys: Sequence[str]) -> None:
        """Say what has changed, to be heard if this transaction commits."""
        for payload in payloads(self._process_id, keys):
            session.connection().execute(select(func.pg_notify(CHANNEL, payload)))

    def doubt(self) -> None:
        """The views in memory may not be what the database says."""
        # Under another name the writer finds that somebody else has written last.
        self._writer = new_identifier("process")

    def share_signs(self, transaction: Transaction) -> None:
        """Exchange which nodes were heard of."""
        session = transaction.session
        if heard := self._fleet.take_heard():
            sign = insert(NodeSign)
            newest = func.greatest(col(NodeSign.seen_ms), sign.excluded.seen_ms)
            sign = sign.on_conflict_do_update(
                index_elements=["node"], set_={"seen_ms": newest}
            )
            rows = [{"node": node, "seen_ms": at_ms} for node, at_ms in heard.items()]
            session.connection().execute(sign, rows)
        self._read_signs(session)

    async def learn(self, node: str) -> None:
        """Put a node into the fleet that was offered at another process.

        Raises:
            MarketError: The database does not answer.
        """
        if self._fleet.knows(node):
            return
        if await asyncio.to_thread(self._is_offered, node):
            self._fleet.know(node)

    async def admit(self, request: SignedRequest) -> None:
        """Refuse a request that one of them has admitted before.

        Raises:
            RequestError: One has.
            MarketError: Whether one has cannot be told now.
        """
        await self._nonces.admit(request)

    def _read_signs(self, session: Session) -> None:
        signs = select(col(NodeSign.node), col(NodeSign.seen_ms))
        for node, seen_ms in session.connection().execute(signs):
            self._fleet.told(node, seen_ms)

    def _is_offered(self, node: str) -> bool:
        with self._database.reading() as session:
            return is_offered(session, node)
