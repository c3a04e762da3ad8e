"""A node that dies loses its jobs, nobody pays twice, and money always comes back."""

import pytest
from checkers import check_books, statements_of
from parties import (
    ENCLAVE,
    PRICES,
    Cast,
    Consumer,
    Provider,
    RunningMarket,
    wait_until,
)

from ledger.errors import LogError
from ledger.log.log import Log
from market import app
from market.jobs import continuity
from market.jobs.continuity import ATTEMPTS_MAX, replace_lost_jobs, resume
from market.jobs.models import Job
from market.placement.rules import NODE_SILENT_MS_MAX
from market.writer import Command
from sdk.errors import MarketRefusedError

HOLD = 1000 * 3 + 64 * 2 + 1 * 3 + 10 * 3
"""What an order's limits cost: 1,000 Mfuel, 64 MiB x 1 Gfuel, 1 and 10 KiB."""
LEASE_MS = 6_000


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "ROUND_S", 0.02)


@pytest.fixture
def second(cast: Cast) -> Provider:
    return cast.provider()


def holder(consumer: Consumer, job_id: str, *providers: Provider) -> Provider:
    """The provider whose node has the job now; the others come after it."""
    node = consumer.job(job_id)["node"]
    (found,) = [item for item in providers if item.node.key.node_id == node]
    return found


def lose_lease(market: RunningMarket, *alive: Provider) -> None:
    """Let a lease time pass, in which only these nodes call."""
    market.clock.advance(LEASE_MS + 1)
    for provider in alive:
        provider.beat()


def wait_for_attempt(consumer: Consumer, job_id: str, attempt: int) -> None:
    wait_until(lambda: consumer.job(job_id)["attempt"] == attempt)


def held(consumer: Consumer) -> int:
    return consumer.balance()["heldMicrocredits"]  # type: ignore[no-any-return]


def test_lost_job_runs_elsewhere_and_is_charged_once(
    market, consumer, provider, second
) -> None:
    order = consumer.make_order()
    consumer.place(order)
    first = holder(consumer, order.job_id, provider, second)
    other = second if first is provider else provider
    (late,) = first.take()
    assert held(consumer) == HOLD
    lose_lease(market, other)
    wait_for_attempt(consumer, order.job_id, 2)
    assert held(consumer) == HOLD
    assert first.beat(late) == [{"jobId": order.job_id, "attempt": 1}]
    (refused,) = first.report(first.make_slice(late))
    assert (refused["status"], refused["code"]) == (409, "NODE_AGENT.LEASE_LOST")
    other.work()
    (refused,) = first.report(first.make_slice(late))
    assert refused["code"] == "NODE_AGENT.LEASE_LOST"
    job = consumer.settle(order.job_id)
    assert (job["attempt"], job["node"]) == (2, other.node.key.node_id)
    assert held(consumer) == 0
    check_books(market.context.database)
    assert consumer.get("/billing/v0.1/invoice")["totalMicrocredits"] == 17
    assert first.party.balance()["postedMicrocredits"] == 0


def test_lost_job_is_told_in_the_log(market, consumer, provider, second) -> None:
    order = consumer.make_order()
    consumer.place(order)
    first = holder(consumer, order.job_id, provider, second)
    other = second if first is provider else provider
    first.take()
    lose_lease(market, other)
    wait_for_attempt(consumer, order.job_id, 2)
    other.work()
    consumer.settle(order.job_id)
    statements = statements_of(market.context.database, order.job_id)
    kinds = ["order", "agreement", "release", "agreement", "slice", "charge"]
    assert [statement.kind for statement in statements] == kinds
    _, agreed, released, again, used, charged = statements
    assert released.body.reason == "node_lost"
    assert released.body.agreement == agreed.digest
    assert released.body.hold_transfer == agreed.body.hold_transfer
    assert (agreed.body.attempt, again.body.attempt) == (1, 2)
    assert again.body.hold_transfer != agreed.body.hold_transfer
    assert used.body.agreement == charged.body.agreement == again.digest


