"""The parts of a running market, joined once in `market.app`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from ledger.log.log import Log
from ledger.replay import ReplayWindow
from market.broker import Broker
from market.clock import Clock
from market.database import Database
from market.peers import Peers
from market.witnessing.witnesses import Witnesses
from market.writer import Writer

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Context:
    """Everything that a route may need."""

    public_url: str
    """Scheme and authority under which clients sign their requests."""
    database: Database
    writer: Writer
    broker: Broker
    log: Log
    witnesses: Witnesses
    clock: Clock
    replay: ReplayWindow
    """What this process was asked in the last minutes."""
    peers: Peers
    """The other processes of this market."""
    runner_path: Path
    """The Python runner component that this market publishes."""

    async def read(self, query: Callable[[Session], Answer]) -> Answer:
        """Run a query on a snapshot, in a thread, so that the event loop goes on."""

        def in_session() -> Answer:
            with self.database.reading() as session:
                return query(session)

        return await run_in_threadpool(in_session)


def context_of(request: Request) -> Context:
    """The market that serves this request."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


Market = Annotated[Context, Depends(context_of)]
"""For a route's signature."""
