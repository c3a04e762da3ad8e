"""Amounts that nobody sees: rated and shared like those that everybody sees."""

import pytest

from ledger.charging.committed import amount_multiples, commit_amount, open_amounts
from ledger.charging.tariff import RatingGroup, Tariff, TariffLine, rate
from ledger.commitments.pedersen import CommitmentOpening, commit
from ledger.errors import TariffError
from ledger.signing import PrivateKey

A, B = (PrivateKey(bytes([n]) * 32).account_id for n in (1, 2))
TARIFF = Tariff(
    lines=tuple(
        TariffLine(group=group, role=role, payee=payee, price_microcredits=price)
        for group, role, payee, price in (
            (RatingGroup.FUEL, "provider", A, 10),
            (RatingGroup.BYTES_UP, "provider", A, 3),
            (RatingGroup.FUEL, "market", B, 1),
            (RatingGroup.MEMORY, "market", B, 0),
        )
    )
)
OPENINGS = {
    "quantity.fuel": CommitmentOpening(7, 1000),
    "quantity.bytes_up": CommitmentOpening(2, 2000),
    "quantity.memory": CommitmentOpening(5, 3000),
}
COMMITMENTS = {name: commit(*opening) for name, opening in OPENINGS.items()}


def test_amounts_are_the_rated_ones() -> None:
    rating = rate(TARIFF, {RatingGroup.FUEL: 7, RatingGroup.BYTES_UP: 2})
    due = [rating.total_microcredits, *rating.by_payee_microcredits.values()]
    opened = open_amounts(TARIFF, OPENINGS)
    assert list(opened) == ["amount.0", "amount.1", "amount.2"]
    assert [item.value for item in opened.values()] == due == [83, 76, 7]


def test_openings_fit_what_anybody_can_compute() -> None:
    opened = open_amounts(TARIFF, OPENINGS)
    for place, multiples in enumerate(amount_multiples(TARIFF)):
        committed = commit_amount(multiples, COMMITMENTS)
        assert committed is not None
        opened[f"amount.{place}"].verify(committed)


def test_shares_add_up_to_the_total() -> None:
    total, *shares = open_amounts(TARIFF, OPENINGS).values()
    assert total.value == sum(share.value for share in shares)
    assert total.blinding == sum(share.blinding for share in shares)


def test_nobody_with_a_price_means_no_amounts() -> None:
    assert amount_multiples(Tariff(lines=())) == []
    assert open_amounts(Tariff(lines=()), {}) == {}


def test_missing_group_is_refused() -> None:
    fewer = {name: item for name, item in OPENINGS.items() if name != "quantity.fuel"}
    with pytest.raises(TariffError, match="fuel"):
        open_amounts(TARIFF, fewer)
    with pytest.raises(TariffError, match="fuel"):
        commit_amount(amount_multiples(TARIFF)[0], {})
