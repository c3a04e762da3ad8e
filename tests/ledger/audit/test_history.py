"""What may follow what in a log: each true history is taken, each near miss refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from audited_market import (
    DIGEST,
    ORIGIN,
    START_MS,
    AuditedMarket,
    MadeJob,
    fixed_key,
)

from ledger.audit import recall
from ledger.audit.checked_statement import (
    check_commitments,
    check_signatures,
    read_statement,
)
from ledger.audit.errors import RuleError
from ledger.audit.history import History
from ledger.audit.rules import Rule
from ledger.charging.tariff import RatingGroup, Tariff, TariffLine
from ledger.encoding import encode_base64
from ledger.errors import TileError
from ledger.statements.book_accounts import clearing_of, wallet_of
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    OrderStatement,
    ReleaseStatement,
    SliceStatement,
    TopUpStatement,
)
from ledger.statements.statement import Statement, make_statement

STRANGER = fixed_key("stranger")
PSEUDONYM = fixed_key("owner").public.pseudonym_id


def judge(market: AuditedMarket) -> list[tuple[int, Rule]]:
    """Take all entries of a market; returns which were refused, and why."""
    history = History(ORIGIN, market.entries.__getitem__)
    refused = []
    for index, entry in enumerate(market.entries):
        try:
            statement = read_statement(entry)
            check_signatures(statement)
            check_commitments(statement)
            history.take(index, statement)
        except RuleError as error:
            refused.append((index, error.rule))
    return refused


def last_rule(market: AuditedMarket) -> Rule:
    """The one rule that the last entry breaks, and no other entry any."""
    ((index, rule),) = judge(market)
    assert index == len(market.entries) - 1
    return rule


def agreed(market: AuditedMarket) -> MadeJob:
    job = market.order()
    market.agree(job)
    return job


def used(market: AuditedMarket) -> MadeJob:
    job = agreed(market)
    market.use(job)
    return job


def charge_again(market: AuditedMarket, job: MadeJob, other: ChargeStatement) -> None:
    """Charge a job with the transfer ids of another charge."""
    true = market.charge(job).body
    assert isinstance(true, ChargeStatement)
    market.entries.pop()
    postings = tuple(
        mine.model_copy(update={"transfer_id": used.transfer_id})
        for mine, used in zip(true.postings, other.postings, strict=True)
    )
    market.charge(job, postings=postings)


def test_true_history_is_taken(market: AuditedMarket) -> None:
    market.run_job()
    job = agreed(market)
    market.release(job)
    market.agree(job)
    market.use(job)
    market.release(job)
    market.agree(job)
    market.use(job)
    market.charge(job)
    market.publish_offer()
    market.run_job()
    assert judge(market) == []


def test_market_statement_comes_first() -> None:
    market = AuditedMarket()
    market.register(market.consumer)
    assert judge(market) == [(0, Rule.MARKET)]
    market = AuditedMarket()
    market.open_market()
    market.open_market()
    assert last_rule(market) is Rule.MARKET


def test_market_of_other_log_is_refused() -> None:
    market = AuditedMarket()
    market.open_market(origin="ledger.example/other")
    assert last_rule(market) is Rule.MARKET


def test_history_goes_on_without_market_statement(market: AuditedMarket) -> None:
    market.run_job()
    market.entries[0] = b"{}"
    assert [rule for _, rule in judge(market)] == [Rule.FORM]


@pytest.mark.parametrize("step", ["top_up", "agree", "charge", "release"])
def test_other_market_is_refused(market: AuditedMarket, step: str) -> None:
    job = used(market)
    if step == "agree":
        job = market.order()
    market.market = STRANGER
    changes: dict[str, Any] = {"market": STRANGER.account_id}
    if step == "top_up":
        market.top_up(5, **changes)
    else:
        getattr(market, step)(job, **changes)
    assert last_rule(market) is Rule.MARKET


@pytest.mark.parametrize(
    "statement",
    [
        lambda market: market.publish_offer(provider=STRANGER.account_id),
        lambda market: market.publish_workload(owner=STRANGER.account_id),
        lambda market: market.top_up(5, consumer=STRANGER),
    ],
)
def test_unknown_party_is_refused(
    market: AuditedMarket, statement: Callable[[AuditedMarket], object]
) -> None:
    market.consumer = market.provider = market.owner = STRANGER
    statement(market)
    assert last_rule(market) is Rule.PARTY


def test_second_account_is_refused(market: AuditedMarket) -> None:
    market.register(market.consumer, registered_at_ms=5)
    assert last_rule(market) is Rule.REPEATED


def test_used_ids_are_refused(market: AuditedMarket) -> None:
    """No id of an offer, workload, transfer or job names two things."""
    job = market.run_job()
    body = {kind: item.body for kind, item in job.statements.items()}
    agreement, charge = body["agreement"], body["charge"]
    assert isinstance(agreement, AgreementStatement)
    assert isinstance(charge, ChargeStatement)
    repeats: list[Callable[[], object]] = [
        lambda: market.publish_offer(offer_id="offer_00000000000000000001"),
        lambda: market.publish_workload(workload_id="work_00000000000000000002"),
        lambda: market.top_up(5, transfer_id="topup_00000000000000000003"),
        lambda: market.order(job_id=job.job_id),
        lambda: market.agree(market.order(), hold_transfer=agreement.hold_transfer),
        lambda: charge_again(market, used(market), charge),
    ]
    for repeat in repeats:
        count = len(market.entries)
        repeat()
        assert last_rule(market) is Rule.REPEATED
        del market.entries[count:]


def test_used_release_id_is_refused(market: AuditedMarket) -> None:
    job = agreed(market)
    released = market.release(job).body
    market.agree(job)
    assert isinstance(released, ReleaseStatement)
    market.release(job, transfer_id=released.transfer_id)
    assert last_rule(market) is Rule.REPEATED


def test_names_of_other_things_are_free(market: AuditedMarket) -> None:
    """Nobody spoils a transfer by naming an offer like it."""
    agreement = agreed(market).statements["agreement"].body
    assert isinstance(agreement, AgreementStatement)
    market.publish_offer(offer_id=agreement.hold_transfer)
    market.publish_workload(workload_id=agreement.hold_transfer)
    market.order(job_id=agreement.hold_transfer)
    assert judge(market) == []


def test_transfer_twice_in_one_charge_is_refused(market: AuditedMarket) -> None:
    job = used(market)
    charge = market.charge(job).body
    assert isinstance(charge, ChargeStatement)
    first, *rest = charge.postings
    doubled = [
        item.model_copy(update={"transfer_id": first.transfer_id}) for item in rest
    ]
    market.entries.pop()
    market.charge(job, postings=(first, *doubled))
    assert last_rule(market) is Rule.REPEATED


@pytest.mark.parametrize(
    "changes",
    [
        {"debit": wallet_of(fixed_key("provider").account_id)},
        {"debit": clearing_of(fixed_key("market").account_id)},
        {"credit": clearing_of(fixed_key("market").account_id)},
    ],
)
def test_top_up_between_wrong_accounts_is_refused(
    market: AuditedMarket, changes: dict[str, Any]
) -> None:
    market.top_up(5, **changes)
    assert last_rule(market) is Rule.BALANCE


@pytest.mark.parametrize("name", ["order", "offer"])
def test_agreement_on_nothing_is_refused(market: AuditedMarket, name: str) -> None:
    market.agree(market.order(), **{name: DIGEST})
    assert last_rule(market) is Rule.REFERENCE


def test_agreement_before_its_order_is_refused(market: AuditedMarket) -> None:
    agreed(market)
    market.entries[-2:] = reversed(market.entries[-2:])
    assert judge(market) == [(len(market.entries) - 2, Rule.REFERENCE)]


def test_agreement_on_statement_of_other_kind_is_refused(
    market: AuditedMarket,
) -> None:
    job = market.order()
    market.agree(job, offer=job.statements["order"].digest)
    assert last_rule(market) is Rule.REFERENCE


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"provider": fixed_key("owner").account_id}, Rule.AGREEMENT),
        ({"node": STRANGER.node_id}, Rule.AGREEMENT),
        ({"agreed_at_ms": START_MS + 10**9}, Rule.AGREEMENT),
        ({"consumer": PSEUDONYM}, Rule.AGREEMENT),
        ({"debit": wallet_of(fixed_key("owner").account_id)}, Rule.AGREEMENT),
        ({"credit": wallet_of(fixed_key("market").account_id)}, Rule.AGREEMENT),
        ({"attempt": 2}, Rule.AGREEMENT),
        ({"tariff": Tariff(lines=())}, Rule.TARIFF),
    ],
)
def test_agreement_that_does_not_fit_is_refused(
    market: AuditedMarket, changes: dict[str, Any], rule: Rule
) -> None:
    market.agree(market.order(), **changes)
    assert last_rule(market) is rule


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        (0, {"price_microcredits": 11}),
        (0, {"payee": STRANGER.account_id}),
        (0, {"role": "friend"}),
        (0, {"group": RatingGroup.MEMORY}),
        (2, {"price_microcredits": 2}),
        (2, {"payee": STRANGER.account_id}),
        (3, {"price_microcredits": 99}),
        (3, {"payee": STRANGER.account_id}),
        (3, {"group": RatingGroup.MEMORY}),
    ],
)
def test_tariff_with_one_wrong_line_is_refused(
    market: AuditedMarket, place: int, changes: dict[str, Any]
) -> None:
    lines = list(market.tariff().lines)
    lines[place] = lines[place].model_copy(update=changes)
    market.agree(market.order(), tariff=Tariff(lines=tuple(lines)))
    assert last_rule(market) is Rule.TARIFF


@pytest.mark.parametrize("role", ["provider", "market", "owner"])
def test_tariff_with_one_line_more_is_refused(market: AuditedMarket, role: str) -> None:
    line = TariffLine(
        group=RatingGroup.MEMORY,
        role=role,
        payee=market.owner.account_id,
        price_microcredits=1,
    )
    lines = (*market.tariff().lines, line)
    market.agree(market.order(), tariff=Tariff(lines=lines))
    assert last_rule(market) is Rule.TARIFF


def test_tariff_without_workload_is_taken(market: AuditedMarket) -> None:
    lines = market.tariff().lines[:-1]
    market.agree(market.order(), tariff=Tariff(lines=lines))
    assert judge(market) == []


def test_second_open_agreement_is_refused(market: AuditedMarket) -> None:
    job = agreed(market)
    market.agree(job)
    assert last_rule(market) is Rule.AGREEMENT


def test_same_attempt_twice_is_refused(market: AuditedMarket) -> None:
    job = agreed(market)
    market.release(job)
    market.agree(job, attempt=1)
    assert last_rule(market) is Rule.AGREEMENT


@pytest.mark.parametrize("step", ["use", "charge", "release", "agree"])
def test_nothing_follows_a_charge(market: AuditedMarket, step: str) -> None:
    job = market.run_job()
    getattr(market, step)(job)
    assert last_rule(market) is Rule.REFERENCE


@pytest.mark.parametrize("step", ["use", "charge", "release"])
def test_released_agreement_is_closed(market: AuditedMarket, step: str) -> None:
    job = used(market)
    market.release(job)
    getattr(market, step)(job)
    assert last_rule(market) is Rule.REFERENCE


def test_slice_of_earlier_attempt_is_refused(market: AuditedMarket) -> None:
    """A node that lost its lease cannot charge any more."""
    job = agreed(market)
    lost = job.statements["agreement"]
    market.release(job)
    market.agree(job)
    market.use(job, agreement=lost.digest)
    assert last_rule(market) is Rule.REFERENCE


def test_second_slice_is_refused(market: AuditedMarket) -> None:
    job = used(market)
    market.use(job, sequence=1)
    assert last_rule(market) is Rule.REPEATED


@pytest.mark.parametrize(
    "changes",
    [{"job_id": "job_" + "9" * 20}, {"consumer": PSEUDONYM}],
)
def test_slice_of_other_job_is_refused(
    market: AuditedMarket, changes: dict[str, Any]
) -> None:
    job = agreed(market)
    job.key = fixed_key("owner") if "consumer" in changes else job.key
    market.use(job, **changes)
    assert last_rule(market) in {Rule.SLICE, Rule.REFERENCE}


@pytest.mark.parametrize(
    "groups",
    [
        [RatingGroup.FUEL, RatingGroup.BYTES_UP],
        [group for group in RatingGroup if group is not RatingGroup.MEMORY],
    ],
)
def test_slice_with_other_rating_groups_is_refused(
    market: AuditedMarket, groups: list[RatingGroup]
) -> None:
    market.use(agreed(market), groups=groups)
    assert last_rule(market) is Rule.SLICE


@pytest.mark.parametrize(
    "point",
    [
        bytes(32),
        b"\x01" + bytes(31),
        b"\xff" * 32,
        b"\x02" + bytes(31),
        # Of order 8: it would vanish in multiples.
        bytes.fromhex(
            "26e8958fc2b227b045c3f489f2ef98f0" + "d5dfac05d3c63339b13802886d53fc05"
        ),
    ],
)
def test_number_that_is_no_commitment_is_refused(
    market: AuditedMarket, point: bytes
) -> None:
    true = market.use(agreed(market))
    market.entries.pop()
    commitments = {**true.commitments, "quantity.fuel": encode_base64(point)}
    forged = replace(true, commitments=commitments, signatures=())
    market.add(forged.signed_by("node", market.node))
    assert last_rule(market) is Rule.COMMITMENT


def test_slice_of_other_node_is_refused(market: AuditedMarket) -> None:
    job = agreed(market)
    market.node = STRANGER
    market.use(job)
    assert last_rule(market) is Rule.SLICE


def test_charge_of_other_slice_is_refused(market: AuditedMarket) -> None:
    job, other = used(market), used(market)
    market.charge(job, slice=other.statements["slice"].digest)
    assert last_rule(market) is Rule.REFERENCE


def test_charge_before_its_slice_is_refused(market: AuditedMarket) -> None:
    job = used(market)
    market.charge(job)
    market.entries[-2:] = reversed(market.entries[-2:])
    assert judge(market) == [(len(market.entries) - 2, Rule.REFERENCE)]


def test_charge_to_other_hold_is_refused(market: AuditedMarket) -> None:
    job, other = used(market), agreed(market)
    agreement = other.statements["agreement"].body
    assert isinstance(agreement, AgreementStatement)
    market.charge(job, hold_transfer=agreement.hold_transfer)
    assert last_rule(market) is Rule.CHARGE


def test_charge_without_shares_is_refused(market: AuditedMarket) -> None:
    """Money may not stay with the market's clearing."""
    job = used(market)
    charge = market.charge(job).body
    assert isinstance(charge, ChargeStatement)
    market.entries.pop()
    market.charge(job, postings=charge.postings[:1])
    assert last_rule(market) is Rule.CHARGE


