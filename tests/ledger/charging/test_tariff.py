"""Rating: whole numbers, linear, and nothing rounded."""

from typing import Any

import pytest
from audited_market import fixed_key

from ledger.charging.tariff import RatingGroup, Tariff, TariffLine, rate
from ledger.errors import EncodingError, TariffError
from ledger.limits import (
    AMOUNT_MICROCREDITS_MAX,
    PRICE_MICROCREDITS_MAX,
    QUANTITY_MAX,
)

A, B = fixed_key("a").account_id, fixed_key("b").account_id


def line(group: RatingGroup, role: str, payee: str, price: int) -> TariffLine:
    return TariffLine(group=group, role=role, payee=payee, price_microcredits=price)


TARIFF = Tariff(
    lines=(
        line(RatingGroup.FUEL, "provider", A, 10),
        line(RatingGroup.FUEL, "market", B, 1),
        line(RatingGroup.BYTES_UP, "provider", A, 3),
        line(RatingGroup.ROYALTY, "owner", A, 100),
        line(RatingGroup.BYTES_DOWN, "provider", A, 0),
    )
)


def test_shares_are_price_times_quantity() -> None:
    rating = rate(
        TARIFF,
        {RatingGroup.FUEL: 7, RatingGroup.BYTES_UP: 2, RatingGroup.ROYALTY: 1},
    )
    assert rating.total_microcredits == 183
    assert rating.by_payee_microcredits == {A: 70 + 6 + 100, B: 7}
    assert list(rating.by_payee_microcredits) == [A, B]


def test_payee_of_nothing_stays_payee() -> None:
    rating = rate(TARIFF, {RatingGroup.BYTES_UP: 2, RatingGroup.BYTES_DOWN: 9})
    assert rating.by_payee_microcredits == {A: 6, B: 0}
    assert rate(TARIFF, {}).by_payee_microcredits == {A: 0, B: 0}
    assert rate(Tariff(lines=()), {}).by_payee_microcredits == {}
    assert rate(Tariff(lines=()), {RatingGroup.FUEL: 0}).total_microcredits == 0


@pytest.mark.parametrize("quantity", [-1, QUANTITY_MAX + 1, True, 1.0, "1", None])
def test_quantity_out_of_bounds_is_refused(quantity: Any) -> None:
    with pytest.raises(TariffError, match="out of bounds"):
        rate(TARIFF, {RatingGroup.FUEL: quantity})


def test_group_without_price_is_refused() -> None:
    with pytest.raises(TariffError, match="no price"):
        rate(TARIFF, {RatingGroup.MEMORY: 1})
    assert rate(TARIFF, {RatingGroup.MEMORY: 0}).total_microcredits == 0


def test_total_stays_in_the_books() -> None:
    dear = Tariff(
        lines=(line(RatingGroup.FUEL, "provider", A, PRICE_MICROCREDITS_MAX),)
    )
    most = AMOUNT_MICROCREDITS_MAX // PRICE_MICROCREDITS_MAX
    assert rate(dear, {RatingGroup.FUEL: most}).total_microcredits <= (
        AMOUNT_MICROCREDITS_MAX
    )
    with pytest.raises(TariffError, match="exceeds"):
        rate(dear, {RatingGroup.FUEL: most + 1})


@pytest.mark.parametrize(
    "changes",
    [
        {"group": "gold"},
        {"priceMicrocredits": -1},
        {"priceMicrocredits": PRICE_MICROCREDITS_MAX + 1},
        {"priceMicrocredits": 1.5},
        {"priceMicrocredits": True},
        {"payee": "nobody"},
        {"role": "The Owner"},
        {"more": 1},
    ],
)
def test_line_out_of_form_is_refused(changes: dict[str, Any]) -> None:
    value = TARIFF.lines[0].to_json()
    assert TariffLine.from_json(value) == TARIFF.lines[0]
    with pytest.raises(EncodingError):
        TariffLine.from_json({**value, **changes})


def test_role_has_one_price_for_a_group() -> None:
    doubled = [TARIFF.lines[0].to_json(), TARIFF.lines[0].to_json()]
    with pytest.raises(EncodingError, match="two lines"):
        Tariff.from_json({"lines": doubled})


def test_lines_are_bounded() -> None:
    lines = [
        line(RatingGroup.FUEL, f"role{place}", A, 1).to_json() for place in range(65)
    ]
    Tariff.from_json({"lines": lines[:64]})
    with pytest.raises(EncodingError):
        Tariff.from_json({"lines": lines})
