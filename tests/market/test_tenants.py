"""What belongs to others answers like what does not exist."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from parties import (
    ENCLAVE,
    INPUT,
    Cast,
    Consumer,
    Party,
    Provider,
    RunningMarket,
    digest,
    inline,
)
from serving import serve_in_thread

from ledger.statements.pseudonyms import Authorisation, authorise
from ledger.statements.statement import StatementSignature
from sdk.errors import MarketRefusedError

JOBS = "/compute-jobs/v0.1/jobs"
LEASES = "/node-agent/v0.1/leases"
MISSING_JOB = "job_" + "a" * 20
MISSING_OFFER = "offer_" + "a" * 20
STATES = ("leased", "attested", "sealed", "reported", "charged", "released", "placed")
"""The last stays in its node's queue, which the others before it have passed."""
PUBLIC = {
    ("GET", "/catalog/v0.1/workloads/{workloadId}"),
    ("GET", "/catalog/v0.1/runners/{sha384}"),
    ("GET", "/log/keys/{generation}.tlog-proof"),
    ("GET", "/log/tile/{path}"),
}
"""Routes with ids that everybody may read."""


@dataclass
class World:
    """One tenant with jobs in every state, and another who knows all of their ids."""

    market: RunningMarket
    consumer: Consumer
    provider: Provider
    stranger: Consumer
    other: Provider
    jobs: dict[str, str]
    leases: dict[str, Any]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    with serve_in_thread(folder, lease_ms=600_000) as market, Cast(market) as cast:
        consumer, provider = cast.consumer(funds=10**9), cast.provider()
        others = cast.consumer(), cast.newcomer()
        world = World(market, consumer, provider, *others, {}, {})
        for state in STATES:
            make_job(world, state)
        # Only now, so that all jobs are with the first provider.
        world.other.publish_offer()
        yield world


def make_job(world: World, state: str) -> None:
    consumer, provider = world.consumer, world.provider
    is_sealed = state in {"attested", "sealed"}
    order = consumer.make_order(policy=ENCLAVE if is_sealed else {})
    world.jobs[state] = order.job_id
    consumer.place(order)
    if state == "placed":
        return
    (lease,) = provider.take()
    world.leases[state] = lease
    if is_sealed:
        provider.attest(lease)
    if state == "sealed":
        consumer.seal(order.job_id)
    if state in {"reported", "charged", "released"}:
        provider.report(provider.make_slice(lease))
    if state == "charged":
        consumer.settle(order.job_id)
    if state == "released":
        consumer.accept(consumer.dispute(order.job_id, "result_invalid"))