def test_holder_of_lost_lease_may_not_speak_for_the_job(
    market, consumer, provider, second
) -> None:
    order = consumer.make_order(policy=ENCLAVE)
    consumer.place(order)
    first = holder(consumer, order.job_id, provider, second)
    other = second if first is provider else provider
    (late,) = first.take()
    lose_lease(market, other)
    wait_for_attempt(consumer, order.job_id, 2)
    with pytest.raises(MarketRefusedError) as evidence:
        first.attest(late)
    assert evidence.value.code == "NODE_AGENT.LEASE_LOST"
    with pytest.raises(MarketRefusedError) as waiting:
        first.sealed_input(late)
    assert waiting.value.code == "NODE_AGENT.LEASE_LOST"
    (lease,) = other.take()
    other.attest(lease)
    path = f"/compute-jobs/v0.1/jobs/{order.job_id}/payloads/evidence"
    with pytest.raises(MarketRefusedError) as payload:
        first.node.get(path)
    assert payload.value.status == 404
    with pytest.raises(MarketRefusedError) as sealing:
        consumer.seal(order.job_id, attempt=1)
    assert sealing.value.code == "INCOMPATIBLE_STATE"
    consumer.seal(order.job_id, attempt=2)
    other.report(other.make_slice(lease))
    consumer.settle(order.job_id)


def test_lost_job_without_second_node_gives_money_back(
    market, consumer, provider
) -> None:
    order = consumer.make_order()
    consumer.place(order)
    (late,) = provider.take()
    lose_lease(market)
    (job,) = consumer.wait(order.job_id)
    assert (job["state"], job["reason"]) == ("released", "node_lost")
    assert held(consumer) == 0
    check_books(market.context.database)
    decision = consumer.get(f"/compute-jobs/v0.1/jobs/{order.job_id}/decision")
    (offer,) = decision["decision"]["offers"]
    assert "earlier_attempt" in [item["rule"] for item in offer["refusals"]]
    (refused,) = provider.report(provider.make_slice(late))
    assert refused["code"] == "NODE_AGENT.LEASE_LOST"
    assert market.context.broker.fleet.jobs_of(provider.node.key.node_id) == 0


def test_job_that_every_node_loses_is_given_up(market, cast, consumer) -> None:
    providers = [cast.provider() for _ in range(ATTEMPTS_MAX + 1)]
    order = consumer.make_order()
    consumer.place(order)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        wait_for_attempt(consumer, order.job_id, attempt)
        holder(consumer, order.job_id, *providers).take()
        lose_lease(market, *providers)
    (job,) = consumer.wait(order.job_id)
    assert (job["state"], job["reason"]) == ("released", "attempts_exhausted")
    assert job["attempt"] == ATTEMPTS_MAX
    check_books(market.context.database)
    kinds = [item.kind for item in statements_of(market.context.database, order.job_id)]
    assert kinds == ["order", *["agreement", "release"] * ATTEMPTS_MAX]
    for provider in providers:
        assert market.context.broker.fleet.jobs_of(provider.node.key.node_id) == 0


def test_lost_job_that_became_too_dear_is_released(
    market, cast, consumer, provider
) -> None:
    order = consumer.make_order(price_max=HOLD)
    consumer.place(order)
    provider.take()
    dear = cast.provider(prices=dict.fromkeys(PRICES, 1000))
    lose_lease(market, dear)
    (job,) = consumer.wait(order.job_id)
    assert (job["state"], job["reason"]) == ("released", "node_lost")
    check_books(market.context.database)