@pytest.mark.parametrize("countersigned", [True, False])
def test_false_acceptance_is_refused(
    market: AuditedMarket, *, countersigned: bool
) -> None:
    job = agreed(market)
    market.use(job, countersigned=countersigned)
    market.charge(job, acceptance="timeout" if countersigned else "countersigned")
    assert last_rule(market) is Rule.ACCEPTANCE


@pytest.mark.parametrize("name", ["hold_transfer", "job_id"])
def test_release_of_other_agreement_is_refused(
    market: AuditedMarket, name: str
) -> None:
    job, other = agreed(market), agreed(market)
    agreement = other.statements["agreement"].body
    market.release(job, **{name: getattr(agreement, name)})
    assert last_rule(market) in {Rule.RELEASE, Rule.REFERENCE}


def test_unsigned_statement_is_refused(market: AuditedMarket) -> None:
    body = OrderStatement(
        job_id=market.new_id("job"),
        consumer=PSEUDONYM,
        ordered_at_ms=START_MS,
    )
    order = market.order().statements["order"]
    market.entries.pop()
    market.add(Statement(body, order.private))
    assert last_rule(market) is Rule.SIGNATURE


def test_slice_without_node_is_refused(market: AuditedMarket) -> None:
    job = agreed(market)
    true = market.use(job)
    market.entries.pop()
    assert isinstance(true.body, SliceStatement)
    market.add(replace(true, signatures=true.signatures[1:]))
    assert last_rule(market) is Rule.SIGNATURE


