"""Long polls: woken by what they wait for, ended in time, and never left behind."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from parties import ENCLAVE, SEALED, RunningMarket, wait_until

from ledger.encoding import decode_base64
from market.changes import Changes
from sdk.errors import MarketRefusedError

LONG_MS = 15_000


@pytest.fixture
def in_background():
    with ThreadPoolExecutor(4) as threads:
        yield threads.submit


def waiters(market: RunningMarket) -> int:
    return len(market.context.broker.changes._waiters)


def until_waiting(market: RunningMarket, start: Callable[[], Future]) -> Future:
    before = waiters(market)
    future = start()
    wait_until(lambda: waiters(market) > before)
    return future


def test_node_is_woken_by_an_order(market, consumer, provider, in_background) -> None:
    began_s = time.monotonic()
    waiting = until_waiting(
        market, lambda: in_background(provider.take, wait_ms=LONG_MS)
    )
    order = consumer.make_order()
    consumer.place(order)
    (lease,) = waiting.result()
    assert lease["jobId"] == order.job_id
    assert time.monotonic() - began_s < LONG_MS / 1000
    assert waiters(market) == 0


def test_consumer_is_woken_by_a_result(
    market, consumer, provider, in_background
) -> None:
    order = consumer.make_order()
    consumer.place(order)
    waiting = until_waiting(
        market, lambda: in_background(consumer.wait, order.job_id, LONG_MS)
    )
    provider.work()
    (job,) = waiting.result()
    assert job["state"] == "reported"
    assert waiters(market) == 0


def test_consumer_is_woken_by_evidence_and_node_by_the_input(
    market, consumer, provider, in_background
) -> None:
    order = consumer.make_order(policy=ENCLAVE)
    consumer.place(order)
    (lease,) = provider.take()
    waiting = until_waiting(
        market, lambda: in_background(consumer.wait, order.job_id, LONG_MS)
    )
    provider.attest(lease)
    assert waiting.result()[0]["state"] == "attested"
    waiting = until_waiting(
        market, lambda: in_background(provider.sealed_input, lease, LONG_MS)
    )
    consumer.seal(order.job_id)
    assert decode_base64(waiting.result()["inline"]) == SEALED


def test_node_is_woken_when_its_evidence_is_refused(
    market, consumer, provider, in_background
) -> None:
    order = consumer.make_order(policy=ENCLAVE)
    consumer.place(order)
    (lease,) = provider.take()
    provider.attest(lease)
    waiting = until_waiting(
        market, lambda: in_background(provider.sealed_input, lease, LONG_MS)
    )
    consumer.accept(consumer.dispute(order.job_id, "evidence_invalid"))
    with pytest.raises(MarketRefusedError) as refusal:
        waiting.result(timeout=5)
    assert refusal.value.code == "NODE_AGENT.LEASE_LOST"


def test_receipt_waits_for_its_checkpoint(consumer, provider) -> None:
    order = consumer.make_order()
    consumer.place(order)
    provider.work()
    consumer.settle(order.job_id)
    assert consumer.receipt(order.job_id).startswith(b"c2sp.org/tlog-proof")


def test_wait_ends_in_time(market, consumer, provider) -> None:
    began_s = time.monotonic()
    assert provider.take(wait_ms=50) == []
    assert consumer.wait("job_" + "a" * 20, wait_ms=50) == []
    assert time.monotonic() - began_s < 5
    assert waiters(market) == 0


def test_job_goes_to_one_of_many_calls(
    market, consumer, provider, in_background
) -> None:
    calls = [in_background(provider.take, wait_ms=300) for _ in range(4)]
    consumer.place(consumer.make_order())
    taken = [len(call.result()) for call in calls]
    assert sorted(taken) == [0, 0, 0, 1]


def test_change_before_the_loop_is_known_is_no_fault() -> None:
    Changes().announce(["a"])
