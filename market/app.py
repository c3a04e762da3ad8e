"""Joins the parts of a market, once, into one application."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from sqlmodel import Session

from ledger.books.account import Bound
from ledger.books.books import Books
from ledger.document import Document
from ledger.encoding import Json
from ledger.errors import LedgerError
from ledger.key_files import load_or_create_key
from ledger.log.log import Log
from ledger.log.models import LogHead
from ledger.log.witness_policy import WitnessPolicy
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
from market.cluster.alone import Alone
from market.cluster.cluster import Cluster
from market.context import Context, Market
from market.database import Database
from market.error_responses import install_error_responses
from market.errors import MarketError
from market.identity.routes import router as identity_routes
from market.identity.service import know_market
from market.jobs.continuity import (
    charge_unanswered_slices,
    replace_lost_jobs,
    resume,
)
from market.jobs.node_routes import router as node_routes
from market.jobs.routes import router as job_routes
from market.log_site.key_folder import LOG_FOLDER, FolderSigners, KeyFolder
from market.log_site.key_rotation import KeyRotation
from market.log_site.publisher import Publisher
from market.log_site.routes import router as log_routes
from market.peers import Peers
from market.placement.fleet import Fleet
from market.settings import Settings
from market.transaction import Transaction
from market.witnessing.witnesses import Witnesses, WitnessHooks, read_policy
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

    Raises:
        InvalidError: The witness policy cannot be used.
    """
    policy = read_policy(settings.witness_policy, is_required=settings.require_quorum)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        running = _Running(settings, policy, runner, public_url, clock)
        try:
            running.start()
        except BaseException as error:
            # The server only logs it; whoever runs the server may say it better.
            app.state.failure = error
            running.peers.stop()
            raise
        app.state.context = running.context
        rounds = asyncio.create_task(running.run_rounds())
        try:
            yield
        finally:
            rounds.cancel()
            await asyncio.to_thread(running.stop)

    app = FastAPI(title="Sixfold market", version="0.1.0", lifespan=lifespan)
    app.state.failure = None
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
        return await asyncio.to_thread(_describe, market)

    return app


def _describe(market: Context) -> Json:
    broker, log = market.broker, market.log
    return {
        "market": broker.market,
        "origin": log.origin,
        "logKeys": list(log.keys.vkeys),
        "logKeyGeneration": log.generation,
        "witnesses": market.witnesses.description(),
        "runner": broker.runner,
        "tariff": broker.tariff().to_json(),
        "leaseMs": broker.terms.lease_ms,
        "acceptanceTimeoutMs": broker.terms.acceptance_timeout_ms,
        "payments": "development_credit",
    }


class _Running:
    """The parts of a started market, and how they start and stop."""

    def __init__(
        self,
        settings: Settings,
        policy: WitnessPolicy,
        runner: Runner,
        public_url: str,
        clock: Clock,
    ) -> None:
        folder = settings.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(settings.database_address)
        self.changes = Changes()
        self.fleet = Fleet()
        keys = KeyFolder(folder, settings.origin, lambda: clock.now_ms() // 1000)
        signers = FolderSigners(keys)
        self.log = Log(folder / LOG_FOLDER, signers)
        self.peers = self._meet(clock)
        self.publisher = Publisher(
            self.log,
            self.database,
            self.changes,
            self.peers.role,
            published=self._have_cosigned,
        )
        self.witnesses = self._name_witnesses(settings, policy, clock)
        broker = Broker(
            key=load_or_create_key(folder / "market.key"),
            runner=runner.sha384,
            terms=Terms(settings.lease_ms, settings.acceptance_timeout_ms),
            fleet=self.fleet,
            changes=self.changes,
            blobs=BlobStore(folder / "blobs"),
        )
        hooks = WriterHooks(
            committed=self.publisher.request,
            failed=self.peers.doubt,
            begun=self.peers.begin,
            changed=self.peers.tell,
            wake=self.changes.announce,
        )
        self.writer = Writer(self.database, self.log, clock, hooks)
        self.rotation = KeyRotation(
            self.log,
            signers,
            broker,
            clock,
            transition_ms=settings.log_key_transition_ms,
        )
        self.context = Context(
            public_url=public_url,
            database=self.database,
            writer=self.writer,
            broker=broker,
            log=self.log,
            witnesses=self.witnesses,
            clock=clock,
            replay=ReplayWindow(started_ms=clock.now_ms()),
            peers=self.peers,
            runner_path=Path(runner.path),
        )

    def start(self) -> None:
        """Open the database, repair what a crash left, and begin to take commands."""
        self.peers.start()
        self.database.prepare()
        with self.database.writing() as session:
            self.log.recover(session)
        self.peers.doubt()
        self.changes.bind(asyncio.get_running_loop())
        self.writer.start()
        self._open_books()
        self._take_up_keys()
        self.witnesses.start()
        self.publisher.start()

    def stop(self) -> None:
        """Finish what is queued and publish it."""
        self.writer.stop()
        self.witnesses.stop()
        self.publisher.stop()
        self.peers.stop()
        self.database.close()

    async def run_rounds(self) -> None:
        """Look for lost leases and unanswered slices, again and again."""
        broker = self.context.broker
        rounds = [
            _own(broker, self._share_signs),
            _own(broker, partial(replace_lost_jobs, broker=broker)),
            _own(broker, partial(charge_unanswered_slices, broker=broker)),
        ]
        while True:
            await asyncio.sleep(ROUND_S)
            try:
                await self.writer.submit(rounds)
                if (command := self.rotation.pending()) is not None:
                    self.rotation.settle(await self.writer.submit_one(command))
                await asyncio.to_thread(self._advance_keys)
            except (MarketError, LedgerError, OSError):
                # Busy, or the disk is full: the next round finds the same work.
                logger.exception("A round could not be run.")

    def _meet(self, clock: Clock) -> Peers:
        if not self.database.is_shared:
            return Alone(self.database, self.fleet)
        return Cluster(
            self.database,
            self.fleet,
            clock,
            heard=self._hear,
            missed=self.changes.announce_all,
        )

    def _name_witnesses(
        self, settings: Settings, policy: WitnessPolicy, clock: Clock
    ) -> Witnesses:
        def committed_size() -> int:
            with self.database.reading() as session:
                head = session.get(LogHead, 1)
                return 0 if head is None else head.size

        return Witnesses(
            self.log,
            policy,
            clock,
            is_required=settings.require_quorum,
            evidence=settings.folder / "evidence",
            hooks=WitnessHooks(
                committed_size=committed_size,
                changed=self.publisher.announce,
                is_ours=self.peers.role.is_ours,
            ),
        )

    def _have_cosigned(self) -> None:
        self.witnesses.request()

    def _take_up_keys(self) -> None:
        """Find again which changes of keys are recorded, and how far each has come."""
        while (command := self.rotation.pending()) is not None:
            (answer,) = self.writer.submit_and_wait([command])
            if isinstance(answer, MarketError):
                raise answer
            self.rotation.settle(answer)
            self._advance_keys()

    def _advance_keys(self) -> None:
        self.rotation.advance(self.database, self.witnesses.prove)

    def _hear(self, keys: Sequence[str]) -> None:
        self.changes.announce(keys)
        self.publisher.request()

    def _share_signs(self, transaction: Transaction) -> Json:
        self.peers.share_signs(transaction)
        return None

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
    books.open_account(
        broker.development_credit, bound=Bound.CREDITS_MUST_NOT_EXCEED_DEBITS
    )
    books.open_account(broker.clearing)
    books.open_account(wallet_of(broker.market))