def test_named_key_must_be_the_one_that_signed(market: AuditedMarket) -> None:
    market.register(STRANGER, public_key=market.owner.public.text)
    assert last_rule(market) is Rule.SIGNATURE
    market.entries.pop()
    market.publish_offer(node_key=market.owner.public.text)
    assert last_rule(market) is Rule.SIGNATURE


def test_signature_of_role_nobody_has_is_refused(market: AuditedMarket) -> None:
    top_up = market.top_up(5)
    market.entries.pop()
    assert isinstance(top_up.body, TopUpStatement)
    market.add(top_up.signed_by("consumer", market.consumer))
    assert last_rule(market) is Rule.SIGNATURE


@pytest.mark.parametrize("entry", [b"", b"{}", b"\xff", b"[" * 60_000, b"null"])
def test_garbage_is_no_statement(market: AuditedMarket, entry: bytes) -> None:
    market.entries.append(entry)
    assert last_rule(market) is Rule.FORM


def test_other_spelling_is_no_statement(market: AuditedMarket) -> None:
    market.entries.append(market.top_up(5).entry.replace(b'":', b'": ', 1))
    assert last_rule(market) is Rule.FORM


def test_old_statements_are_read_again(
    market: AuditedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With next to no memory the same history is taken."""
    monkeypatch.setattr(recall, "RECENT_MAX", 1)
    jobs = [agreed(market) for _ in range(3)]
    for job in jobs:
        market.use(job)
        market.charge(job)
    assert judge(market) == []


@pytest.mark.parametrize("found", [b"{}", None])
def test_statement_that_changed_meanwhile_is_refused(
    market: AuditedMarket, monkeypatch: pytest.MonkeyPatch, found: bytes | None
) -> None:
    monkeypatch.setattr(recall, "RECENT_MAX", 0)
    agreed(market)

    def read(_index: int) -> bytes:
        if found is None:
            raise TileError("It is gone.")
        return found

    history = History(ORIGIN, read)
    *earlier, last = [read_statement(entry) for entry in market.entries]
    for index, statement in enumerate(earlier):
        history.take(index, statement)
    with pytest.raises(RuleError) as caught:
        history.take(len(earlier), last)
    assert caught.value.rule is Rule.REFERENCE


def test_statement_replaced_meanwhile_is_refused(
    market: AuditedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "RECENT_MAX", 0)
    agreed(market)
    history = History(ORIGIN, lambda _index: market.entries[1])
    *earlier, last = [read_statement(entry) for entry in market.entries]
    for index, statement in enumerate(earlier):
        history.take(index, statement)
    with pytest.raises(RuleError, match="has changed"):
        history.take(len(earlier), last)


def test_registry_refuses_what_is_not_its_own(market: AuditedMarket) -> None:
    history = History(ORIGIN, market.entries.__getitem__)
    order = market.order().statements["order"]
    with pytest.raises(AssertionError):
        history._registry.take(
            0, DIGEST, make_statement(order.body, market.openings[order.digest]).body
        )
