"""Agreements and slices that are well signed, and wrong in one thing."""

from typing import Any

import pytest
from no_points import NO_POINTS

from ledger.charging.tariff import RatingGroup, Tariff, TariffLine
from ledger.commitments.group import ORDER
from ledger.encoding import decode_base64, encode_base64, parse_json, sha256_text
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.metering.usage import Usage, quantity_fields
from ledger.signing import PrivateKey
from ledger.statements.disclosure import (
    commit_openings,
    conceal,
    conceal_numbers,
    digest_openings,
    openings_json,
)
from ledger.statements.kinds import AgreementStatement, OrderStatement, SliceStatement
from ledger.statements.order_terms import DataPolicy, WorkloadReference
from ledger.statements.statement import Statement, make_statement
from sdk.checking import Agreed, check_usage, read_agreement, read_slice
from sdk.errors import JobDisputedError
from sdk.order import Draft, Order, job_limits, sign_order
from sdk.work import Opened

NOW_MS = 1_790_000_000_000
CONSUMER, MARKET, PROVIDER, NODE, OTHER = (
    PrivateKey(bytes([number]) * 32) for number in range(1, 6)
)
DIGEST = sha256_text(b"x")
USAGE = Usage(fuel=3 * 10**6, memory_limit_bytes=2**26, bytes_up=3, bytes_down=9)


def line(group: RatingGroup, role: str, payee: PrivateKey, price: int) -> TariffLine:
    return TariffLine(
        group=group, role=role, payee=payee.account_id, price_microcredits=price
    )


MARKET_LINE = line(RatingGroup.FUEL, "market", MARKET, 1)
PROVIDER_LINES = tuple(
    line(group, "provider", PROVIDER, 2)
    for group in RatingGroup
    if group is not RatingGroup.ROYALTY
)
ROYALTY = line(RatingGroup.ROYALTY, "owner", OTHER, 7)
MARKET_TARIFF = Tariff(lines=(MARKET_LINE,))


def make_order(*, royalty: TariffLine | None = None, price_max: int = 10**6) -> Order:
    draft = Draft(
        workload=WorkloadReference(kind="python_source", content=DIGEST, entry="f"),
        policy=DataPolicy(sensitivity="public", protection="sandbox"),
        limits=job_limits(
            fuel=10**9,
            memory_bytes=2**26,
            time_ms=1000,
            input_bytes=3,
            output_bytes=10**5,
        ),
        price_max_microcredits=price_max,
        input=b"[1]",
        royalty=royalty,
    )
    return sign_order(draft, key=CONSUMER, now_ms=NOW_MS)


def shown(statement: Statement) -> Any:
    return parse_json(statement.entry, size_max=STATEMENT_BYTES_MAX)


def make_agreement(
    order: Order,
    /,
    *,
    key: PrivateKey = MARKET,
    lines: tuple[TariffLine, ...] = (MARKET_LINE, *PROVIDER_LINES),
    **changes: Any,
) -> Statement:
    values = {
        "job_id": order.job_id,
        "market": key.account_id,
        "consumer": order.body.consumer,
        "provider": PROVIDER.account_id,
        "node": NODE.node_id,
        "order": order.statement.digest,
        "offer": DIGEST,
        "attempt": 1,
        "tariff": Tariff(lines=lines),
        "hold_transfer": "hold_aaaaaaaaaaaaaaaaaaaa",
        "debit": f"{order.body.consumer}/wallet",
        "credit": f"{key.account_id}/clearing",
        "agreed_at_ms": NOW_MS,
        "acceptance_timeout_ms": 600_000,
    }
    openings = conceal({"hold": 5000, "decision": DIGEST})
    body = AgreementStatement(**(values | changes))
    return make_statement(body, openings).signed_by("market", key)


def read(statement: Statement, order: Order) -> Agreed:
    return read_agreement(
        shown(statement),
        order,
        market=MARKET.account_id,
        market_tariff=MARKET_TARIFF,
    )


def test_agreement_as_ordered_is_accepted() -> None:
    order = make_order()
    statement = make_agreement(order)
    assert read(statement, order).digest == statement.digest


def test_royalty_as_published_is_accepted() -> None:
    order = make_order(royalty=ROYALTY)
    lines = (MARKET_LINE, *PROVIDER_LINES, ROYALTY)
    assert read(make_agreement(order, lines=lines), order)


