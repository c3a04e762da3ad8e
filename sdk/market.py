"""A market as its consumers and owners of workloads use it.

    market = Market.open("http://127.0.0.1:8600", key="alice.key")

Documents are returned as the market sends them, with lowerCamelCase names; amounts
are integer micro-credits, a million to the credit.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack, cast

from ledger.identifiers import new_identifier
from ledger.key_files import create_key as create_key_file
from ledger.key_files import load_key
from ledger.signing import PrivateKey
from sdk.credits import parse_credits
from sdk.disclosure import JOB_RECORDS, Choice, TotalOf, disclosure_lines
from sdk.encrypted import PublishedCircuit, Scorer
from sdk.errors import InputError, MarketAnswerError
from sdk.fulfilment import Fulfilment, take_results
from sdk.function_orders import FunctionOrders
from sdk.offload import RemoteFunction
from sdk.options import JobOptions, JobPlan, OffloadOptions
from sdk.payloads import encode_arguments
from sdk.pins import PinStore, pin_path
from sdk.profile import Profile
from sdk.publishing import publish_circuit
from sdk.receipts import Receipt, fetch_receipt
from sdk.results import JobResult
from sdk.session import Session, open_session
from sdk.source import FunctionSource, read_source
from sdk.transport import Transport

if TYPE_CHECKING:
    from sdk.local import LocalRunner

P = ParamSpec("P")
R = TypeVar("R")

Fields = dict[str, Any]
"""A document of the market."""

PER_PAGE = 100
"""Items in one answer; the market gives no more."""


def _system_now_ms() -> int:
    return time.time_ns() // 1_000_000


class Market:
    """One consumer's door to one market. Safe for several threads.

    Every method that asks the market raises `MarketRefusedError` if it says no, and
    `MarketUnavailableError` if it cannot be reached.
    """

    def __init__(self, session: Session, *, cache: Path) -> None:
        """Use `Market.open`, which also checks who is there.

        Args:
            session: With the market.
            cache: The folder of the runner, for runs on this machine.
        """
        self._session = session
        self._cache = cache
        self._local: LocalRunner | None = None
        self._lock = Lock()

    @classmethod
    def open(
        cls,
        url: str,
        key: PrivateKey | Path | str,
        *,
        create_key: bool = False,
        now_ms: Callable[[], int] = _system_now_ms,
        timeout_s: float = 30.0,
    ) -> Self:
        """Meet a market: check that it is the one met before, and register the key.

        Args:
            url: Of the market, http or https.
            key: Of the consumer, or the file that holds it. Beside a file, the
                market's own keys are pinned; without one they are not remembered.
            create_key: Make the file with a new key if there is none.
            now_ms: The clock, in Unix milliseconds.
            timeout_s: For each step of a request.

        Raises:
            AddressError: `url` is no address of a market.
            PinError: The market shows other keys than when it was first met.
            KeyFileError: The key file is missing, open to others, or damaged.
        """
        path = None if isinstance(key, PrivateKey) else Path(key)
        private = (
            key if isinstance(key, PrivateKey) else _load_key(Path(key), create_key)
        )
        transport = Transport(url, private, now_ms=now_ms, timeout_s=timeout_s)
        try:
            session = open_session(
                url.rstrip("/"),
                transport=transport,
                key=private,
                pins=PinStore(pin_path(path) if path else None),
                now_ms=now_ms,
            )
        except BaseException:
            transport.close()
            raise
        return cls(session, cache=Profile.current().cache)

    @property
    def account_id(self) -> str:
        """The account of the key."""
        return self._session.consumer

    @property
    def market_id(self) -> str:
        """The market's own account, as pinned."""
        return self._session.market

    @property
    def log_keys(self) -> tuple[str, ...]:
        """The verifier keys of the market's log, as pinned."""
        return self._session.log_keys.vkeys

    def offload(
        self, **options: Unpack[OffloadOptions]
    ) -> Callable[[Callable[P, R]], RemoteFunction[P, R]]:
        """Make a function run elsewhere, under a data policy.

        Args:
            options: Of `sdk.options.OffloadOptions`; `sensitivity` must be given.

        Raises:
            InputError: An option is unknown or out of bounds.
            SourceError: When it is applied: the function cannot be sent.
        """
        _require_sensitivity(options)

        def decorate(function: Callable[P, R]) -> RemoteFunction[P, R]:
            orders = FunctionOrders.of(read_source(function), options)
            return RemoteFunction(function, orders, self._session, self._local_runner)

        return decorate

    def run(
        self,
        source: FunctionSource,
        arguments: Sequence[object],
        **options: Unpack[OffloadOptions],
    ) -> JobResult:
        """Run a function that is given as source, once.

        Args:
            source: From `sdk.source.read_file_source`.
            arguments: Positional arguments that have a JSON form.
            options: As for `offload`.

        Raises:
            JobError: As calls of an offloaded function.
            InputError: An option or argument cannot be sent.
        """
        _require_sensitivity(options)
        orders = FunctionOrders.of(source, options)
        work = orders.work(encode_arguments(arguments), self._session)
        fulfilment = Fulfilment(self._session, timeout_s=orders.timeout_s)
        return take_results(fulfilment.run([work]))[0]

    def scorer(
        self, workload_id: str, *, outputs: int = 1, **options: Unpack[JobOptions]
    ) -> Scorer:
        """Apply a published circuit to rows under encryption.

        Args:
            workload_id: Of the circuit.
            outputs: How many scores it gives for each row.
            options: Of `sdk.options.JobOptions`; `sensitivity` must be given.

        Raises:
            InputError: An option is unknown or out of bounds.
        """
        _require_sensitivity(options)
        match self._get(f"/catalog/v0.1/workloads/{_checked_id(workload_id)}"):
            case {
                "owner": str(owner),
                "contentDigest": str(content),
                "royaltyMicrocredits": int(royalty),
                "kind": "linear_circuit",
            }:
                circuit = PublishedCircuit(workload_id, owner, content, royalty)
            case _:
                raise MarketAnswerError("The workload is described as no circuit.")
        plan = JobPlan.of(options, protection="homomorphic")
        return Scorer(circuit, plan, self._session, outputs=outputs)

    def publish_circuit(
        self,
        name: str,
        *,
        weights: Sequence[Sequence[float]],
        bias: Sequence[float],
        royalty_microcredits: int,
    ) -> str:
        """Publish a linear model, to be paid for each use. Nodes see its weights.

        Args:
            name: For people.
            weights: Shape (outputs, features).
            bias: Shape (outputs,).
            royalty_microcredits: Due for each job.

        Returns:
            The workload's id.

        Raises:
            InputError: The model is no circuit, or name or royalty are out of bounds.
        """
        return publish_circuit(
            self._session,
            name,
            weights=weights,
            bias=bias,
            royalty_microcredits=royalty_microcredits,
        )

    def top_up(self, credits_: str | float | Decimal) -> Fields:
        """Add development credit, which stands for money here; returns the balance.

        Raises:
            InputError: Not above 0, or finer than a micro-credit.
        """
        wish: Fields = {
            "transferId": new_identifier("topup"),
            "amountMicrocredits": parse_credits(credits_),
        }
        return _fields(self._session.transport.post_json("/billing/v0.1/top-ups", wish))

    def balance(self) -> Fields:
        """What the account has, what is held for jobs, what is free, and open jobs."""
        return self._get("/billing/v0.1/balance")

    def invoice(self) -> Fields:
        """All charges, with sums by rating group and by payee."""
        return self._get("/billing/v0.1/invoice")

    def earnings(self) -> Fields:
        """What the account earned as a provider, by node, and in royalties."""
        return self._get("/billing/v0.1/earnings")

    def offers(self) -> list[Fields]:
        """All live offers of nodes."""
        return list(self._pages("/catalog/v0.1/offers", "offers"))

    def jobs(self) -> Iterator[Fields]:
        """The account's jobs, newest first; more are fetched as they are asked for."""
        return self._pages("/compute-jobs/v0.1/jobs", "jobs")

    def job(self, job_id: str) -> Fields:
        """One job, with what its state has to show."""
        return self._get(f"/compute-jobs/v0.1/jobs/{_checked_id(job_id)}")

    def explain(self, job_id: str) -> Fields:
        """Why a job was placed where it was, or nowhere: every offer, every reason."""
        return self._get(f"/compute-jobs/v0.1/jobs/{_checked_id(job_id)}/decision")

    def receipt(self, job_id: str) -> Receipt:
        """The receipt of a paid job, to be verified or saved."""
        return fetch_receipt(self._session, _checked_id(job_id))

    def disclose(
        self,
        *,
        jobs: Collection[str] = (),
        records: Collection[str] = JOB_RECORDS,
        total: TotalOf | None = None,
        everything: bool = False,
    ) -> Iterator[bytes]:
        """Show somebody any one record, what all charges come to, or everything.

        Whoever gets the lines, as a file for `sixfold audit log --disclosure`, checks
        them against the public log and learns what they open and nothing else. A
        total names the charges that it adds up, so it shows that they are one party's.

        Args:
            jobs: Open the records of these jobs.
            records: Only these of them, of `sdk.disclosure.JobRecord`.
            total: Open one sum over all charges: of what the account paid, or of what
                it was paid as provider or as owner of workloads.
            everything: Open every record of the account.

        Yields:
            Lines of a disclosure file, checked and with their newlines.

        Raises:
            InputError: Nothing was chosen, or there is no such record or charge.
            MarketAnswerError: The market's openings do not fit its statements.
        """
        chosen = [_checked_id(job_id) for job_id in jobs]
        choice = Choice(chosen, records, total, everything)
        return disclosure_lines(self.disclosures(), choice, self._session.key)

    def disclosures(self) -> Iterator[Fields]:
        """The statements that the account takes part in, with what opens them.

        Keep it secret: it shows what was used and paid. Each item has `statement`,
        its `digest`, and the `openings` that the account may see.
        """
        after = -1
        while True:
            answer = self._session.transport.get_json(
                "/billing/v0.1/disclosures", query={"after": after}
            )
            items = _items(_fields(answer), "disclosures")
            if not items:
                return
            yield from items
            if int(items[-1]["index"]) <= after:
                raise MarketAnswerError("The market repeats its disclosures.")
            after = int(items[-1]["index"])

    def close(self) -> None:
        """End connections and local processes. Nothing can be called afterwards."""
        with self._lock:
            if self._local is not None:
                self._local.close()
        self._session.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _get(self, path: str) -> Fields:
        return _fields(self._session.transport.get_json(path))

    def _pages(self, path: str, name: str) -> Iterator[Fields]:
        page = 1
        while True:
            query: dict[str, str | int] = {"page": page, "perPage": PER_PAGE}
            answer = self._session.transport.get_json(path, query=query)
            items = _items(_fields(answer), name)
            yield from items
            if len(items) < PER_PAGE:
                return
            page += 1

    def _local_runner(self) -> "LocalRunner":
        with self._lock:
            if self._local is None:
                from sdk.local import LocalRunner  # noqa: PLC0415 - needs an extra

                self._local = LocalRunner(self._session, self._cache)
            return self._local


def _load_key(path: Path, create: bool) -> PrivateKey:  # noqa: FBT001 - passed on
    if create and not path.exists():
        return create_key_file(path)
    return load_key(path)


def _require_sensitivity(options: JobOptions) -> None:
    if "sensitivity" not in options:
        raise InputError("Say how sensitive the data is: sensitivity=...")


def _checked_id(text: str) -> str:
    """An id that is safe in an address."""
    if not re.fullmatch(r"[a-z]{2,8}_[a-z0-9]{16,40}", text):
        raise InputError("An id is a word, an underscore, and letters and digits.")
    return text


def _fields(answer: object) -> Fields:
    if not isinstance(answer, dict):
        raise MarketAnswerError("A document was due from the market.")
    return answer


def _items(document: Fields, name: str) -> list[Fields]:
    items = document.get(name)
    if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
        raise MarketAnswerError(f"The market's answer lists no {name}.")
    return cast("list[Fields]", items)
