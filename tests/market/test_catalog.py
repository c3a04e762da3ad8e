"""Offers and workloads: signed by whom they bind, checked, replaced, withdrawn."""

import pytest
from checkers import check_books, read_statements
from parties import (
    INPUT,
    PRICES,
    Cast,
    Consumer,
    Party,
    Provider,
    digest,
    now_ms,
    statement_json,
)

from enclave_sim.homomorphic.circuit import LinearCircuit
from ledger.charging.tariff import RatingGroup
from ledger.encoding import encode_base64
from ledger.identifiers import new_identifier
from ledger.metering.usage import Usage
from ledger.signing import PrivateKey
from ledger.statements.kinds import AccountStatement, WorkloadStatement
from ledger.statements.order_terms import JobLimits, WorkloadReference
from ledger.statements.statement import make_statement
from market.jobs.models import JobState
from sdk.errors import MarketRefusedError

OFFERS = "/catalog/v0.1/offers"
CIRCUIT = LinearCircuit.from_numbers([[0.5, -2.0], [1.0, 3.0]], [0.25, 0.0])


@pytest.fixture
def maker(shared_cast: Cast) -> Provider:
    return shared_cast.newcomer()


def refusal(call, *arguments, **options) -> tuple[int, str]:
    with pytest.raises(MarketRefusedError) as refused:
        call(*arguments, **options)
    assert refused.value.message
    return refused.value.status, refused.value.code


def offers_of(provider: Provider) -> list[str]:
    answer = provider.party.get(OFFERS, mine="true")
    return [item["offerId"] for item in answer["offers"]]


def post(provider: Provider, statement: object) -> object:
    return provider.party.post(OFFERS, {"statement": statement})


def spoiled(provider: Provider, name: str, value: object) -> object:
    """A signed offer with one field changed after the signing."""
    statement = statement_json(provider.make_offer())
    if value is ...:
        del statement["body"][name]
    else:
        statement["body"][name] = value
    return statement


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tier", "moon"),
        ("tier", "sensing"),
        ("protections", ("sandbox", "prayer")),
        ("protections", ("local",)),
        ("assurance", "hardware"),
        ("assurance", "best"),
        ("prices", {RatingGroup.FUEL: 1}),
        ("prices", PRICES | {RatingGroup.ROYALTY: 1}),
        ("valid_until_ms", 1),
        ("valid_until_ms", 2**52),
        ("node_key", PrivateKey.generate().public.text),
    ],
)
def test_offer_with_a_value_that_means_nothing_is_refused(maker, name, value) -> None:
    offer = maker.make_offer(**{name: value})
    assert refusal(maker.publish, offer) == (400, "INVALID_ARGUMENT")
    assert offers_of(maker) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offerId", "offer 1"),
        ("offerId", ...),
        ("provider", "acc_1"),
        ("node", "node_1"),
        ("nodeKey", "none"),
        ("name", ""),
        ("name", "a" * 65),
        ("tier", 5),
        ("jurisdiction", "DE"),
        ("jurisdiction", ...),
        ("ownershipDomain", None),
        ("protections", []),
        ("protections", ["sandbox"] * 5),
        ("runner", "ab"),
        ("engine", "<script>"),
        ("capacity", {}),
        ("prices", {"fuel": -1}),
        ("prices", {"fuel": 10**9 + 1}),
        ("prices", {"wishes": 1}),
        ("policy", {"sensitivityClasses": []}),
        ("publishedAtMs", -1),
        ("validUntilMs", "tomorrow"),
        ("discount", 5),
    ],
)
def test_offer_out_of_form_is_refused(maker, name, value) -> None:
    statement = spoiled(maker, name, value)
    assert refusal(post, maker, statement) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("name", "value"), [("workers", 0), ("workers", 1025), ("roundTripMs", -1)]
)
def test_capacity_out_of_bounds_is_refused(maker, name, value) -> None:
    statement = statement_json(maker.make_offer())
    statement["body"]["capacity"][name] = value
    assert refusal(post, maker, statement) == (400, "INVALID_ARGUMENT")


def test_offer_that_was_changed_after_signing_is_refused(maker) -> None:
    statement = spoiled(maker, "name", "another name")
    assert refusal(post, maker, statement) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("role", ["provider", "node"])
def test_offer_needs_both_signatures(maker, role) -> None:
    statement = statement_json(maker.make_offer())
    signatures = statement["signatures"]
    statement["signatures"] = [item for item in signatures if item["role"] != role]
    assert refusal(post, maker, statement) == (400, "INVALID_ARGUMENT")
    other = maker.make_offer().signed_by(role, PrivateKey.generate())
    assert refusal(maker.publish, other) == (400, "INVALID_ARGUMENT")
    statement["signatures"] = [*signatures, signatures[0]]
    assert refusal(post, maker, statement) == (400, "INVALID_ARGUMENT")


