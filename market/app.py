"""Joins the parts of a market, once, into one application."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from sqlmodel import Session

from ledger.books.books import Books
from ledger.document import Document
from ledger.encoding import Json
from ledger.key_files import load_or_create_key
from ledger.log.log import Log
from ledger.log.models import LogHead
from ledger.log.note import Signer
from ledger.replay import ReplayWindow
from ledger.statements.book_accounts import wallet_of
from ledger.statements.kinds import MarketStatement
from ledger.statements.statement import make_statement
from market.billing.routes import router as billing_routes
from market.blob_store import BlobStore
from market.blobs.routes import router as blob_routes
from market.broker import Broker, Terms
from market.catalog.routes import router as catalog_routes
from market.changes import Changes
from market.clock import Clock
from market.context import Context, Market
from market.database import Database
from market.error_responses import install_error_responses
from market.errors import MarketError
from market.fleet_loading import load_fleet
from market.identity.routes import router as identity_routes
from market.identity.service import know_market
from market.jobs.continuity import (
    charge_unanswered_slices,
    replace_lost_jobs,
    resume,
)
from market.jobs.node_routes import router as node_routes
from market.jobs.routes import router as job_routes
from market.log_site.publisher import Publisher
from market.log_site.routes import router as log_routes
from market.placement.fleet import Fleet
from market.settings import Settings
from market.transaction import Transaction
from market.writer import Command, Writer, WriterHooks

logger = logging.getLogger(__name__)

ROUND_S = 0.5
"""Time between two looks for lost leases and unanswered slices."""


class Runner(Document):
    """The Python runner component that a market publishes."""

    sha384: str
    path: str


def create_app(
    settings: Settings, *, runner: Runner, public_url: str, clock: Clock
) -> FastAPI:
    """Build a market; it opens its database and threads when it is started.

    Args:
        settings: Folder, names and times.
        runner: The component that runs Python sources.
        public_url: Scheme and authority under which clients sign requests.
        clock: What tells the time.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        running = _Running(settings, runner, public_url, clock)
        running.start()
        app.state.context = running.context
        rounds = asyncio.create_task(running.run_rounds())
        try:
            yield
        finally:
            rounds.cancel()
            await asyncio.to_thread(running.stop)

    app = FastAPI(title="Sixfold market", version="0.1.0", lifespan=lifespan)
    install_error_responses(app)
    for router in (
        identity_routes,
        catalog_routes,
        billing_routes,
        blob_routes,
        job_routes,
        node_routes,
        log_routes,
    ):
        app.include_router(router)

    @app.get("/market/v0.1/description", operation_id="getDescription", tags=["market"])
    async def get_description(market: Market) -> Json:
        """Describe this market: its keys, its runner, its own prices; public."""
        return {
            "market": market.broker.market,
            "origin": market.log.origin,
            "logKey": market.log_key,
            "runner": market.broker.runner,
            "tariff": market.broker.tariff().to_json(),
            "leaseMs": market.broker.terms.lease_ms,
            "acceptanceTimeoutMs": market.broker.terms.acceptance_timeout_ms,
            "payments": "development_credit",
        }

    return app


class _Running:
    """The parts of a started market, and how they start and stop."""

    def __init__(
        self, settings: Settings, runner: Runner, public_url: str, clock: Clock
    ) -> None:
        folder = settings.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(folder / "market.sqlite")
        self.changes = Changes()
        signer = Signer(settings.origin, load_or_create_key(folder / "log.key"))
        self.log = Log(folder / "log", signer)
        self.publisher = Publisher(self.log, self.database, self.changes)
        self.fleet = Fleet()
        broker = Broker(
            key=load_or_create_key(folder / "market.key"),
            runner=runner.sha384,
            terms=Terms(settings.lease_ms, settings.acceptance_timeout_ms),
            fleet=self.fleet,
            changes=self.changes,
            blobs=BlobStore(folder / "blobs"),
        )
        hooks = WriterHooks(committed=self.publisher.request, failed=self._reload)
        self.writer = Writer(self.database, self.log, clock, hooks)
        self.context = Context(
            public_url=public_url,
            database=self.database,
            writer=self.writer,
            broker=broker,
            log=self.log,
            log_key=signer.verifier.vkey,
            clock=clock,
            replay=ReplayWindow(started_ms=clock.now_ms()),
            runner_path=Path(runner.path),
        )

    def start(self) -> None:
        """Open the database, repair what a crash left, and begin to take commands."""
        self.database.create_tables()
        with self.database.writing() as session:
            self.log.recover(session)
        self._reload()
        self.changes.bind(asyncio.get_running_loop())
        self.writer.start()
        self._open_books()
        self.publisher.start()

    def stop(self) -> None:
        """Finish what is queued and publish it."""
        self.writer.stop()
        self.publisher.stop()
        self.database.close()

    async def run_rounds(self) -> None:
        """Look for lost leases and unanswered slices, again and again."""
        broker = self.context.broker
        rounds = [
            _own(broker, partial(replace_lost_jobs, broker=broker)),
            _own(broker, partial(charge_unanswered_slices, broker=broker)),
        ]
        while True:
            await asyncio.sleep(ROUND_S)
            try:
                await self.writer.submit(rounds)
            except MarketError:
                # Busy, or the disk is full: the next round finds the same work.
                logger.exception("A round could not be run.")

    def _reload(self) -> None:
        with self.database.reading() as session:
            load_fleet(session, self.fleet)

    def _open_books(self) -> None:
        broker = self.context.broker
        origin = self.log.origin

        def apply(transaction: Transaction) -> Json:
            _open_accounts(transaction.books, broker)
            resume(transaction, broker)
            if _is_new(transaction.session):
                # The market's first statement makes it known; it needs no other.
                know_market(transaction, broker.key.public)
                body = MarketStatement(
                    market=broker.market,
                    origin=origin,
                    tariff=broker.tariff(),
                    opened_at_ms=transaction.now_ms,
                )
                statement = make_statement(body).signed_by("market", broker.key)
                transaction.record(statement, parties=[broker.market])
            return None

        self.writer.submit_and_wait([_own(broker, apply)])


def _own(broker: Broker, apply: object) -> Command:
    assert callable(apply)
    return Command(party=broker.market, command_id="round", payload=None, apply=apply)


def _is_new(session: Session) -> bool:
    head = session.get(LogHead, 1)
    return head is None or head.size == 0


def _open_accounts(books: Books, broker: Broker) -> None:
    books.open_account(broker.development_credit, may_overdraw=True)
    books.open_account(broker.clearing)
    books.open_account(wallet_of(broker.market))
