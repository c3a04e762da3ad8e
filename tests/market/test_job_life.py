"""The life of a job over real HTTP, with scripted parties: money, order, evidence."""

import json
from collections.abc import Callable

import pytest
from checkers import check_books
from no_points import NO_POINTS
from parties import (
    ENCLAVE,
    EVIDENCE,
    INPUT,
    RESULT,
    SEALED,
    Consumer,
    Provider,
    digest,
)

from ledger.encoding import decode_base64, encode_base64
from ledger.metering.usage import Usage
from ledger.signing import PrivateKey
from sdk.errors import MarketRefusedError


def run_once(consumer: Consumer, provider: Provider) -> dict:
    order = consumer.make_order()
    (placed,) = consumer.place(order)
    assert placed["state"] == "placed"
    (reported,) = provider.work()
    assert reported["state"] == "reported"
    return consumer.settle(order.job_id)


def test_job_is_held_run_signed_and_charged(consumer, provider, market) -> None:
    before = consumer.balance()["freeMicrocredits"]
    order = consumer.make_order()
    consumer.place(order)
    held = consumer.balance()["heldMicrocredits"]
    # 1,000 Mfuel at 3, 64 MiB x 1 Gfuel at 2, 1 and 10 KiB at 3.
    assert held == 1000 * 3 + 64 * 2 + 1 * 3 + 10 * 3
    (lease,) = provider.take()
    assert lease["source"] == order.source
    assert decode_base64(lease["input"]["inline"]) == INPUT
    provider.report(provider.make_slice(lease))
    (job,) = consumer.wait(order.job_id)
    assert decode_base64(job["result"]["inline"]) == RESULT
    consumer.accept(consumer.countersign(job))
    after = consumer.balance()
    assert after["heldMicrocredits"] == 0
    # 5 Mfuel at 3 and one MiB-Gfuel at 2.
    assert before - after["freeMicrocredits"] == 17
    assert provider.party.balance()["postedMicrocredits"] == 5 * 2 + 2
    invoice = consumer.get("/billing/v0.1/invoice")
    assert invoice["totalMicrocredits"] == 17
    assert invoice["byGroup"] == {"fuel": 15, "memory": 2}
    earned = provider.party.get("/billing/v0.1/earnings")["byNode"]
    assert earned[provider.node.key.node_id] == {"jobs": 1, "earnedMicrocredits": 12}


def test_same_order_gets_first_answer_again(consumer, provider) -> None:
    order = consumer.make_order()
    assert consumer.place(order) == consumer.place(order)
    assert len(provider.take()) == 1
    assert len(consumer.get("/compute-jobs/v0.1/jobs")["jobs"]) == 1


def test_same_id_with_other_payload_conflicts(consumer, provider) -> None:
    order = consumer.make_order()
    consumer.place(order)
    (answer,) = consumer.place(consumer.make_order(job_id=order.job_id))
    assert (answer["status"], answer["code"]) == (409, "ABORTED")


def test_one_id_may_name_things_of_different_kinds(cast, provider) -> None:
    name = "any_" + "a" * 20
    both = cast.consumer(provider.party.key)
    both.top_up(10**6, name)
    (placed,) = both.place(both.make_order(job_id=name))
    assert placed["state"] == "placed"
    assert provider.publish_offer(offer_id=name) == {"offerId": name}
    assert len(provider.take(command_id=name)) == 1


def test_acceptance_twice_charges_once(consumer, provider) -> None:
    job = run_once(consumer, provider)
    spent = consumer.balance()["postedMicrocredits"]
    assert consumer.accept(consumer.countersign(job))[0]["state"] == "charged"
    assert consumer.balance()["postedMicrocredits"] == spent


def test_enclave_input_waits_for_appraisal(consumer, provider) -> None:
    order = consumer.make_order(policy=ENCLAVE)
    consumer.place(order)
    (lease,) = provider.take()
    assert lease["input"] is None
    assert provider.sealed_input(lease) is None
    provider.attest(lease)
    (job,) = consumer.wait(order.job_id)
    assert job["state"] == "attested"
    assert decode_base64(job["evidence"]["inline"]) == EVIDENCE
    consumer.seal(order.job_id)
    assert decode_base64(provider.sealed_input(lease)["inline"]) == SEALED
    provider.report(provider.make_slice(lease))
    consumer.settle(order.job_id)
    assert consumer.job(order.job_id)["state"] == "charged"


