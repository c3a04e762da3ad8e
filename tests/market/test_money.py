"""Money: whole, bounded, moved once, and never half."""

import threading
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated

import pytest
from checkers import check_books, fleet_is_right, read_statements
from parties import PRICES, Consumer, Provider, RunningMarket, wait_until

from ledger.limits import AMOUNT_MICROCREDITS_MAX, PRICE_MICROCREDITS_MAX
from ledger.metering.usage import Usage
from ledger.statements.order_terms import FUEL_MAX, JobLimits
from market.billing import service
from market.billing.service import TOP_UP_MICROCREDITS_MAX
from sdk.errors import MarketRefusedError

TOP_UPS = "/billing/v0.1/top-ups"
TOP_UP_ID = "top_" + "a" * 20


def refusal(call, *arguments, **options) -> tuple[int, str]:
    with pytest.raises(MarketRefusedError) as refused:
        call(*arguments, **options)
    return refused.value.status, refused.value.code


def free(consumer: Consumer) -> int:
    return consumer.balance()["freeMicrocredits"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "amount",
    [
        -1,
        0,
        TOP_UP_MICROCREDITS_MAX + 1,
        2**53 - 1,
        "5",
        True,
        None,
        [5],
        {"amount": 5},
    ],
)
def test_amount_out_of_form_is_refused(consumer, amount) -> None:
    before = free(consumer)
    assert refusal(consumer.top_up, amount) == (400, "INVALID_ARGUMENT")
    assert free(consumer) == before


@pytest.mark.parametrize("amount", [1, TOP_UP_MICROCREDITS_MAX])
def test_amount_within_bounds_is_taken(consumer, amount) -> None:
    before = free(consumer)
    consumer.top_up(amount)
    assert free(consumer) == before + amount


def test_top_up_counts_once(consumer, market) -> None:
    before = free(consumer)
    first = consumer.top_up(5, TOP_UP_ID)
    assert consumer.top_up(5, TOP_UP_ID) == first
    assert free(consumer) == before + 5
    check_books(market.context.database)


def test_top_up_with_other_amount_conflicts(consumer) -> None:
    before = free(consumer)
    consumer.top_up(5, TOP_UP_ID)
    assert refusal(consumer.top_up, 6, TOP_UP_ID) == (409, "ABORTED")
    assert free(consumer) == before + 5


def test_transfer_id_of_another_tenant_is_refused(consumer, cast) -> None:
    other = cast.consumer()
    other.top_up(5, TOP_UP_ID)
    before = free(consumer)
    assert refusal(consumer.top_up, 5, TOP_UP_ID) == (409, "INCOMPATIBLE_STATE")
    assert free(consumer) == before
    assert free(other) == 5


def test_refused_top_up_may_be_tried_again(cast) -> None:
    consumer = cast.stranger()
    assert refusal(consumer.top_up, 5, TOP_UP_ID) == (403, "PERMISSION_DENIED")
    assert refusal(consumer.balance) == (403, "PERMISSION_DENIED")
    consumer.register()
    consumer.top_up(5, TOP_UP_ID)
    assert free(consumer) == 5


def test_wallet_is_filled_no_further_than_json_is_exact(consumer, monkeypatch) -> None:
    monkeypatch.setattr(service, "WALLET_MICROCREDITS_MAX", free(consumer) + 10)
    assert refusal(consumer.top_up, 11) == (409, "INCOMPATIBLE_STATE")
    consumer.top_up(10)


def test_development_credit_has_an_end(consumer, monkeypatch) -> None:
    monkeypatch.setattr(service, "CREDIT_MICROCREDITS_MAX", free(consumer) + 10)
    assert refusal(consumer.top_up, 11) == (409, "INCOMPATIBLE_STATE")
    consumer.top_up(10)


def test_order_beyond_the_funds_leaves_nothing_behind(market, cast, provider) -> None:
    poor = cast.consumer(funds=3160)
    order = poor.make_order()
    (answer,) = poor.place(order)
    assert (answer["status"], answer["code"]) == (409, "BILLING.INSUFFICIENT_FUNDS")
    assert refusal(poor.job, order.job_id) == (404, "NOT_FOUND")
    assert poor.balance()["freeMicrocredits"] == 3160
    assert poor.balance()["openJobs"] == 0
    assert provider.take() == []
    node = provider.node.key.node_id
    assert market.context.broker.fleet.jobs_of(node) == 0
    kinds = [item.kind for item in read_statements(market.context.database)]
    assert "order" not in kinds
    check_books(market.context.database)
    poor.top_up(1)
    (answer,) = poor.place(order)
    assert answer["state"] == "placed"
    assert poor.balance()["freeMicrocredits"] == 0


def test_orders_share_what_is_free(market, cast, provider) -> None:
    consumer = cast.consumer(funds=2 * 3161 + 1)
    answers = consumer.place(*(consumer.make_order() for _ in range(3)))
    states = [item.get("state", item.get("code")) for item in answers]
    assert states == ["placed", "placed", "BILLING.INSUFFICIENT_FUNDS"]
    assert free(consumer) == 1
    check_books(market.context.database, held_microcredits=2 * 3161)