@pytest.mark.parametrize(
    "change",
    [
        {"key": OTHER},
        {"job_id": "job_aaaaaaaaaaaaaaaaaaaa"},
        {"consumer": OTHER.public.pseudonym_id},
        {"order": DIGEST},
        {"debit": f"{OTHER.public.pseudonym_id}/wallet"},
        {"debit": f"{CONSUMER.account_id}/wallet"},
        {"debit": f"{MARKET.account_id}/clearing"},
        {"credit": f"{OTHER.account_id}/clearing"},
        {"lines": PROVIDER_LINES},
        {"lines": (line(RatingGroup.FUEL, "market", MARKET, 2), *PROVIDER_LINES)},
        {"lines": (line(RatingGroup.FUEL, "market", OTHER, 1), *PROVIDER_LINES)},
        {
            "lines": (
                MARKET_LINE,
                line(RatingGroup.MEMORY, "market", MARKET, 1),
                *PROVIDER_LINES,
            )
        },
        {
            "lines": (
                MARKET_LINE,
                line(RatingGroup.FUEL, "provider", OTHER, 2),
                *PROVIDER_LINES[1:],
            )
        },
        {"lines": (MARKET_LINE, *PROVIDER_LINES, ROYALTY)},
        {
            "lines": (
                MARKET_LINE,
                *PROVIDER_LINES,
                line(RatingGroup.FUEL, "friend", OTHER, 1),
            )
        },
        {"lines": (MARKET_LINE,)},
    ],
)
def test_agreement_with_one_thing_changed_is_disputed(change) -> None:
    order = make_order()
    with pytest.raises(JobDisputedError) as dispute:
        read(make_agreement(order, **change), order)
    assert dispute.value.reason == "usage_wrong"


@pytest.mark.parametrize(
    "owner_line",
    [
        (),
        (line(RatingGroup.ROYALTY, "owner", OTHER, 8),),
        (line(RatingGroup.ROYALTY, "owner", PROVIDER, 7),),
        (ROYALTY, line(RatingGroup.FUEL, "owner", OTHER, 1)),
    ],
)
def test_other_royalty_than_published_is_disputed(owner_line) -> None:
    order = make_order(royalty=ROYALTY)
    lines = (MARKET_LINE, *PROVIDER_LINES, *owner_line)
    with pytest.raises(JobDisputedError, match=r"royalty|price"):
        read(make_agreement(order, lines=lines), order)


def test_hold_beyond_highest_price_is_disputed() -> None:
    order = make_order()
    hold = order.hold_microcredits(Tariff(lines=(MARKET_LINE, *PROVIDER_LINES)))
    exact = make_order(price_max=hold)
    assert read(make_agreement(exact), exact)
    below = make_order(price_max=hold - 1)
    with pytest.raises(JobDisputedError, match=str(hold)):
        read(make_agreement(below), below)


@pytest.mark.parametrize("value", [None, {}, {"kind": "agreement"}, [], "x", 7])
def test_garbage_agreement_is_disputed(value) -> None:
    with pytest.raises(JobDisputedError):
        read_agreement(
            value,
            make_order(),
            market=MARKET.account_id,
            market_tariff=MARKET_TARIFF,
        )


def test_other_statement_of_market_is_no_agreement() -> None:
    order = make_order()
    body = OrderStatement(
        job_id=order.job_id, consumer=order.body.consumer, ordered_at_ms=NOW_MS
    )
    statement = make_statement(body, order.openings).signed_by("consumer", order.key)
    with pytest.raises(JobDisputedError, match="another statement"):
        read(statement, order)
    with pytest.raises(JobDisputedError, match="another statement"):
        read_slice(shown(statement), {}, read(make_agreement(order), order), order)


QUANTITIES = {
    group: count
    for group, count in USAGE.quantities().items()
    if group is not RatingGroup.ROYALTY
}
"""Of the groups that the tariff has a line for."""


def make_slice(
    agreed: Agreed,
    order: Order,
    /,
    *,
    key: PrivateKey = NODE,
    fields: Any = None,
    numbers: Any = None,
    left_out: str = "",
    blinded_by: tuple[bytes, str, int] | None = None,
    points: Any = None,
    **changes: Any,
) -> tuple[Any, Any]:
    """A slice and its openings, true but for the changes.

    `points` replaces commitments after they were made, and is signed all the same.
    """
    quantities = quantity_fields(QUANTITIES, QUANTITIES) | (numbers or {})
    quantities.pop(left_out, None)
    record = blinded_by or (order.record_key, agreed.digest, 0)
    opened = conceal_numbers(quantities, *record)
    opened |= conceal(
        {"outcome": "succeeded", "input_digest": DIGEST, "result_digest": DIGEST}
        | (fields or {})
    )
    values = {
        "job_id": agreed.body.job_id,
        "agreement": agreed.digest,
        "node": key.node_id,
        "consumer": order.body.consumer,
        "sequence": 0,
        "finished_at_ms": NOW_MS,
    }
    body = SliceStatement(**(values | changes))
    commitments = commit_openings(opened)
    if points is not None:
        commitments = points(commitments)
    statement = Statement(body, digest_openings(opened), commitments)
    return shown(statement.signed_by("node", key)), openings_json(opened)


@pytest.fixture
def order() -> Order:
    return make_order()


@pytest.fixture
def agreed(order) -> Agreed:
    return read(make_agreement(order), order)


