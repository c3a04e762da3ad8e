"""What one process does, the other one knows: orders, leases, wake-ups, requests."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from checkers import check_books, log_is_published, statements_of
from parties import Consumer, Provider, now_ms, wait_until
from serving import serve_in_thread

from ledger.identifiers import new_identifier
from ledger.request_signing import sign_request
from market.jobs.models import Job
from sdk.errors import MarketRefusedError

FUNDS = 10**9


def twin(provider: Provider, pair) -> Provider:
    """The same provider, whose node calls the other process."""
    other = Provider(pair.one.url)
    other.party.transport.close()
    other.party = provider.party
    other.node = pair.at_other.stranger(provider.node.key)
    return other


@pytest.fixture
def consumer(pair) -> Consumer:
    return pair.at_one.consumer(funds=FUNDS)


@pytest.fixture
def consumer_elsewhere(pair, consumer) -> Consumer:
    return pair.at_other.stranger(consumer.key)


@pytest.fixture
def provider(pair) -> Provider:
    """A provider of one process, of whose node the other has heard."""
    return introduced(pair.at_one.provider(), pair)


def introduced(provider: Provider, pair) -> Provider:
    node, fleet = provider.node.key.node_id, pair.other.context.broker.fleet
    started_s = time.monotonic()
    wait_until(lambda: fleet.silent_ms(node, now_ms()) < 10_000)
    assert elapsed_s(started_s) < 2
    return provider


def elapsed_s(started_s: float) -> float:
    return time.monotonic() - started_s


def test_job_goes_through_both_processes(
    pair, consumer, consumer_elsewhere, provider
) -> None:
    order = consumer_elsewhere.make_order()
    (placed,) = consumer_elsewhere.place(order)
    assert placed["state"] == "placed"
    (reported,) = twin(provider, pair).work()
    assert reported["state"] == "reported"
    consumer.settle(order.job_id)
    assert consumer_elsewhere.receipt(order.job_id)
    assert consumer.balance() == consumer_elsewhere.balance()
    check_books(pair.one.context.database)


def test_waiting_consumer_hears_of_a_report_made_elsewhere(
    pair, consumer, provider
) -> None:
    order = consumer.make_order()
    consumer.place(order)
    slices = [provider.make_slice(lease) for lease in provider.take()]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(consumer.wait, order.job_id, 10_000)
        time.sleep(0.3)
        started_s = time.monotonic()
        twin(provider, pair).report(*slices)
        (job,) = waiting.result()
    assert job["state"] == "reported"
    assert elapsed_s(started_s) < 1


def test_waiting_node_hears_of_an_order_made_elsewhere(
    pair, consumer, consumer_elsewhere, provider
) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(provider.take, 8, 10_000)
        time.sleep(0.3)
        started_s = time.monotonic()
        consumer_elsewhere.place(consumer_elsewhere.make_order())
        assert len(waiting.result()) == 1
    assert elapsed_s(started_s) < 1


def test_same_command_at_both_has_one_effect_and_one_answer(
    pair, consumer, consumer_elsewhere, provider
) -> None:
    order = consumer.make_order()
    start = threading.Barrier(8)

    def place(who: Consumer) -> object:
        start.wait()
        return who.place(order)

    # A connection answers one request at a time, so each asks with its own.
    askers = [
        cast.stranger(consumer.key)
        for cast in (pair.at_one, pair.at_other)
        for _ in range(4)
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(place, askers))
    assert answers == [answers[0]] * 8
    database = pair.one.context.database
    kinds = [item.kind for item in statements_of(database, order.job_id)]
    assert kinds == ["order", "agreement"]
    check_books(database, held_microcredits=consumer.balance()["heldMicrocredits"])


def test_transfer_id_is_used_once(pair, consumer, consumer_elsewhere) -> None:
    top_up_id = new_identifier("top")
    assert consumer.top_up(5, top_up_id) == consumer_elsewhere.top_up(5, top_up_id)
    with pytest.raises(MarketRefusedError):
        consumer_elsewhere.top_up(6, top_up_id)
    assert consumer.balance()["postedMicrocredits"] == FUNDS + 5


def test_request_is_not_answered_twice(pair, consumer) -> None:
    path = "/billing/v0.1/balance"
    headers = sign_request(
        "GET",
        pair.one.url + path,
        {},
        b"",
        key=consumer.key,
        now_ms=now_ms(),
        nonce="0" * 32,
    )
    database, folder = pair.one.context.database, pair.one.folder
    with (
        # As behind a proxy: what is signed for one is good for the other.
        serve_in_thread(folder, url=database.url, public_url=pair.one.url) as third,
        httpx.Client() as http,
    ):
        first, *repeated = [
            http.get(url + path, headers=headers)
            for url in (third.url, pair.one.url, third.url)
        ]
    assert first.status_code == 200
    assert [answer.status_code for answer in repeated] == [401, 401]


def test_offer_that_was_withdrawn_elsewhere_gets_no_job(
    pair, consumer_elsewhere, provider
) -> None:
    (placed,) = consumer_elsewhere.place(consumer_elsewhere.make_order())
    assert placed["state"] == "placed"
    assert provider.offer is not None
    offer_id = provider.offer.body.offer_id
    provider.party.transport.delete(f"/catalog/v0.1/offers/{offer_id}")
    (refused,) = consumer_elsewhere.place(consumer_elsewhere.make_order())
    assert refused["state"] == "refused"


def test_prices_that_were_changed_elsewhere_count_at_once(
    pair, consumer_elsewhere, provider
) -> None:
    dearer = {**provider.prices, "fuel": 7}
    provider.publish_offer(prices=dearer)
    order = consumer_elsewhere.make_order()
    consumer_elsewhere.place(order)
    assert provider.offer is not None
    with pair.one.context.database.reading() as session:
        job = session.get(Job, order.job_id)
    assert job is not None
    assert provider.offer.digest in job.agreement_entry.decode()


def test_load_of_nodes_is_seen_by_both(pair, consumer, consumer_elsewhere) -> None:
    nodes = [introduced(pair.at_one.provider(), pair) for _ in range(2)]
    for _ in range(3):
        for who in (consumer, consumer_elsewhere):
            who.place(who.make_order())
    assert sorted(len(node.take(limit=8)) for node in nodes) == [3, 3]


def test_role_of_publisher_moves(pair, consumer, provider) -> None:
    context = pair.one.context
    wait_until(lambda: log_is_published(context.log, context.database))
    first, second = pair.one.context.peers.role, pair.other.context.peers.role
    holder, idle = (first, second) if first.is_ours() else (second, first)
    assert not idle.is_ours()
    holder.release()
    wait_until(idle.is_ours)
    order = consumer.make_order()
    consumer.place(order)
    provider.work()
    consumer.settle(order.job_id)
    assert consumer.receipt(order.job_id)