def test_offer_of_another_provider_is_not_passed_on(maker, shared_cast) -> None:
    other = shared_cast.consumer()
    publication = {"statement": statement_json(maker.make_offer())}
    assert refusal(other.post, OFFERS, publication) == (400, "INVALID_ARGUMENT")


def test_offer_of_unknown_provider_is_refused(maker, shared_cast) -> None:
    maker.party = shared_cast.stranger()
    assert refusal(maker.publish_offer) == (403, "PERMISSION_DENIED")


def test_other_statement_is_no_offer(maker) -> None:
    body = AccountStatement(
        account=maker.party.account_id,
        public_key=maker.party.key.public.text,
        registered_at_ms=now_ms(),
    )
    statement = make_statement(body).signed_by("account", maker.party.key)
    assert refusal(maker.publish, statement) == (400, "INVALID_ARGUMENT")
    assert refusal(post, maker, {"kind": "offer"}) == (400, "INVALID_ARGUMENT")


def test_node_of_another_provider_cannot_be_taken_over(maker, shared_cast) -> None:
    maker.publish_offer()
    thief = shared_cast.newcomer()
    thief.node = maker.node
    assert refusal(thief.publish_offer) == (400, "INVALID_ARGUMENT")
    assert offers_of(maker) == [maker.offer.body.offer_id]


@pytest.mark.parametrize("end", ["withdrawn", "expired"])
def test_node_may_change_provider_once_its_offer_is_over(market, cast, end) -> None:
    first, heir = cast.provider(), cast.newcomer()
    heir.node = first.node
    if end == "withdrawn":
        withdraw(first, first.offer.body.offer_id)
    else:
        first.publish_offer(valid_until_ms=market.clock.now_ms() + 1_000)
        market.clock.advance(1_001)
    heir.publish_offer()
    assert offers_of(heir) == [heir.offer.body.offer_id]
    assert offers_of(first) == []


def test_newer_offer_replaces_the_nodes_earlier_one(maker) -> None:
    maker.publish_offer()
    maker.publish_offer(name="better")
    assert offers_of(maker) == [maker.offer.body.offer_id]


def test_same_offer_again_gets_the_same_answer(maker, shared_market) -> None:
    offer = maker.make_offer()
    assert maker.publish(offer) == maker.publish(offer)
    statements = read_statements(shared_market.context.database)
    assert [item.digest for item in statements].count(offer.digest) == 1


def test_offer_id_with_other_content_conflicts(maker) -> None:
    offer_id = new_identifier("offer")
    maker.publish_offer(offer_id=offer_id)
    other = maker.make_offer(offer_id=offer_id, name="other")
    assert refusal(maker.publish, other) == (409, "ABORTED")


def test_offer_id_of_another_provider_is_refused(maker, shared_cast) -> None:
    maker.publish_offer()
    other = shared_cast.newcomer()
    taken = other.make_offer(offer_id=maker.offer.body.offer_id)
    assert refusal(other.publish, taken) == (400, "INVALID_ARGUMENT")


def withdraw(provider: Provider, offer_id: str) -> None:
    transport = provider.party.transport
    transport._exchange(transport._call("DELETE", f"{OFFERS}/{offer_id}"))


def test_withdrawn_offer_takes_no_more_jobs(market, consumer, provider) -> None:
    order = consumer.make_order()
    consumer.place(order)
    offer_id = provider.offer.body.offer_id
    withdraw(provider, offer_id)
    withdraw(provider, offer_id)
    assert offers_of(provider) == []
    (answer,) = consumer.place(consumer.make_order())
    assert answer["state"] == JobState.REFUSED
    # What the node holds it may finish.
    provider.work()
    consumer.settle(order.job_id)
    check_books(market.context.database)


def test_expired_offer_is_listed_and_chosen_no_more(market, consumer, provider) -> None:
    provider.publish_offer(valid_until_ms=market.clock.now_ms() + 2_000)
    assert len(offers_of(provider)) == 1
    market.clock.advance(2_001)
    assert offers_of(provider) == []
    order = consumer.make_order()
    (answer,) = consumer.place(order)
    assert answer["state"] == "refused"
    decision = consumer.get(f"/compute-jobs/v0.1/jobs/{order.job_id}/decision")
    (offer,) = decision["decision"]["offers"]
    assert [item["rule"] for item in offer["refusals"]] == ["validity"]


def test_offers_are_listed_by_page(cast) -> None:
    providers = [cast.provider() for _ in range(3)]
    party = providers[0].party
    first = party.get(OFFERS, perPage=2)
    second = party.get(OFFERS, perPage=2, page=2)
    listed = [item["offerId"] for item in first["offers"] + second["offers"]]
    assert listed == sorted(item.offer.body.offer_id for item in providers)
    assert first["pagination"] == {
        "page": 1,
        "perPage": 2,
        "totalCount": 3,
        "totalPages": 2,
    }


