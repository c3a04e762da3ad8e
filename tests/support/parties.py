"""Scripted parties that speak the market's protocol, without SDK and agent."""

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fastapi import FastAPI

from ledger.charging.tariff import RatingGroup
from ledger.encoding import canonical_json, decode_base64, encode_base64
from ledger.identifiers import new_identifier
from ledger.metering.usage import Usage, quantity_fields
from ledger.signing import PrivateKey
from ledger.statements.disclosure import (
    Openings,
    commit_openings,
    conceal,
    conceal_numbers,
    digest_openings,
    openings_json,
)
from ledger.statements.kinds import (
    AccountStatement,
    NodeCapacity,
    OfferPolicy,
    OfferStatement,
    OrderStatement,
    SliceStatement,
    StatementBody,
)
from ledger.statements.order_terms import (
    DataPolicy,
    JobLimits,
    OrderTerms,
    Recipient,
    WorkloadReference,
)
from ledger.statements.pseudonyms import authorise, pseudonym_key, record_key
from ledger.statements.statement import Statement, make_statement, parse_statement
from market.context import Context
from sdk.transport import Transport

SOURCE = "def double(x):\n    return 2 * x\n"
INPUT = b"[21]"
RESULT = b'{"a result": 42}'
RUNNER = "ab" * 48
"""Scripted parties run no Python, so any name of a runner will do."""
SEALED = b"sealed input"
EVIDENCE = b"evidence"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class MovableClock:
    """The machine's clock; a test can set it forward for a market and its parties."""

    def __init__(self) -> None:
        self._offset_ms = 0

    def now_ms(self) -> int:
        return now_ms() + self._offset_ms

    def advance(self, duration_ms: int) -> None:
        self._offset_ms += duration_ms


@dataclass
class RunningMarket:
    url: str
    app: FastAPI
    folder: Path
    clock: MovableClock = field(default_factory=MovableClock)

    @property
    def context(self) -> Context:
        return self.app.state.context  # type: ignore[no-any-return]


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait for something that another thread or process will bring about."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.01)


def digest(data: bytes) -> str:
    return encode_base64(hashlib.sha256(data).digest())


def statement_json(statement: Statement) -> Any:
    return json.loads(statement.entry)


def inline(data: bytes) -> dict[str, Any]:
    return {"inline": encode_base64(data), "blob": None}