def test_heartbeats_keep_a_lease(market, consumer, provider, second) -> None:
    order = consumer.make_order()
    consumer.place(order)
    first = holder(consumer, order.job_id, provider, second)
    (lease,) = first.take()
    for _ in range(4):
        market.clock.advance(LEASE_MS * 2 // 3)
        assert first.beat(lease) == []
    first.report(first.make_slice(lease))
    assert consumer.settle(order.job_id)["attempt"] == 1


def test_heartbeat_for_unknown_or_other_attempt_is_lost(
    consumer, provider, second
) -> None:
    order = consumer.make_order()
    consumer.place(order)
    first = holder(consumer, order.job_id, provider, second)
    other = second if first is provider else provider
    (lease,) = first.take()
    unknown = {"jobId": "job_" + "a" * 20, "attempt": 1}
    later = {"jobId": order.job_id, "attempt": 2}
    assert first.beat(lease, unknown, later) == [unknown, later]
    assert other.beat(lease) == [{"jobId": order.job_id, "attempt": 1}]


def test_job_waits_in_the_queue_of_a_busy_node(market, consumer, provider) -> None:
    order = consumer.make_order()
    consumer.place(order)

    def lease_expires_ms() -> int:
        with market.context.database.reading() as session:
            return session.get(Job, order.job_id).lease_expires_ms

    first_ms = lease_expires_ms()
    for _ in range(3):
        market.clock.advance(NODE_SILENT_MS_MAX * 9 // 10)
        provider.beat()
    wait_until(lambda: lease_expires_ms() > first_ms)
    assert consumer.job(order.job_id)["attempt"] == 1
    (reported,) = provider.work()
    assert reported["state"] == "reported"


def test_job_that_is_never_fetched_is_placed_elsewhere(
    market, consumer, provider, second, monkeypatch
) -> None:
    monkeypatch.setattr(continuity, "QUEUE_MS_MAX", 20_000)
    order = consumer.make_order()
    consumer.place(order)
    for _ in range(3):
        market.clock.advance(NODE_SILENT_MS_MAX * 9 // 10)
        provider.beat()
        second.beat()
    wait_for_attempt(consumer, order.job_id, 2)


def test_lease_command_that_is_sent_again_gets_its_leases_again(
    consumer, provider
) -> None:
    consumer.place(consumer.make_order())
    command_id = "lease_" + "a" * 20
    leases = provider.take(command_id=command_id)
    assert len(leases) == 1
    assert provider.take(command_id=command_id) == leases
    assert provider.take() == []


@pytest.mark.slow
def test_unanswered_slice_is_charged_by_the_timeout_rule(hasty_market) -> None:
    with Cast(hasty_market) as cast:
        consumer, provider = cast.consumer(funds=10**6), cast.provider()
        order = consumer.make_order()
        consumer.place(order)
        provider.work()
        (job,) = consumer.wait(order.job_id)
        assert job["state"] == "reported"
        wait_until(lambda: consumer.job(order.job_id)["state"] == "charged")
        (answer,) = consumer.accept(consumer.countersign(job))
        assert (answer["status"], answer["code"]) == (409, "INCOMPATIBLE_STATE")
        assert consumer.balance()["postedMicrocredits"] == 10**6 - 17
        assert consumer.receipt(order.job_id).startswith(b"c2sp.org/tlog-proof")
    statements = statements_of(hasty_market.context.database, order.job_id)
    assert statements[-1].body.acceptance == "timeout"
    assert [item.role for item in statements[-2].signatures] == ["node"]
    check_books(hasty_market.context.database)


def test_restarted_market_takes_no_lease_away(market, consumer, provider) -> None:
    order = consumer.make_order()
    consumer.place(order)
    provider.take()
    broker = market.context.broker

    def pause(transaction):
        # In one transaction with what follows: no other round comes in between.
        market.clock.advance(10 * LEASE_MS)
        transaction.now_ms += 10 * LEASE_MS

    steps = [
        pause,
        lambda transaction: resume(transaction, broker),
        lambda transaction: replace_lost_jobs(transaction, broker),
    ]
    market.context.writer.submit_and_wait(
        [Command(broker.market, "test", None, step) for step in steps]
    )
    job = consumer.job(order.job_id)
    assert (job["state"], job["attempt"]) == ("leased", 1)


def test_rounds_go_on_after_one_that_could_not_be_stored(
    market, consumer, provider, second, monkeypatch
) -> None:
    order = consumer.make_order()
    consumer.place(order)
    first = holder(consumer, order.job_id, provider, second)
    other = second if first is provider else provider
    first.take()
    with monkeypatch.context() as fault:
        failures: list[None] = []

        def fail(*_: object) -> None:
            failures.append(None)
            raise LogError("The disk is full.")

        fault.setattr(Log, "begin", fail)
        market.clock.advance(LEASE_MS + 1)
        wait_until(lambda: len(failures) > 1)
    other.beat()
    wait_for_attempt(consumer, order.job_id, 2)
