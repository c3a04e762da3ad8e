"""Agreements and slices that are well signed, and wrong in one thing."""

from typing import Any

import pytest

from ledger.charging.tariff import RatingGroup, Tariff, TariffLine
from ledger.encoding import parse_json
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.metering.usage import Usage, quantity_fields
from ledger.signing import PrivateKey
from ledger.statements.disclosure import conceal
from ledger.statements.kinds import AgreementStatement, OrderStatement, SliceStatement
from ledger.statements.order_terms import DataPolicy, WorkloadReference
from ledger.statements.statement import Statement, make_statement
from sdk.checking import Agreed, check_usage, read_agreement, read_slice
from sdk.errors import JobDisputedError
from sdk.order import Draft, Order, job_limits, sign_order
from sdk.payloads import payload_digest
from sdk.work import Opened

NOW_MS = 1_790_000_000_000
CONSUMER, MARKET, PROVIDER, NODE, OTHER = (
    PrivateKey(bytes([number]) * 32) for number in range(1, 6)
)
DIGEST = payload_digest(b"x")
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
        "consumer": CONSUMER.account_id,
        "provider": PROVIDER.account_id,
        "node": NODE.node_id,
        "order": order.statement.digest,
        "offer": DIGEST,
        "attempt": 1,
        "tariff": Tariff(lines=lines),
        "hold_transfer": "hold_aaaaaaaaaaaaaaaaaaaa",
        "debit": f"{CONSUMER.account_id}/wallet",
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
        {"consumer": OTHER.account_id},
        {"order": DIGEST},
        {"debit": f"{OTHER.account_id}/wallet"},
        {"debit": f"{CONSUMER.account_id}/clearing"},
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
        job_id=order.job_id, consumer=CONSUMER.account_id, ordered_at_ms=NOW_MS
    )
    statement = make_statement(body, order.openings).signed_by("consumer", CONSUMER)
    with pytest.raises(JobDisputedError, match="another statement"):
        read(statement, order)
    with pytest.raises(JobDisputedError, match="another statement"):
        read_slice(shown(statement), {}, read(make_agreement(order), order), order)


def make_slice(
    agreed: Agreed, /, *, key: PrivateKey = NODE, fields: Any = None, **changes: Any
) -> tuple[Any, Any]:
    openings = conceal(
        quantity_fields(USAGE.quantities())
        | {"outcome": "succeeded", "input_digest": DIGEST, "result_digest": DIGEST}
        | (fields or {})
    )
    values = {
        "job_id": agreed.body.job_id,
        "agreement": agreed.digest,
        "node": key.node_id,
        "consumer": CONSUMER.account_id,
        "sequence": 0,
        "finished_at_ms": NOW_MS,
    }
    body = SliceStatement(**(values | changes))
    statement = make_statement(body, openings).signed_by("node", key)
    return shown(statement), {k: o.to_json() for k, o in openings.items()}


def test_slice_as_agreed_is_accepted() -> None:
    order = make_order()
    agreed = read(make_agreement(order), order)
    reported = read_slice(*make_slice(agreed), agreed, order)
    assert reported.quantities == USAGE.quantities()
    # 3 Mfuel at 3, one MiB-Gfuel and a KiB each way at 2.
    assert reported.total_microcredits == 9 + 2 + 2 + 2


@pytest.mark.parametrize(
    "change",
    [
        {"key": OTHER},
        {"job_id": "job_aaaaaaaaaaaaaaaaaaaa"},
        {"agreement": DIGEST},
        {"consumer": OTHER.account_id},
        {"fields": {"quantity.fuel": 1001}},
        {"fields": {"quantity.royalty": 1}},
        {"fields": {"quantity.homomorphic": 1}},
        {"fields": {"quantity.fuel": -1}},
        {"fields": {"quantity.fuel": "3"}},
    ],
)
def test_slice_with_one_thing_changed_is_disputed(change) -> None:
    order = make_order()
    agreed = read(make_agreement(order), order)
    with pytest.raises(JobDisputedError) as dispute:
        read_slice(*make_slice(agreed, **change), agreed, order)
    assert dispute.value.reason == "usage_wrong"


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


def test_usage_must_be_what_the_run_shows() -> None:
    order = make_order()
    agreed = read(make_agreement(order), order)
    reported = read_slice(*make_slice(agreed), agreed, order)
    check_usage(reported, make_opened())
    for change in (
        {"status": "failed"},
        {"input_digest": payload_digest(b"y")},
        {"usage": Usage(fuel=2 * 10**6, memory_limit_bytes=2**26, bytes_down=9)},
    ):
        with pytest.raises(JobDisputedError):
            check_usage(reported, make_opened(**change))