def dispute_of(slice_json: Any, openings: Any, agreed: Agreed, order: Order) -> str:
    with pytest.raises(JobDisputedError) as dispute:
        read_slice(slice_json, openings, agreed, order)
    assert dispute.value.reason == "usage_wrong"
    return str(dispute.value)


def test_slice_as_agreed_is_accepted(order, agreed) -> None:
    reported = read_slice(*make_slice(agreed, order), agreed, order)
    assert reported.quantities == QUANTITIES
    # 3 Mfuel at 3, one MiB-Gfuel and a KiB each way at 2.
    assert reported.total_microcredits == 9 + 2 + 2 + 2


@pytest.mark.parametrize(
    "change",
    [
        {"key": OTHER},
        {"job_id": "job_aaaaaaaaaaaaaaaaaaaa"},
        {"agreement": DIGEST},
        {"consumer": OTHER.public.pseudonym_id},
        {"numbers": {"quantity.fuel": 1001}},
        {"numbers": {"quantity.royalty": 0}},
        {"numbers": {"quantity.royalty": 1}},
        {"numbers": {"quantity.homomorphic": 1}},
        {"left_out": "quantity.homomorphic"},
        {"left_out": "quantity.fuel"},
    ],
)
def test_slice_with_one_thing_changed_is_disputed(order, agreed, change) -> None:
    dispute_of(*make_slice(agreed, order, **change), agreed, order)


def test_slice_blinded_in_another_way_is_disputed(order, agreed) -> None:
    for blinded_by in (
        (bytes(32), agreed.digest, 0),
        (order.record_key, DIGEST, 0),
        (order.record_key, agreed.digest, 1),
    ):
        given = make_slice(agreed, order, blinded_by=blinded_by)
        assert "record key" in dispute_of(*given, agreed, order)


def swap(commitments: dict[str, str]) -> dict[str, str]:
    first, second = commitments["quantity.fuel"], commitments["quantity.memory"]
    return commitments | {"quantity.fuel": second, "quantity.memory": first}


def test_swapped_commitments_are_disputed(order, agreed) -> None:
    within = make_slice(agreed, order, points=swap)
    assert "does not fit" in dispute_of(*within, agreed, order)
    other = make_order()
    other_slice, _ = make_slice(read(make_agreement(other), other), other)
    foreign = {"quantity.fuel": other_slice["commitments"]["quantity.fuel"]}
    between = make_slice(agreed, order, points=lambda points: points | foreign)
    assert "does not fit" in dispute_of(*between, agreed, order)


def test_openings_of_another_record_are_disputed(order, agreed) -> None:
    given, _ = make_slice(agreed, order)
    other = make_order()
    _, openings = make_slice(read(make_agreement(other), other), other)
    assert "does not fit" in dispute_of(given, openings, agreed, order)


@pytest.mark.parametrize("name", NO_POINTS)
def test_commitment_that_is_none_is_disputed(order, agreed, name) -> None:
    point = {"quantity.fuel": NO_POINTS[name]}
    given = make_slice(agreed, order, points=lambda points: points | point)
    dispute_of(*given, agreed, order)


def test_identity_that_opens_to_nothing_is_disputed(order, agreed) -> None:
    point = {"quantity.homomorphic": NO_POINTS["identity"]}
    given, openings = make_slice(agreed, order, points=lambda points: points | point)
    openings["quantity.homomorphic"] = {"value": 0, "blinding": "A" * 43 + "="}
    assert "record key" in dispute_of(given, openings, agreed, order)


@pytest.mark.parametrize("value", [-1, 2**53, "3", 3.0, True, None])
def test_opening_out_of_form_is_disputed(order, agreed, value) -> None:
    given, openings = make_slice(agreed, order)
    openings["quantity.fuel"]["value"] = value
    dispute_of(given, openings, agreed, order)


def test_scalar_of_an_opening_has_one_form(order, agreed) -> None:
    given, openings = make_slice(agreed, order)
    blinding = decode_base64(openings["quantity.fuel"]["blinding"])
    larger = int.from_bytes(blinding, "little") + ORDER
    openings["quantity.fuel"]["blinding"] = encode_base64(larger.to_bytes(32, "little"))
    assert "order" in dispute_of(given, openings, agreed, order)


def make_opened(**changes: Any) -> Opened:
    values = {
        "status": "succeeded",
        "value": 1,
        "result_bytes": b"1",
        "log": b"",
        "fuel": USAGE.fuel,
        "usage": USAGE,
        "input_digest": DIGEST,
        "assurance": "none",
        "failure": None,
    }
    return Opened(**(values | changes))


def test_usage_must_be_what_the_run_shows(order, agreed) -> None:
    reported = read_slice(*make_slice(agreed, order), agreed, order)
    check_usage(reported, make_opened())
    for change in (
        {"status": "failed"},
        {"input_digest": sha256_text(b"y")},
        {"usage": Usage(fuel=2 * 10**6, memory_limit_bytes=2**26, bytes_down=9)},
    ):
        with pytest.raises(JobDisputedError):
            check_usage(reported, make_opened(**change))
