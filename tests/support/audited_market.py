"""Writes the history of a small market as a market would, true unless told otherwise.

Every step takes changes to the public fields of its statement, so that a test can make
it false in one thing and sign it all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlmodel import Session, SQLModel

from ledger.audit.log_copy import LogCopy
from ledger.audit.receipt import make_receipt
from ledger.charging.committed import open_amounts
from ledger.charging.tariff import Rating, RatingGroup, Tariff, TariffLine, rate
from ledger.commitments.pedersen import CommitmentOpening
from ledger.encoding import canonical_json, encode_base64
from ledger.log.log import Log
from ledger.log.note import Signer
from ledger.metering.usage import quantity_fields
from ledger.signing import PrivateKey
from ledger.statements.book_accounts import (
    clearing_of,
    development_credit_of,
    wallet_of,
)
from ledger.statements.disclosure import (
    Opening,
    Openings,
    conceal_numbers,
    opened_numbers,
    openings_json,
)
from ledger.statements.kinds import (
    AccountStatement,
    AgreementStatement,
    ChargeStatement,
    LogKeyStatement,
    MarketStatement,
    NodeCapacity,
    OfferPolicy,
    OfferStatement,
    OrderStatement,
    Posting,
    ReleaseStatement,
    SliceStatement,
    StatementBody,
    TopUpStatement,
    WorkloadStatement,
)
from ledger.statements.pseudonyms import Authorisation, authorise, pseudonym_key
from ledger.statements.statement import Statement, make_statement

ORIGIN = "ledger.example/test"
QUANTITIES = {RatingGroup.FUEL: 7, RatingGroup.BYTES_UP: 2, RatingGroup.ROYALTY: 1}
RECORD_KEY = b"records.".ljust(32, b".")
DIGEST = encode_base64(bytes(32))
START_MS = 1_800_000_000_000
ACCEPTANCE_TIMEOUT_MS = 60_000


def fixed_key(name: str) -> PrivateKey:
    return PrivateKey(name.encode().ljust(32, b"."))


def conceal_fixed(values: Mapping[str, Any]) -> dict[str, Opening | CommitmentOpening]:
    """As `conceal`, with salts that are the same in each run."""
    return {
        name: Opening(salt=encode_base64(name.encode()[:16].ljust(16)), value=value)
        for name, value in values.items()
    }


@dataclass
class MadeJob:
    """The statements of one job, as far as it has come, by kind."""

    job_id: str
    statements: dict[str, Statement] = field(default_factory=dict)
    attempt: int = 0
    hold_microcredits: int = 0
    key: PrivateKey = field(default_factory=lambda: fixed_key("nobody"))
    """Of the consumer's pseudonym."""
    used: Openings = field(default_factory=dict)
    """Of the slice."""

    @property
    def pseudonym(self) -> str:
        return self.key.public.pseudonym_id