def test_enclave_without_input_cannot_report(consumer, provider) -> None:
    order = consumer.make_order(policy=ENCLAVE)
    consumer.place(order)
    (lease,) = provider.take()
    (answer,) = provider.report(provider.make_slice(lease))
    assert (answer["status"], answer["code"]) == (409, "INCOMPATIBLE_STATE")
    provider.attest(lease)
    (answer,) = provider.report(provider.make_slice(lease))
    assert (answer["status"], answer["code"]) == (409, "INCOMPATIBLE_STATE")
    consumer.seal(order.job_id)
    (answer,) = provider.report(provider.make_slice(lease))
    assert answer["state"] == "reported"


def test_input_is_sealed_once_and_only_when_it_is_due(consumer, provider) -> None:
    order = consumer.make_order(policy=ENCLAVE)
    consumer.place(order)
    with pytest.raises(MarketRefusedError) as too_early:
        consumer.seal(order.job_id)
    assert too_early.value.code == "INCOMPATIBLE_STATE"
    (lease,) = provider.take()
    provider.attest(lease)
    with pytest.raises(MarketRefusedError) as other_attempt:
        consumer.seal(order.job_id, attempt=2)
    assert other_attempt.value.code == "INCOMPATIBLE_STATE"
    assert consumer.seal(order.job_id) == consumer.seal(order.job_id)
    with pytest.raises(MarketRefusedError) as other_input:
        consumer.seal(order.job_id, data=b"something else")
    assert other_input.value.code == "ABORTED"


def test_disputed_evidence_gives_money_back(consumer, provider) -> None:
    order = consumer.make_order(policy=ENCLAVE)
    consumer.place(order)
    (lease,) = provider.take()
    provider.attest(lease)
    dispute = consumer.dispute(order.job_id, "evidence_invalid")
    assert consumer.accept(dispute)[0]["state"] == "released"
    assert consumer.balance()["heldMicrocredits"] == 0
    assert provider.beat(lease) == [{"jobId": order.job_id, "attempt": 1}]


def test_disputed_result_gives_money_back(consumer, provider, market) -> None:
    order = consumer.make_order()
    consumer.place(order)
    provider.work()
    (job,) = consumer.wait(order.job_id)
    dispute = consumer.dispute(order.job_id, "result_invalid")
    assert consumer.accept(dispute)[0]["state"] == "released"
    check_books(market.context.database)
    assert market.context.broker.fleet.jobs_of(provider.node.key.node_id) == 0
    (answer,) = consumer.accept(consumer.countersign(job))
    assert (answer["status"], answer["code"]) == (409, "ABORTED")


def test_slice_beyond_agreement_is_refused(consumer, provider) -> None:
    order = consumer.make_order()
    consumer.place(order)
    (lease,) = provider.take()
    greedy = provider.make_slice(lease, usage=Usage(fuel=10**10))
    (answer,) = provider.report(greedy)
    assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")
    assert consumer.job(order.job_id)["state"] == "leased"


def swap(commitments: dict[str, str]) -> dict[str, str]:
    first, second = commitments["quantity.fuel"], commitments["quantity.memory"]
    return commitments | {"quantity.fuel": second, "quantity.memory": first}


