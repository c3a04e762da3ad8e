from itertools import pairwise

import pytest

from enclave_sim.homomorphic.circuit import LinearCircuit
from ledger.charging.tariff import RatingGroup
from ledger.limits import PRICE_MICROCREDITS_MAX
from market.catalog.offers import PRICED_GROUPS
from market.catalog.offers import TIERS as MARKET_TIERS
from sdk.errors import InputError
from sdk.provider.tiers import TIERS, find_tier, set_prices


def test_tiers_are_those_of_the_market() -> None:
    assert set(TIERS) == MARKET_TIERS
    assert all(set(tier.prices()) == PRICED_GROUPS for tier in TIERS.values())


def test_prices_fall_towards_the_data_center() -> None:
    for nearer, farther in pairwise(TIERS.values()):
        assert nearer.fuel_microcredits > farther.fuel_microcredits
        assert nearer.homomorphic_microcredits > farther.homomorphic_microcredits
    assert TIERS["device"].fuel_microcredits == 8
    assert TIERS["data_center"].fuel_microcredits == 2


@pytest.mark.parametrize("tier", TIERS.values(), ids=str)
def test_scoring_a_ward_costs_a_few_thousand(tier) -> None:
    circuit = LinearCircuit.from_numbers([[0.5] * 30], [0.0])
    price = circuit.cost_operations(285) * tier.homomorphic_microcredits
    assert 2_000 <= price <= 10_000


def test_given_prices_replace_suggested_ones() -> None:
    tier = find_tier("edge_site")
    prices = set_prices(tier, {"fuel": 0})
    assert prices == tier.prices() | {RatingGroup.FUEL: 0}


@pytest.mark.parametrize(
    "given",
    [{"royalty": 1}, {"gold": 1}, {"fuel": -1}, {"fuel": PRICE_MICROCREDITS_MAX + 1}],
)
def test_impossible_prices_are_refused(given) -> None:
    with pytest.raises(InputError):
        set_prices(find_tier("device"), given)


def test_unknown_tier_is_refused() -> None:
    with pytest.raises(InputError, match="data_center"):
        find_tier("moon")