class AuditedMarket:
    """A market, a consumer, a provider with one node, and a workload's owner."""

    def __init__(self) -> None:
        self.market = fixed_key("market")
        self.consumer = fixed_key("consumer")
        self.provider = fixed_key("provider")
        self.owner = fixed_key("owner")
        self.node = fixed_key("node")
        self.signer = Signer(ORIGIN, fixed_key("log"))
        self.entries: list[bytes] = []
        self.openings: dict[str, Openings] = {}
        self.offer: Statement | None = None
        self._count = 0

    def add(self, statement: Statement, openings: Openings | None = None) -> Statement:
        self.entries.append(statement.entry)
        if openings:
            self.openings[statement.digest] = openings
        return statement

    def new_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:020}"

    def begin(self) -> "AuditedMarket":
        """Market, parties, offer, workload, and money for the consumer."""
        self.open_market()
        for key in (self.consumer, self.provider, self.owner):
            self.register(key)
        self.publish_offer()
        self.publish_workload()
        self.top_up(1_000_000)
        return self

    def open_market(self, **changes: Any) -> Statement:
        body = MarketStatement(
            market=self.market.account_id,
            origin=ORIGIN,
            tariff=self.market_tariff(),
            opened_at_ms=START_MS,
        )
        return self.add(self._made(body, changes).signed_by("market", self.market))

    def market_tariff(self) -> Tariff:
        return Tariff(lines=self._lines("market", self.market, {RatingGroup.FUEL: 1}))

    def register(self, key: PrivateKey, **changes: Any) -> Statement:
        body = AccountStatement(
            account=key.account_id,
            public_key=key.public.text,
            registered_at_ms=START_MS,
        )
        return self.add(self._made(body, changes).signed_by("account", key))

    def publish_offer(self, **changes: Any) -> Statement:
        body = OfferStatement(
            offer_id=self.new_id("offer"),
            provider=self.provider.account_id,
            node=self.node.node_id,
            node_key=self.node.public.text,
            name="phone",
            tier="device",
            jurisdiction="se",
            ownership_domain="alice",
            protections=("sandbox",),
            assurance="none",
            runner="ab" * 48,
            engine="wasmtime",
            capacity=NodeCapacity(
                workers=1,
                memory_bytes=2**30,
                fuel_per_s=10**9,
                homomorphic_operations_per_s=0,
                link_bytes_per_s=10**6,
                round_trip_ms=5,
            ),
            prices={RatingGroup.FUEL: 10, RatingGroup.BYTES_UP: 3},
            policy=OfferPolicy(
                sensitivity_classes=("public",),
                categories_refused=(),
                consumers_refused=(),
            ),
            published_at_ms=START_MS,
            valid_until_ms=START_MS + 10**9,
        )
        statement = self._made(body, changes)
        statement = statement.signed_by("provider", self.provider)
        self.offer = self.add(statement.signed_by("node", self.node))
        return self.offer

    def publish_workload(self, **changes: Any) -> Statement:
        body = WorkloadStatement(
            workload_id=self.new_id("work"),
            owner=self.owner.account_id,
            name="risk",
            workload_kind="linear_circuit",
            content=DIGEST,
            royalty_microcredits=100,
            published_at_ms=START_MS,
        )
        return self.add(self._made(body, changes).signed_by("owner", self.owner))

    def top_up(
        self, amount: Any, *, consumer: PrivateKey | None = None, **changes: Any
    ) -> Statement:
        market = self.market.account_id
        body = TopUpStatement(
            market=market,
            transfer_id=self.new_id("topup"),
            source="development_credit",
            debit=development_credit_of(market),
            credit=wallet_of((consumer or self.consumer).account_id),
            topped_up_at_ms=START_MS,
        )
        openings = conceal_numbers({"amount": amount}, RECORD_KEY, body.transfer_id)
        return self._add_signed(body, changes, openings)

    def order(
        self,
        *,
        price_max: Any = 5000,
        key: PrivateKey | None = None,
        account: Authorisation | None = None,
        **changes: Any,
    ) -> MadeJob:
        job = MadeJob(self.new_id("job"))
        job.key = key or pseudonym_key(self.consumer, job.job_id)
        body = OrderStatement(
            job_id=job.job_id, consumer=job.pseudonym, ordered_at_ms=START_MS
        )
        account = account or authorise(self.consumer, job.job_id, job.pseudonym)
        openings = conceal_fixed(
            {
                "account": account.to_json(),
                "workload": {"kind": "python_source"},
                "data_policy": {},
                "limits": {},
                "input": DIGEST,
                "price_max": price_max,
                "recipient": None,
            }
        )
        statement = self._made(body, changes, openings)
        statement = statement.signed_by("consumer", job.key)
        job.statements["order"] = self.add(statement, openings)
        return job

    def change_log_keys(self, **changes: Any) -> Statement:
        before = self.signer.verifier.vkey
        after = Signer(ORIGIN, fixed_key("second log")).verifier.vkey
        body = LogKeyStatement(
            market=self.market.account_id,
            origin=ORIGIN,
            generation=2,
            before=(before,),
            after=(after,),
            changed_at_ms=START_MS,
            before_until_ms=START_MS + 10,
        )
        return self.add(self._made(body, changes).signed_by("market", self.market))

    def tariff(self) -> Tariff:
        assert self.offer is not None
        offered = self.offer.body
        assert isinstance(offered, OfferStatement)
        return Tariff(
            lines=(
                *self._lines("provider", self.provider, offered.prices),
                *self.market_tariff().lines,
                *self._lines("owner", self.owner, {RatingGroup.ROYALTY: 100}),
            )
        )

    def agree(self, job: MadeJob, *, hold: Any = 1000, **changes: Any) -> Statement:
        assert self.offer is not None
        market = self.market.account_id
        job.attempt += 1
        job.hold_microcredits = hold
        body = AgreementStatement(
            job_id=job.job_id,
            market=market,
            consumer=job.pseudonym,
            provider=self.provider.account_id,
            node=self.node.node_id,
            order=job.statements["order"].digest,
            offer=self.offer.digest,
            attempt=job.attempt,
            tariff=self.tariff(),
            hold_transfer=self.new_id("hold"),
            debit=wallet_of(job.pseudonym),
            credit=clearing_of(market),
            agreed_at_ms=START_MS,
            acceptance_timeout_ms=ACCEPTANCE_TIMEOUT_MS,
        )
        job.statements["agreement"] = self._add_signed(
            body, changes, conceal_fixed({"hold": hold, "decision": DIGEST})
        )
        return job.statements["agreement"]

    def use(
        self,
        job: MadeJob,
        *,
        quantities: Mapping[RatingGroup, int] = QUANTITIES,
        groups: Sequence[RatingGroup] = (),
        record_key: bytes | None = None,
        countersigned: bool = True,
        **changes: Any,
    ) -> Statement:
        body = SliceStatement(
            job_id=job.job_id,
            agreement=job.statements["agreement"].digest,
            node=self.node.node_id,
            consumer=job.pseudonym,
            sequence=0,
            finished_at_ms=START_MS + 10,
        )
        agreement = job.statements["agreement"].body
        assert isinstance(agreement, AgreementStatement)
        numbers = quantity_fields(quantities, groups or agreement.tariff.groups)
        record_key = record_key or RECORD_KEY
        openings = conceal_numbers(numbers, record_key, body.agreement, body.sequence)
        openings |= conceal_fixed(
            {
                "outcome": "succeeded",
                "input_digest": DIGEST,
                "result_digest": DIGEST,
            }
        )
        statement = self._made(body, changes, openings).signed_by("node", self.node)
        if countersigned:
            statement = statement.signed_by("consumer", job.key)
        job.used = openings
        job.statements["slice"] = self.add(statement, openings)
        return statement

    def charge(
        self,
        job: MadeJob,
        *,
        quantities: Mapping[RatingGroup, int] = QUANTITIES,
        amounts: Mapping[str, int] | None = None,
        **changes: Any,
    ) -> Statement:
        agreement = job.statements["agreement"].body
        assert isinstance(agreement, AgreementStatement)
        rating = rate(agreement.tariff, quantities)
        body = ChargeStatement(
            job_id=job.job_id,
            market=self.market.account_id,
            agreement=job.statements["agreement"].digest,
            slice=job.statements["slice"].digest,
            acceptance="countersigned",
            hold_transfer=agreement.hold_transfer,
            postings=self.postings(agreement, rating),
            charged_at_ms=START_MS + 20,
        )
        used = opened_numbers(job.used)
        openings = open_amounts(agreement.tariff, used)
        for name, amount in (amounts or {}).items():
            blinding = openings[name].blinding if name in openings else 1
            openings[name] = CommitmentOpening(amount, blinding)
        statement = self._made(body, changes).signed_by("market", self.market)
        job.statements["charge"] = self.add(statement, openings)
        return job.statements["charge"]

    def postings(
        self, agreement: AgreementStatement, rating: Rating
    ) -> tuple[Posting, ...]:
        if not rating.by_payee_microcredits:
            return ()
        moves = [("post", agreement.debit, agreement.credit)]
        moves += [
            ("transfer", agreement.credit, wallet_of(payee))
            for payee in rating.by_payee_microcredits
        ]
        return tuple(
            Posting(
                transfer_id=self.new_id("pay"),
                action=action,  # type: ignore[arg-type]
                debit=debit,
                credit=credit,
            )
            for action, debit, credit in moves
        )

    def release(self, job: MadeJob, **changes: Any) -> Statement:
        agreement = job.statements["agreement"].body
        assert isinstance(agreement, AgreementStatement)
        body = ReleaseStatement(
            job_id=job.job_id,
            market=self.market.account_id,
            agreement=job.statements["agreement"].digest,
            transfer_id=self.new_id("void"),
            hold_transfer=agreement.hold_transfer,
            reason="node_lost",
            released_at_ms=START_MS + 5,
        )
        return self.add(self._made(body, changes).signed_by("market", self.market))

    def run_job(self) -> MadeJob:
        """A whole job, from order to charge."""
        job = self.order()
        self.agree(job)
        self.use(job)
        self.charge(job)
        return job

    def write_openings(self, path: Path) -> None:
        with path.open("wb") as file:
            for digest, openings in self.openings.items():
                shown = openings_json(openings)
                line = canonical_json({"digest": digest, "openings": shown})
                file.write(line + b"\n")

    def _add_signed(
        self,
        body: StatementBody,
        changes: dict[str, Any],
        openings: Openings,
    ) -> Statement:
        statement = self._made(body, changes, openings)
        return self.add(statement.signed_by("market", self.market), openings)

    @staticmethod
    def _made(
        body: StatementBody, changes: dict[str, Any], openings: Openings | None = None
    ) -> Statement:
        return make_statement(body.model_copy(update=changes), openings)

    @staticmethod
    def _lines(
        role: str, key: PrivateKey, prices: Mapping[RatingGroup, int]
    ) -> tuple[TariffLine, ...]:
        return tuple(
            TariffLine(
                group=group, role=role, payee=key.account_id, price_microcredits=price
            )
            for group, price in prices.items()
        )