def put(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda commitments: commitments | {"quantity.homomorphic": NO_POINTS[name]}


IDENTITY_OF_NOTHING = {
    "points": put("identity"),
    "openings": {"quantity.homomorphic": {"value": 0, "blinding": "A" * 43 + "="}},
}
"""The commitment to zero without a blinding, truly opened."""


@pytest.mark.parametrize(
    "change",
    [
        {"job_id": "job_aaaaaaaaaaaaaaaaaaaa"},
        {"agreement": digest(b"another agreement")},
        {"finished_at_ms": 1},
        {"fields": {"result_digest": digest(b"another result")}},
        {"fields": {"outcome": "splendid"}},
        {"fields": {"input_digest": digest(b"another input")}},
        {"numbers": {"quantity.royalty": 1}},
        {"numbers": {"quantity.royalty": 0}},
        {"left_out": ["quantity.fuel"]},
        {"left_out": ["quantity.homomorphic"]},
        {"node": "node_" + "a" * 26},
        {"consumer": "psn_" + "a" * 26},
        {"key": PrivateKey.generate()},
        {"record_key": bytes(32)},
        {"record": (digest(b"another agreement"), 0)},
        {"sequence": 1},
        {"openings": {"quantity.fuel": {"value": -1, "blinding": "A" * 43 + "="}}},
        {"openings": {"quantity.fuel": {"value": 5, "blinding": "A" * 43 + "="}}},
        {"openings": {"quantity.fuel": {"value": 5, "salt": "AAAA"}}},
        {"points": swap},
        *({"points": put(name)} for name in NO_POINTS),
        IDENTITY_OF_NOTHING,
    ],
)
def test_slice_with_one_thing_changed_is_refused(consumer, provider, change) -> None:
    order = consumer.make_order()
    consumer.place(order)
    (lease,) = provider.take()
    held = consumer.balance()["heldMicrocredits"]
    (answer,) = provider.report(provider.make_slice(lease, **change))
    assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")
    assert consumer.job(order.job_id)["state"] == "leased"
    assert consumer.balance()["heldMicrocredits"] == held
    (answer,) = provider.report(provider.make_slice(lease))
    assert answer["state"] == "reported"


def test_commitments_and_openings_of_another_job_are_refused(
    consumer, provider
) -> None:
    orders = consumer.make_order(), consumer.make_order()
    consumer.place(*orders)
    first, second = provider.take()
    other = provider.make_slice(second)
    points = other["slice"]["commitments"]
    for wrong in (
        provider.make_slice(first, points=lambda _: points),
        provider.make_slice(first) | {"openings": other["openings"]},
        provider.make_slice(
            first, points=lambda _: points, openings=numbers_of(other["openings"])
        ),
        provider.make_slice(first) | {"slice": other["slice"]},
    ):
        (answer,) = provider.report(wrong)
        assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")
    for order in orders:
        assert consumer.job(order.job_id)["state"] == "leased"
    assert consumer.get("/billing/v0.1/invoice")["jobs"] == 0


def numbers_of(openings: dict[str, dict]) -> dict[str, dict]:
    return {name: item for name, item in openings.items() if "blinding" in item}


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_record_key_of_another_size_is_refused(consumer, provider, size) -> None:
    item = consumer.make_order().item() | {"recordKey": encode_base64(b"k" * size)}
    with pytest.raises(MarketRefusedError) as refusal:
        consumer.post("/compute-jobs/v0.1/jobs", {"orders": [item]})
    assert refusal.value.code == "INVALID_ARGUMENT"
    assert consumer.get("/compute-jobs/v0.1/jobs")["jobs"] == []


def test_node_learns_the_pseudonym_and_not_the_account(consumer, provider) -> None:
    orders = consumer.make_order(), consumer.make_order()
    consumer.place(*orders)
    leases = provider.take()
    names = {lease["consumer"] for lease in leases}
    assert names == {order.statement.body.consumer for order in orders}
    assert len(names) == 2
    assert consumer.account_id not in json.dumps(leases)


def test_order_refused_by_policy_holds_nothing(consumer, provider) -> None:
    policy = {"sensitivity": "restricted", "protection": "enclave"}
    order = consumer.make_order(policy=policy)
    (answer,) = consumer.place(order)
    assert answer["state"] == "refused"
    decision = consumer.get(f"/compute-jobs/v0.1/jobs/{order.job_id}/decision")
    (offer,) = decision["decision"]["offers"]
    assert [item["rule"] for item in offer["refusals"]] == ["sensitivity_floor"]
    assert consumer.balance()["heldMicrocredits"] == 0
    assert consumer.get("/billing/v0.1/invoice")["jobs"] == 0


def test_order_without_funds_is_refused(cast, provider) -> None:
    poor = cast.consumer()
    (answer,) = poor.place(poor.make_order())
    assert (answer["status"], answer["code"]) == (409, "BILLING.INSUFFICIENT_FUNDS")


def test_order_of_unknown_account_is_refused(cast, provider) -> None:
    stranger = cast.stranger()
    (answer,) = stranger.place(stranger.make_order())
    assert (answer["status"], answer["code"]) == (403, "PERMISSION_DENIED")