def workload(owner: Party, content: bytes, **changes: object) -> dict[str, object]:
    values = {
        "workload_id": new_identifier("work"),
        "owner": owner.account_id,
        "name": "risk",
        "workload_kind": "linear_circuit",
        "content": digest(content),
        "royalty_microcredits": 7,
        "published_at_ms": now_ms(),
    }
    statement = make_statement(WorkloadStatement(**(values | changes)))
    signed = statement.signed_by("owner", owner.key)
    return {"statement": statement_json(signed), "content": encode_base64(content)}


def publish(owner: Party, publication: object) -> str:
    answer = owner.post("/catalog/v0.1/workloads", publication)
    return answer["workloadId"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"not a circuit", CIRCUIT.encode() + b" "]
)
def test_content_that_is_no_circuit_is_refused(maker, content) -> None:
    publication = workload(maker.party, content)
    assert refusal(publish, maker.party, publication) == (400, "INVALID_ARGUMENT")


def test_content_that_does_not_fit_its_digest_is_refused(maker) -> None:
    publication = workload(maker.party, CIRCUIT.encode())
    publication["content"] = encode_base64(CIRCUIT.encode() + b" ")
    assert refusal(publish, maker.party, publication) == (400, "INVALID_ARGUMENT")


def test_workload_of_another_kind_or_owner_is_refused(maker, shared_cast) -> None:
    source = workload(maker.party, CIRCUIT.encode(), workload_kind="python_source")
    assert refusal(publish, maker.party, source) == (400, "INVALID_ARGUMENT")
    other = shared_cast.stranger()
    unknown = workload(other, CIRCUIT.encode())
    assert refusal(publish, other, unknown) == (403, "PERMISSION_DENIED")
    assert refusal(publish, maker.party, unknown) == (400, "INVALID_ARGUMENT")


def test_workload_is_described_and_keeps_its_content_private(maker) -> None:
    publication = workload(maker.party, CIRCUIT.encode())
    workload_id = publish(maker.party, publication)
    assert publish(maker.party, publication) == workload_id
    described = maker.node.get(f"/catalog/v0.1/workloads/{workload_id}")
    assert described == {
        "workloadId": workload_id,
        "owner": maker.party.account_id,
        "name": "risk",
        "kind": "linear_circuit",
        "contentDigest": digest(CIRCUIT.encode()),
        "contentBytes": len(CIRCUIT.encode()),
        "royaltyMicrocredits": 7,
    }
    path = "/catalog/v0.1/workloads/work_" + "a" * 20
    assert refusal(maker.node.get, path) == (404, "NOT_FOUND")


def homomorphic_order(consumer: Consumer, workload_id: str, **changes: object):
    reference = WorkloadReference(
        kind="linear_circuit",
        content=changes.pop("content", digest(CIRCUIT.encode())),
        workload_id=workload_id,
    )
    limits = JobLimits(
        fuel=0,
        memory_bytes=0,
        time_ms=1_000,
        input_bytes=1_000,
        output_bytes=1_000,
        rows=changes.pop("rows", 10),
    )
    policy = {"sensitivity": "restricted", "protection": "homomorphic"}
    order = consumer.make_order(workload=reference, limits=limits, policy=policy)
    order.source = None
    return order


def test_owner_is_paid_for_each_run(market, cast, consumer, provider) -> None:
    owner = cast.consumer()
    workload_id = publish(owner, workload(owner, CIRCUIT.encode()))
    order = homomorphic_order(consumer, workload_id)
    before = consumer.balance()["freeMicrocredits"]
    (placed,) = consumer.place(order)
    assert placed["state"] == "placed", placed
    (lease,) = provider.take()
    assert lease["circuit"] == encode_base64(CIRCUIT.encode())
    operations = CIRCUIT.cost_operations(10)
    usage = Usage(homomorphic_operations=operations, royalty_runs=1)
    forgetful = Usage(homomorphic_operations=operations)
    (answer,) = provider.report(provider.make_slice(lease, usage=forgetful))
    assert (answer["status"], answer["code"]) == (400, "INVALID_ARGUMENT")
    provider.report(provider.make_slice(lease, usage=usage))
    consumer.settle(order.job_id)
    assert owner.balance()["freeMicrocredits"] == 7
    assert owner.get("/billing/v0.1/earnings")["royaltiesMicrocredits"] == 7
    paid = before - consumer.balance()["freeMicrocredits"]
    assert paid == operations * (2 + 1) + 7
    check_books(market.context.database)


def test_order_that_does_not_fit_its_workload_is_refused(
    market, consumer, provider
) -> None:
    workload_id = publish(provider.party, workload(provider.party, CIRCUIT.encode()))
    orders = [
        homomorphic_order(consumer, "work_" + "a" * 20),
        homomorphic_order(consumer, workload_id, content=digest(INPUT)),
        homomorphic_order(consumer, workload_id, rows=0),
    ]
    answers = consumer.place(*orders)
    assert [item["status"] for item in answers] == [404, 400, 400]
    assert consumer.get("/compute-jobs/v0.1/jobs")["jobs"] == []
    check_books(market.context.database)