class WrittenMarket:
    """A folder laid out as a copy of a market's log, and the log that writes it."""

    def __init__(self, market: AuditedMarket, folder: Path) -> None:
        self.market = market
        self.folder = folder
        self.copy = LogCopy.at(folder)
        self._engine = create_engine(f"sqlite:///{folder / 'ledger.sqlite'}")
        SQLModel.metadata.create_all(self._engine)
        self.log = Log(self.copy.log, market.signer)
        with Session(self._engine) as session:
            self.log.recover(session)
            session.commit()
        self._written = 0

    def publish(self) -> None:
        """Publish what the market has written since."""
        with Session(self._engine) as session:
            batch = self.log.begin(session)
            for entry in self.market.entries[self._written :]:
                batch.add(entry)
            batch.finish(session)
            session.commit()
            self.log.publish(session)
        self._written = len(self.market.entries)
        self.copy.key.write_text(self.market.signer.verifier.vkey + "\n")

    def disclose(self) -> None:
        """Write all openings."""
        self.market.write_openings(self.copy.openings)

    def receipt(self, job: MadeJob, **changes: Statement) -> bytes:
        """The receipt of a published job; `changes` replaces statements by kind."""
        index = self.market.entries.index(job.statements["charge"].entry)
        kinds = ("order", "agreement", "slice", "charge")
        statements = [{**job.statements, **changes}[kind] for kind in kinds]
        openings = self.market.openings
        return make_receipt(
            self.log.prove(index),
            [(item, openings.get(item.digest, {})) for item in statements],
        )

    def keep_receipt(self, job: MadeJob) -> Path:
        """Write a job's receipt into the folder."""
        self.copy.receipts.mkdir(exist_ok=True)
        path = self.copy.receipts / f"{job.job_id}.tlog-proof"
        path.write_bytes(self.receipt(job))
        return path

    def close(self) -> None:
        self._engine.dispose()