class Party:
    def __init__(
        self,
        url: str,
        key: PrivateKey | None = None,
        *,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self.key = key or PrivateKey.generate()
        self.now_ms = now_ms
        self.transport = Transport(url, self.key, now_ms=now_ms)

    @property
    def account_id(self) -> str:
        return self.key.account_id

    def post(self, path: str, document: Any) -> Any:
        return self.transport.post_json(path, document)

    def get(self, path: str, **query: Any) -> Any:
        return self.transport.get_json(
            path, query={name: str(value) for name, value in query.items()}
        )

    def register(self) -> Any:
        body = AccountStatement(
            account=self.account_id,
            public_key=self.key.public.text,
            registered_at_ms=self.now_ms(),
        )
        statement = make_statement(body).signed_by("account", self.key)
        return self.post(
            "/accounts/v0.1/accounts", {"statement": statement_json(statement)}
        )

    def top_up(self, amount: int, transfer_id: str | None = None) -> Any:
        wish = {
            "transferId": transfer_id or new_identifier("top"),
            "amountMicrocredits": amount,
        }
        return self.post("/billing/v0.1/top-ups", wish)

    def balance(self) -> Any:
        return self.get("/billing/v0.1/balance")


@dataclass
class Order:
    """An order with everything needed to send it, or to send it changed."""

    statement: Statement
    openings: Openings
    record_key: bytes
    source: str | None = SOURCE
    input: bytes | None = INPUT

    @property
    def job_id(self) -> str:
        return self.statement.body.job_id  # type: ignore[attr-defined]

    def item(self) -> dict[str, Any]:
        return {
            "order": statement_json(self.statement),
            "openings": openings_json(self.openings),
            "recordKey": encode_base64(self.record_key),
            "source": self.source,
            "input": None if self.input is None else inline(self.input),
        }


LIMITS = JobLimits(
    fuel=10**9,
    memory_bytes=2**26,
    time_ms=1_000,
    input_bytes=1_000,
    output_bytes=10_000,
)
RECIPIENT = Recipient(
    public_key=encode_base64(b"k" * 1216), challenge=digest(b"challenge")
)
ENCLAVE = {"sensitivity": "confidential", "protection": "enclave"}
"""A policy whose input is sealed after the node has shown evidence."""


class Consumer(Party):
    def make_order(self, **changes: Any) -> Order:
        policy = {"sensitivity": "public", "protection": "sandbox"}
        policy |= changes.pop("policy", {})
        is_sealed = policy["protection"] == "enclave"
        source = changes.pop("source", SOURCE)
        data = changes.pop("data", None if is_sealed else INPUT)
        workload = changes.pop("workload", None) or WorkloadReference(
            kind="python_source", content=digest(source.encode()), entry="double"
        )
        job_id = changes.pop("job_id", new_identifier("job"))
        pseudonym = pseudonym_key(self.key, job_id)
        consumer = changes.pop("consumer", pseudonym.public.pseudonym_id)
        terms = OrderTerms(
            account=changes.pop("account", authorise(self.key, job_id, consumer)),
            workload=workload,
            data_policy=DataPolicy(**policy),
            limits=changes.pop("limits", LIMITS),
            input=None if data is None else digest(data),
            price_max=changes.pop("price_max", 10**8),
            recipient=changes.pop("recipient", RECIPIENT if is_sealed else None),
        )
        openings = conceal(terms.private_values())
        body = OrderStatement(
            job_id=job_id,
            consumer=consumer,
            ordered_at_ms=changes.pop("ordered_at_ms", self.now_ms()),
        )
        assert not changes
        statement = make_statement(body, openings).signed_by("consumer", pseudonym)
        return Order(statement, openings, record_key(self.key, job_id), source, data)

    def place(self, *orders: Order) -> list[Any]:
        batch = {"orders": [order.item() for order in orders]}
        return self.post("/compute-jobs/v0.1/jobs", batch)["jobs"]

    def job(self, job_id: str) -> Any:
        return self.get(f"/compute-jobs/v0.1/jobs/{job_id}")

    def wait(self, job_id: str, wait_ms: int = 5_000) -> Any:
        query = {"jobIds": [job_id], "waitMs": wait_ms, "limit": 1}
        return self.post("/compute-jobs/v0.1/retrieve-outcomes", query)["jobs"]

    def seal(self, job_id: str, attempt: int = 1, data: bytes = SEALED) -> Any:
        sealed = {"attempt": attempt, "input": inline(data)}
        return self.post(f"/compute-jobs/v0.1/jobs/{job_id}/input", sealed)

    def countersign(self, job: Any) -> dict[str, Any]:
        statement = parse_statement(canonical_json(job["slice"]))
        key = pseudonym_key(self.key, job["jobId"])
        signed = statement.signed_by("consumer", key)
        signature = signed.signatures[-1].to_json()
        return {
            "jobId": job["jobId"],
            "attempt": job["attempt"],
            "signature": signature,
            "dispute": None,
        }

    def dispute(self, job_id: str, reason: str, attempt: int = 1) -> dict[str, Any]:
        return {
            "jobId": job_id,
            "attempt": attempt,
            "signature": None,
            "dispute": reason,
        }

    def accept(self, *acceptances: dict[str, Any]) -> Any:
        body = {"acceptances": list(acceptances)}
        return self.post("/compute-jobs/v0.1/acceptances", body)["jobs"]

    def settle(self, job_id: str) -> Any:
        """Wait for a job's result and sign for it; gives the job as it was reported."""
        (job,) = self.wait(job_id)
        (settled,) = self.accept(self.countersign(job))
        assert settled["state"] == "charged", settled
        return job

    def receipt(self, job_id: str) -> bytes:
        return self.transport.get_bytes(
            f"/compute-jobs/v0.1/jobs/{job_id}/receipt", size_max=2**20
        )


PRICES = {group: 2 for group in RatingGroup if group != RatingGroup.ROYALTY}


@dataclass
class Provider:
    url: str
    runner: str = RUNNER
    prices: dict[RatingGroup, int] = field(default_factory=lambda: dict(PRICES))
    now_ms: Callable[[], int] = now_ms

    def __post_init__(self) -> None:
        self.party = Party(self.url, now_ms=self.now_ms)
        self.node = Party(self.url, now_ms=self.now_ms)
        self.offer: Statement | None = None

    def close(self) -> None:
        self.party.transport.close()
        self.node.transport.close()

    def register(self) -> None:
        self.party.register()

    def make_offer(self, **changes: Any) -> Statement:
        values: dict[str, Any] = {
            "offer_id": new_identifier("offer"),
            "provider": self.party.account_id,
            "node": self.node.key.node_id,
            "node_key": self.node.key.public.text,
            "name": "test node",
            "tier": "edge_site",
            "jurisdiction": "de",
            "ownership_domain": "example",
            "protections": ("sandbox", "enclave", "homomorphic"),
            "assurance": "simulated",
            "runner": self.runner,
            "engine": "test engine",
            "capacity": NodeCapacity(
                workers=1,
                memory_bytes=2**30,
                fuel_per_s=10**9,
                homomorphic_operations_per_s=10**4,
                link_bytes_per_s=10**8,
                round_trip_ms=1,
            ),
            "prices": self.prices,
            "policy": OfferPolicy(
                sensitivity_classes=(
                    "public",
                    "internal",
                    "confidential",
                    "restricted",
                ),
                categories_refused=(),
                consumers_refused=(),
            ),
            "published_at_ms": self.now_ms(),
            "valid_until_ms": self.now_ms() + 3_600_000,
        }
        body: StatementBody = OfferStatement(**(values | changes))
        statement = make_statement(body).signed_by("provider", self.party.key)
        return statement.signed_by("node", self.node.key)

    def publish_offer(self, **changes: Any) -> Any:
        self.offer = self.make_offer(**changes)
        return self.publish(self.offer)

    def publish(self, offer: Statement) -> Any:
        answer = self.party.post(
            "/catalog/v0.1/offers", {"statement": statement_json(offer)}
        )
        self.beat()
        return answer

    def beat(self, *leases: Any) -> Any:
        held = [{"jobId": x["jobId"], "attempt": x["attempt"]} for x in leases]
        beat = {"commandId": new_identifier("beat"), "leases": held}
        return self.node.post("/node-agent/v0.1/heartbeats", beat)["lost"]

    def take(
        self, limit: int = 8, wait_ms: int = 0, command_id: str | None = None
    ) -> list[Any]:
        query = {
            "commandId": command_id or new_identifier("lease"),
            "limit": limit,
            "waitMs": wait_ms,
        }
        return self.node.post("/node-agent/v0.1/leases", query)["leases"]

    def attest(self, lease: Any, evidence: bytes = EVIDENCE) -> Any:
        report = {"attempt": lease["attempt"], "evidence": inline(evidence)}
        path = f"/node-agent/v0.1/leases/{lease['jobId']}/evidence"
        return self.node.post(path, report)

    def sealed_input(self, lease: Any, wait_ms: int = 0) -> Any:
        path = f"/node-agent/v0.1/leases/{lease['jobId']}/sealed-input"
        return self.node.get(path, attempt=lease["attempt"], waitMs=wait_ms)["input"]

    def make_slice(self, lease: Any, **changes: Any) -> dict[str, Any]:
        """A slice, true but for the changes.

        Beside those to its public fields: `usage`, `numbers` and `left_out` change the
        quantities, `fields` the other private ones, `record_key` and `record` how the
        quantities are blinded, `points` the commitments before they are signed, and
        `openings` what is said to open them.
        """
        usage = changes.pop("usage", Usage(fuel=5_000_000, memory_limit_bytes=2**26))
        result = changes.pop("result", RESULT)
        is_sealed = lease["recipient"] is not None
        groups = [RatingGroup(group) for group in lease["ratingGroups"]]
        numbers = quantity_fields(usage.quantities(), groups)
        fields = {
            "outcome": "succeeded",
            "input_digest": digest(SEALED) if is_sealed else lease["input"]["digest"],
            "result_digest": digest(result),
        }
        secret = changes.pop("record_key", decode_base64(lease["recordKey"]))
        numbers |= changes.pop("numbers", {})
        for name in changes.pop("left_out", ()):
            del numbers[name]
        record = changes.pop("record", (lease["agreement"], 0))
        openings = conceal_numbers(numbers, secret, *record)
        openings |= conceal(fields | changes.pop("fields", {}))
        values = {
            "job_id": lease["jobId"],
            "agreement": lease["agreement"],
            "node": self.node.key.node_id,
            "consumer": lease["consumer"],
            "sequence": 0,
            "finished_at_ms": self.now_ms(),
        }
        key = changes.pop("key", self.node.key)
        points = changes.pop("points", lambda commitments: commitments)
        commitments = points(commit_openings(openings))
        shown = openings_json(openings) | changes.pop("openings", {})
        body = SliceStatement(**(values | changes))
        statement = Statement(body, digest_openings(openings), commitments)
        return {
            "jobId": lease["jobId"],
            "attempt": lease["attempt"],
            "slice": statement_json(statement.signed_by("node", key)),
            "openings": shown,
            "result": inline(result),
        }

    def report(self, *slices: dict[str, Any]) -> Any:
        body = {"slices": list(slices)}
        return self.node.post("/node-agent/v0.1/slices", body)["jobs"]

    def work(self) -> Any:
        """Take what waits, and report a result for each."""
        leases = self.take()
        return self.report(*(self.make_slice(lease) for lease in leases))


class Cast:
    """Makes parties of one market, with its clock; closes their connections."""

    def __init__(self, market: RunningMarket) -> None:
        self._market = market
        self._made = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    def stranger(self, key: PrivateKey | None = None) -> Consumer:
        """Somebody who has not registered."""
        party = Consumer(self._market.url, key, now_ms=self._market.clock.now_ms)
        self._made.callback(party.transport.close)
        return party

    def consumer(self, key: PrivateKey | None = None, *, funds: int = 0) -> Consumer:
        consumer = self.stranger(key)
        consumer.register()
        if funds:
            consumer.top_up(funds)
        return consumer

    def newcomer(self, **values: Any) -> Provider:
        """A registered provider that has published nothing yet."""
        now_ms = self._market.clock.now_ms
        provider = Provider(self._market.url, now_ms=now_ms, **values)
        for party in (provider.party, provider.node):
            self._made.callback(party.transport.close)
        provider.register()
        return provider

    def provider(self, **values: Any) -> Provider:
        provider = self.newcomer(**values)
        provider.publish_offer()
        return provider
