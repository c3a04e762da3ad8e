"""Laws of rating: linear, whole, and in bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charging.committed import amount_multiples, commit_amount, open_amounts
from ledger.charging.tariff import Quantities, RatingGroup, Tariff, TariffLine, rate
from ledger.errors import CommitmentError, TariffError
from ledger.limits import AMOUNT_MICROCREDITS_MAX, QUANTITY_MAX
from ledger.metering.usage import Usage, parse_quantities, quantity_fields
from ledger.signing import PrivateKey
from ledger.statements.disclosure import (
    commit_openings,
    conceal_numbers,
    opened_numbers,
    parse_commitments,
)

PAYEES = [PrivateKey(bytes([seed]) * 32).account_id for seed in range(3)]
ROLES = ["provider", "market", "owner"]
PRICES = st.integers(0, 10**4)
# Half of what may be, so that two of them can be added.
QUANTITIES = st.dictionaries(st.sampled_from(RatingGroup), st.integers(0, 10**8))
COUNTS = st.integers(0, 2**40)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    """Every group has a price for at least one payee."""
    lines = [
        TariffLine(
            group=group,
            role=role,
            payee=draw(st.sampled_from(PAYEES)),
            price_microcredits=draw(PRICES),
        )
        for group in RatingGroup
        for role in draw(st.lists(st.sampled_from(ROLES), min_size=1, unique=True))
    ]
    return Tariff(lines=tuple(draw(st.permutations(lines))))


def added(one: Quantities, two: Quantities) -> dict[RatingGroup, int]:
    return {group: one.get(group, 0) + two.get(group, 0) for group in RatingGroup}


@given(tariffs(), QUANTITIES)
def test_total_is_the_sum_of_shares(tariff: Tariff, quantities: Quantities) -> None:
    rating = rate(tariff, quantities)
    assert rating.total_microcredits == sum(rating.by_payee_microcredits.values())
    assert list(rating.by_payee_microcredits) == list(tariff.shares)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(tariffs(), QUANTITIES, st.binary(min_size=32, max_size=32))
def test_commitments_are_rated_like_numbers(
    tariff: Tariff, quantities: Quantities, key: bytes
) -> None:
    """What anybody computes from commitments opens to what the parties compute."""
    fields = quantity_fields(quantities, tariff.groups)
    openings = opened_numbers(conceal_numbers(fields, key, "slice"))
    commitments = parse_commitments(commit_openings(openings))
    rating = rate(tariff, quantities)
    amounts = [rating.total_microcredits, *rating.by_payee_microcredits.values()]
    opened = open_amounts(tariff, openings).values()
    every = amount_multiples(tariff)
    for multiples, opening, amount in zip(
        every, opened, amounts if every else [], strict=True
    ):
        committed = commit_amount(multiples, commitments)
        assert committed is not None
        opening.verify(committed)
        assert opening.value == amount
        with pytest.raises(CommitmentError):
            opening._replace(value=amount + 1).verify(committed)


@given(tariffs(), QUANTITIES)
def test_share_is_the_sum_of_lines(tariff: Tariff, quantities: Quantities) -> None:
    rating = rate(tariff, quantities)
    for payee in PAYEES:
        due = sum(
            line.price_microcredits * quantities.get(line.group, 0)
            for line in tariff.lines
            if line.payee == payee
        )
        assert rating.by_payee_microcredits.get(payee, 0) == due


@given(tariffs(), QUANTITIES, QUANTITIES)
def test_rating_is_linear(tariff: Tariff, one: Quantities, two: Quantities) -> None:
    """Cutting a job into slices changes nothing of what each payee gets."""
    whole, first, second = (rate(tariff, each) for each in (added(one, two), one, two))
    for payee in PAYEES:
        assert whole.by_payee_microcredits.get(payee, 0) == (
            first.by_payee_microcredits.get(payee, 0)
            + second.by_payee_microcredits.get(payee, 0)
        )


@given(tariffs(), QUANTITIES)
def test_order_of_lines_changes_no_share(
    tariff: Tariff, quantities: Quantities
) -> None:
    turned = Tariff(lines=tariff.lines[::-1])
    assert rate(turned, quantities) == rate(tariff, quantities)


@given(tariffs(), st.dictionaries(st.sampled_from(RatingGroup), st.integers()))
def test_rating_of_any_integers_raises_one_error(
    tariff: Tariff, quantities: Quantities
) -> None:
    try:
        rating = rate(tariff, quantities)
    except TariffError:
        return
    assert 0 <= rating.total_microcredits <= AMOUNT_MICROCREDITS_MAX


@given(st.builds(Usage, COUNTS, st.integers(0, 2**31), COUNTS, COUNTS, COUNTS, COUNTS))
def test_usage_is_rounded_up_and_reads_back(usage: Usage) -> None:
    quantities = usage.quantities()
    assert parse_quantities(quantity_fields(quantities, RatingGroup)) == quantities
    fuel = quantities[RatingGroup.FUEL]
    assert (fuel - 1) * 10**6 < usage.fuel <= fuel * 10**6
    up = quantities[RatingGroup.BYTES_UP]
    assert (up - 1) * 2**10 < usage.bytes_up <= up * 2**10


@given(st.builds(Usage, COUNTS, st.integers(0, 2**31), COUNTS, COUNTS), st.data())
def test_more_usage_never_costs_less(usage: Usage, data: st.DataObject) -> None:
    more = Usage(
        fuel=usage.fuel + data.draw(COUNTS),
        memory_limit_bytes=usage.memory_limit_bytes + data.draw(st.integers(0, 2**20)),
        bytes_up=usage.bytes_up + data.draw(COUNTS),
        bytes_down=usage.bytes_down + data.draw(COUNTS),
    )
    less, bound = usage.quantities(), more.quantities()
    assert all(less[group] <= bound[group] for group in RatingGroup)


@given(st.dictionaries(st.text(max_size=20), st.integers() | st.text() | st.none()))
def test_fields_of_anything_raise_one_error(fields: dict[str, object]) -> None:
    try:
        quantities = parse_quantities(fields)
    except TariffError:
        return
    assert all(0 <= quantity <= QUANTITY_MAX for quantity in quantities.values())