def test_price_beyond_the_orders_is_refused(consumer, provider) -> None:
    (answer,) = consumer.place(consumer.make_order(price_max=3160))
    assert answer["state"] == "refused"
    (answer,) = consumer.place(consumer.make_order(price_max=3161))
    assert answer["state"] == "placed"


def test_absurd_offer_does_not_spoil_the_market(cast, consumer, provider) -> None:
    absurd = cast.newcomer(prices=dict.fromkeys(PRICES, PRICE_MICROCREDITS_MAX))
    slow = absurd.make_offer().body.capacity.model_copy(update={"fuel_per_s": 0})
    absurd.publish_offer(capacity=slow)
    limits = JobLimits(
        fuel=FUEL_MAX,
        memory_bytes=2**30,
        time_ms=3_600_000,
        input_bytes=10,
        output_bytes=10,
    )
    order = consumer.make_order(limits=limits, price_max=AMOUNT_MICROCREDITS_MAX)
    (answer,) = consumer.place(order)
    assert answer["state"] == "placed", answer
    decision = consumer.get(f"/compute-jobs/v0.1/jobs/{order.job_id}/decision")
    refused = {
        offer["node"]: [item["rule"] for item in offer["refusals"]]
        for offer in decision["decision"]["offers"]
    }
    assert refused == {
        provider.node.key.node_id: [],
        absurd.node.key.node_id: ["price"],
    }


def test_run_that_used_nothing_costs_nothing(market, consumer, provider) -> None:
    before = free(consumer)
    order = consumer.make_order()
    consumer.place(order)
    (lease,) = provider.take()
    nothing = provider.make_slice(lease, usage=Usage(), fields={"outcome": "failed"})
    provider.report(nothing)
    consumer.settle(order.job_id)
    assert free(consumer) == before
    check_books(market.context.database)
    invoice = consumer.get("/billing/v0.1/invoice")
    assert (invoice["jobs"], invoice["totalMicrocredits"]) == (1, 0)


def test_provider_may_buy_from_itself(market, cast, provider) -> None:
    consumer = cast.stranger(provider.party.key)
    consumer.top_up(10**6)
    order = consumer.make_order()
    consumer.place(order)
    provider.work()
    consumer.settle(order.job_id)
    # Only the market's share of 5 Mfuel at 1 is gone.
    assert free(consumer) == 10**6 - 5
    check_books(market.context.database)


def play(
    market: RunningMarket,
    dice: Random,
    consumers: list[Consumer],
    providers: list[Provider],
) -> None:
    """One random step of random parties; whatever it is, the books must balance."""
    consumer, provider = dice.choice(consumers), dice.choice(providers)
    match dice.randrange(7):
        case 0:
            consumer.top_up(dice.randrange(1, 10**4))
        case 1 | 2:
            prices = dice.choice([100, 3161, 10**8])
            consumer.place(consumer.make_order(price_max=prices))
        case 3:
            leases = provider.take(limit=2)
            usage = Usage(fuel=dice.randrange(10**9), memory_limit_bytes=2**26)
            for lease in leases:
                provider.report(provider.make_slice(lease, usage=usage))
        case 4:
            provider.take(limit=1)
            market.clock.advance(1_000)
        case _:
            jobs = consumer.get("/compute-jobs/v0.1/jobs")["jobs"]
            reported = [item for item in jobs if item["state"] == "reported"]
            if reported:
                job = consumer.job(dice.choice(reported)["jobId"])
                word = dice.choice(["accept", "accept", "dispute"])
                dispute = consumer.dispute(job["jobId"], "usage_wrong", job["attempt"])
                signed = consumer.countersign(job)
                consumer.accept(signed if word == "accept" else dispute)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_books_balance_whatever_happens(market, cast, seed) -> None:
    dice = Random(seed)  # noqa: S311
    consumers = [cast.consumer(funds=20_000) for _ in range(2)]
    providers = [cast.provider(prices=dict.fromkeys(PRICES, n)) for n in range(3)]
    fleet = market.context.broker.fleet
    for _ in range(80):
        play(market, dice, consumers, providers)
        for provider in providers:
            provider.beat()
        check_books(market.context.database, held_microcredits=None)
        wait_until(lambda: fleet_is_right(fleet, market.context.database))


@pytest.mark.slow
def test_parallel_identical_orders_are_one(market, cast, consumer, provider) -> None:
    order = consumer.make_order()
    answers: list[object] = []
    ready = threading.Barrier(50)

    def place() -> None:
        party = cast.stranger(consumer.key)
        ready.wait()
        answers.append(party.place(order))

    threads = [threading.Thread(target=place) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [answers[0]] * 50
    assert answers[0] == [{"jobId": order.job_id, "state": "placed", "attempt": 1}]
    check_books(market.context.database, held_microcredits=3161)
    assert len(provider.take()) == 1