def answer(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """What a call gives, with the ids that were asked for blotted out."""
    try:
        given = call(*arguments, **options)
    except MarketRefusedError as refusal:
        given = [refusal.status, refusal.code, refusal.message]
    return json.dumps(given, default=repr)


def read(path: str) -> Callable[[World, str], str]:
    def ask(world: World, job_id: str) -> str:
        transport = world.stranger.transport
        return answer(
            transport.get_bytes, f"{JOBS}/{job_id}{path}", size_max=2**20
        ) + answer(
            world.other.node.transport.get_bytes,
            f"{JOBS}/{job_id}{path}",
            size_max=2**20,
        )

    return ask


def accept(world: World, job_id: str) -> str:
    signature = StatementSignature(
        role="consumer", key=world.stranger.key.public.text, signature="AAAA"
    )
    acceptance = {
        "jobId": job_id,
        "attempt": 1,
        "signature": signature.to_json(),
        "dispute": None,
    }
    dispute = world.stranger.dispute(job_id, "usage_wrong")
    return answer(world.stranger.accept, acceptance) + answer(
        world.stranger.accept, dispute
    )


def lease_of(world: World, job_id: str) -> Any:
    """A lease as the stranger's node would have it, all public digests included."""
    known = {lease["jobId"]: lease for lease in world.leases.values()}
    template = known.get(job_id, known[world.jobs["leased"]])
    return template | {"jobId": job_id, "recipient": None, "input": {"digest": ""}}


def report(world: World, job_id: str) -> str:
    return answer(world.other.report, world.other.make_slice(lease_of(world, job_id)))


ASKED: dict[tuple[str, str], Callable[[World, str], str]] = {
    ("GET", f"{JOBS}/{{jobId}}"): read(""),
    ("GET", f"{JOBS}/{{jobId}}/decision"): read("/decision"),
    ("GET", f"{JOBS}/{{jobId}}/receipt"): read("/receipt"),
    ("GET", f"{JOBS}/{{jobId}}/payloads/{{name}}"): lambda world, job_id: "".join(
        read(f"/payloads/{name}")(world, job_id)
        for name in ("input", "result", "evidence", "sealed_input", "nothing")
    ),
    ("POST", f"{JOBS}/{{jobId}}/input"): lambda world, job_id: answer(
        world.stranger.seal, job_id
    ),
    ("POST", "/compute-jobs/v0.1/acceptances"): accept,
    ("POST", "/compute-jobs/v0.1/retrieve-outcomes"): lambda world, job_id: answer(
        world.stranger.wait, job_id, wait_ms=0
    ),
    ("POST", f"{LEASES}/{{jobId}}/evidence"): lambda world, job_id: answer(
        world.other.attest, lease_of(world, job_id)
    ),
    ("GET", f"{LEASES}/{{jobId}}/sealed-input"): lambda world, job_id: answer(
        world.other.sealed_input, lease_of(world, job_id)
    ),
    ("POST", "/node-agent/v0.1/slices"): report,
    ("POST", "/node-agent/v0.1/heartbeats"): lambda world, job_id: answer(
        world.other.beat, lease_of(world, job_id)
    ),
}


def withdraw(world: World, offer_id: str) -> str:
    transport = world.stranger.transport
    call = transport._call("DELETE", f"/catalog/v0.1/offers/{offer_id}")
    return answer(transport._exchange, call)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("route", list(ASKED), ids=" ".join)
def test_foreign_job_answers_like_a_missing_one(world, route, state) -> None:
    job_id = world.jobs[state]
    before = world.consumer.job(job_id)
    assert before["state"] == state
    foreign = ASKED[route](world, job_id)
    missing = ASKED[route](world, MISSING_JOB)
    assert foreign.replace(job_id, "ID") == missing.replace(MISSING_JOB, "ID")
    assert world.consumer.job(job_id) == before


def test_foreign_offer_answers_like_a_missing_one(world) -> None:
    offer_id = world.provider.offer.body.offer_id
    assert withdraw(world, offer_id) == withdraw(world, MISSING_OFFER)
    assert "NOT_FOUND" in withdraw(world, offer_id)


def test_every_route_with_an_id_is_asked(world) -> None:
    asked = {*ASKED, *PUBLIC, ("DELETE", "/catalog/v0.1/offers/{offerId}")}
    with_ids = {
        (method.upper(), path)
        for path, methods in world.market.app.openapi()["paths"].items()
        for method in methods
        if "{" in path
    }
    assert with_ids <= asked


def test_lists_hold_nothing_of_others(world) -> None:
    stranger, node = world.stranger, world.other.node
    assert stranger.get(JOBS)["jobs"] == []
    assert stranger.get("/catalog/v0.1/offers", mine="true")["offers"] == []
    assert stranger.get("/billing/v0.1/invoice")["lines"] == []
    earnings = stranger.get("/billing/v0.1/earnings")
    assert (earnings["byNode"], earnings["royaltiesMicrocredits"]) == ({}, 0)
    kinds = [
        item["kind"]
        for item in stranger.get("/billing/v0.1/disclosures")["disclosures"]
    ]
    assert kinds == ["account"]
    assert world.other.take() == []
    assert node.get("/billing/v0.1/disclosures")["disclosures"] == []


def test_parties_see_the_openings_of_their_own_statements(world) -> None:
    def kinds(party: Party) -> list[str]:
        path = "/billing/v0.1/disclosures"
        found = party.get(path)["disclosures"]
        later = party.get(path, after=found[0]["index"])["disclosures"]
        assert later == found[1:]
        return [item["kind"] for item in found]

    assert kinds(world.consumer)[:2] == ["account", "top_up"]
    assert kinds(world.consumer).count("charge") == 1
    assert kinds(world.provider.party)[:2] == ["account", "offer"]
    assert kinds(world.provider.party).count("slice") == 1
    assert "top_up" not in kinds(world.provider.party)


def blob(party: Party, data: bytes) -> dict[str, Any]:
    answered = party.transport.put_bytes("/blobs/v0.1/blobs", data)
    return {"inline": None, "blob": answered["digest"]}


def test_foreign_blob_answers_like_a_missing_one(world) -> None:
    secret = blob(world.consumer, b"a secret input")
    missing = {"inline": None, "blob": digest(b"never uploaded")}
    stranger = world.stranger
    answers = []
    for payload, data in ((secret, b"a secret input"), (missing, b"never uploaded")):
        order = stranger.make_order(data=data)
        item = order.item() | {"input": payload}
        (given,) = stranger.post(JOBS, {"orders": [item]})["jobs"]
        answers.append(json.dumps(given).replace(order.job_id, "ID"))
    assert answers[0] == answers[1]
    assert '"status": 404' in answers[0]


def test_node_routes_are_for_nodes_alone(world) -> None:
    for path, body in (
        (LEASES, {"commandId": "lease_" + "a" * 20, "limit": 1, "waitMs": 0}),
        ("/node-agent/v0.1/heartbeats", {"commandId": "b_" + "a" * 20, "leases": []}),
        (f"{LEASES}/{MISSING_JOB}/evidence", {"attempt": 1, "evidence": inline(b"e")}),
    ):
        given = answer(world.stranger.post, path, body)
        assert '[404, "NOT_FOUND"' in given, given


def assert_invalid(answers: list[Any]) -> None:
    (given,) = answers
    assert (given["status"], given["code"]) == (400, "INVALID_ARGUMENT")


def test_order_in_anothers_name_is_refused(world) -> None:
    assert_invalid(world.stranger.place(world.consumer.make_order()))
    order = world.stranger.make_order(consumer="psn_" + "a" * 26)
    for sender in (world.stranger, world.consumer):
        assert_invalid(sender.place(order))


def test_order_on_anothers_account_is_refused(world) -> None:
    stranger, key = world.stranger, world.consumer.key
    own = stranger.make_order()
    job_id, pseudonym = own.job_id, own.statement.body.consumer
    mine = authorise(stranger.key, job_id, pseudonym)
    other_job = authorise(key, MISSING_JOB, pseudonym)
    other_pseudonym = authorise(key, job_id, "psn_" + "a" * 26)
    account_as_pseudonym = authorise(key, job_id, world.consumer.account_id)
    forged = [
        Authorisation(key=key.public.text, signature=mine.signature),
        Authorisation(key=key.public.text, signature=""),
        Authorisation(key=mine.key, signature=other_job.signature),
        other_job,
        other_pseudonym,
        account_as_pseudonym,
    ]
    for account in forged:
        order = stranger.make_order(job_id=job_id, account=account)
        for sender in (stranger, world.consumer):
            assert_invalid(sender.place(order))
    before = world.consumer.balance()
    # What the stranger signed is the stranger's to order, and nobody else's.
    order = stranger.make_order(job_id=job_id, account=mine)
    assert_invalid(world.consumer.place(order))
    assert world.consumer.balance() == before


def test_what_a_node_learns_does_not_let_it_order(world) -> None:
    # It has the record key and the pseudonym, and neither key behind them.
    lease = world.leases["leased"]
    signed = authorise(world.other.party.key, MISSING_JOB, lease["consumer"])
    order = world.stranger.make_order(
        job_id=MISSING_JOB, consumer=lease["consumer"], account=signed
    )
    assert_invalid(world.stranger.place(order))


def test_taken_job_id_is_refused_and_shows_nothing(world) -> None:
    order = world.stranger.make_order(job_id=world.jobs["leased"])
    (given,) = world.stranger.place(order)
    assert (given["status"], given["code"]) == (400, "INVALID_ARGUMENT")
    assert digest(INPUT) not in json.dumps(given)
