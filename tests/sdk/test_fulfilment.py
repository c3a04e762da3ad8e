"""The loop from order to paid result, against a market of a few lines."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from ledger.charging.tariff import Tariff
from ledger.log.log_keys import LogKeys
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from sdk.errors import (
    InputError,
    JobRefusedError,
    JobTimeoutError,
    MarketAnswerError,
    MarketRefusedError,
)
from sdk.fulfilment import FLYING_MAX, Fulfilment, take_results
from sdk.function_orders import FunctionOrders
from sdk.session import Session
from sdk.source import FunctionSource
from sdk.transport import Transport
from sdk.work import Work

NOW_MS = 1_790_000_000_000
SOURCE = FunctionSource("def f(x):\n    return x\n", "f", "job.py", 1)
ORDERS = FunctionOrders.of(SOURCE, {"sensitivity": "public"})

Answer = Callable[[str, Any], Any]


class Clock:
    """Moves by a second each time it is looked at."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1
        return self.now_s


def make_session(answer: Answer) -> Session:
    key = PrivateKey.generate()

    def respond(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/compute-jobs/v0.1/")
        return httpx.Response(200, json=answer(path, json.loads(request.read())))

    return Session(
        url="http://market.test",
        transport=Transport(
            "http://market.test",
            key,
            now_ms=lambda: NOW_MS,
            http=httpx.MockTransport(respond),
        ),
        key=key,
        now_ms=lambda: NOW_MS,
        market=PrivateKey.generate().account_id,
        log_keys=LogKeys((Signer("log.test", PrivateKey.generate()).verifier,)),
        runner="ab" * 48,
        tariff=Tariff(lines=()),
        lease_ms=1_000,
    )


class Refuser:
    """A market where every order is placed and later released."""

    def __init__(self, **outcome: Any) -> None:
        self.batches: list[int] = []
        self.flying: set[str] = set()
        self.most = 0
        self.outcome = {"state": "released", "reason": "node_lost"} | outcome

    def __call__(self, path: str, document: Any) -> Any:
        if path == "jobs":
            ids = [item["order"]["body"]["jobId"] for item in document["orders"]]
            self.batches.append(len(ids))
            self.flying |= set(ids)
            self.most = max(self.most, len(self.flying))
            jobs = [{"jobId": i, "state": "placed", "attempt": 1} for i in ids]
            return {"jobs": jobs}
        assert path == "retrieve-outcomes"
        assert set(document["jobIds"]) == self.flying
        ended = sorted(self.flying)[: document["limit"]]
        self.flying -= set(ended)
        return {"jobs": [{"jobId": i, "attempt": 1} | self.outcome for i in ended]}


def run(answer: Answer, count: int = 1, **options: Any) -> list[Any]:
    session = make_session(answer)
    works = (ORDERS.work(b"[1]", session) for _ in range(count))
    fulfilment = Fulfilment(
        session, **{"timeout_s": 60.0, "monotonic_s": lambda: 0.0} | options
    )
    return fulfilment.run(works)


def test_released_job_says_why() -> None:
    (ended,) = run(Refuser())
    assert isinstance(ended, JobRefusedError)
    assert ended.code == "JOB.NODE_LOST"
    assert ended.job_id is not None
    with pytest.raises(JobRefusedError, match="gone"):
        take_results([ended])


def test_reason_that_is_not_known_is_shown() -> None:
    (ended,) = run(Refuser(reason="something_new"))
    assert "something_new" in str(ended)


def test_jobs_in_flight_are_bounded_and_no_more_follow_a_failure() -> None:
    market = Refuser()
    ended = run(market, 1_000)
    assert market.batches == [FLYING_MAX]
    assert len(ended) == FLYING_MAX


def test_fewer_can_be_in_flight() -> None:
    market = Refuser()
    assert len(run(market, 10, flying_max=3)) == 3
    assert market.most == 3


def test_large_orders_go_out_in_several_batches() -> None:
    session = make_session(market := Refuser())
    works = (ORDERS.work(b"[" + b" " * 60_000 + b"1]", session) for _ in range(150))
    Fulfilment(session, timeout_s=60, monotonic_s=lambda: 0.0).run(works)
    assert len(market.batches) > 1
    assert sum(market.batches) == 150


def test_no_jobs_ask_nothing() -> None:
    assert run(Refuser(), 0) == []


def test_work_that_cannot_be_made_waits_for_those_in_flight() -> None:
    session = make_session(market := Refuser())

    def works() -> Iterator[Work]:
        yield ORDERS.work(b"[1]", session)
        raise InputError("The second cannot be sent.")

    with pytest.raises(InputError, match="second"):
        Fulfilment(session, timeout_s=60, monotonic_s=lambda: 0.0).run(works())
    assert (market.batches, market.flying) == ([1], set())


def test_order_that_is_refused_alone_is_told() -> None:
    def answer(path: str, document: Any) -> Any:
        (item,) = document["orders"]
        refusal = {
            "status": 409,
            "code": "BILLING.INSUFFICIENT_FUNDS",
            "message": "No.",
        }
        return {"jobs": [{"jobId": item["order"]["body"]["jobId"], **refusal}]}

    (ended,) = run(answer)
    assert isinstance(ended, MarketRefusedError)
    assert ended.code == "BILLING.INSUFFICIENT_FUNDS"


def test_job_that_does_not_end_times_out() -> None:
    market = Refuser()

    def answer(path: str, document: Any) -> Any:
        return market(path, document) if path == "jobs" else {"jobs": []}

    (ended,) = run(answer, timeout_s=10.0, monotonic_s=Clock())
    assert isinstance(ended, JobTimeoutError)
    assert ended.job_id in market.flying


def test_progress_counts_ended_jobs() -> None:
    seen: list[int] = []
    run(Refuser(), 3, ended=seen.append)
    assert seen == [1, 2, 3]


def test_foreign_outcomes_are_left_alone() -> None:
    market = Refuser()

    def answer(path: str, document: Any) -> Any:
        given = market(path, document)
        if path == "retrieve-outcomes":
            foreign = {"jobId": "job_aaaaaaaaaaaaaaaaaaaa", "state": "charged"}
            given["jobs"].append({**foreign, "attempt": 1})
        return given

    assert len(run(answer)) == 1


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"jobs": None}, {"jobs": [{}]}, {"jobs": [{"jobId": 1}]}],
)
def test_garbage_answer_is_named(answer) -> None:
    with pytest.raises(MarketAnswerError):
        run(lambda *_: answer)
    market = Refuser()
    with pytest.raises(MarketAnswerError):
        run(lambda path, doc: market(path, doc) if path == "jobs" else answer)
