"""The kinds of node, and what each suggests: prices, workers, memory.

Prices are whole micro-credits for one unit of a rating group; a credit is a cent.
The nearer a node is to the user, the less of it there is, and the more it asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.charging.tariff import RatingGroup
from ledger.limits import PRICE_MICROCREDITS_MAX
from sdk.errors import InputError

MEBIBYTE = 2**20
GIBIBYTE = 2**30


@dataclass(frozen=True)
class Tier:
    """What a node of one kind does unless its provider says otherwise."""

    name: str
    fuel_microcredits: int
    """For a megafuel: a million units of sandbox work."""
    homomorphic_microcredits: int
    """For one operation on ciphertexts; scoring a block of 30 features takes 61."""
    workers: int
    """Jobs that run at once, if the machine has as many processors."""
    memory_bytes: int
    """Lent to each job, if the machine has it."""

    def prices(self) -> dict[RatingGroup, int]:
        """Suggested micro-credits per unit of everything that a provider prices."""
        return {
            RatingGroup.FUEL: self.fuel_microcredits,
            RatingGroup.MEMORY: 1,
            RatingGroup.BYTES_UP: 1,
            RatingGroup.BYTES_DOWN: 1,
            RatingGroup.HOMOMORPHIC: self.homomorphic_microcredits,
        }


TIERS: Mapping[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier("device", 8, 100, 1, 512 * MEBIBYTE),
        Tier("cell_site", 6, 80, 2, GIBIBYTE),
        Tier("semi_private_site", 5, 70, 2, 2 * GIBIBYTE),
        Tier("edge_site", 4, 60, 4, 2 * GIBIBYTE),
        Tier("core_site", 3, 50, 8, 2 * GIBIBYTE),
        Tier("data_center", 2, 40, 16, 2 * GIBIBYTE),
    )
}
"""All tiers by name, from the user's hand to the middle of the network. A sandbox
takes no more than 2 GiB, so none lends more."""


def find_tier(name: str) -> Tier:
    """Look a tier up.

    Raises:
        InputError: There is none of this name.
    """
    if name not in TIERS:
        raise InputError(f"The tier is one of {', '.join(TIERS)}.")
    return TIERS[name]


def set_prices(tier: Tier, given: Mapping[str, int]) -> dict[RatingGroup, int]:
    """The tier's prices, with those that the provider names in their place.

    Args:
        tier: Suggests.
        given: Micro-credits per unit, by the name of a rating group.

    Raises:
        InputError: A group that providers do not price, or a price out of bounds.
    """
    prices = tier.prices()
    for name, price in given.items():
        if name not in set(prices):
            raise InputError(f"A provider prices {', '.join(sorted(prices))}.")
        if not 0 <= price <= PRICE_MICROCREDITS_MAX:
            raise InputError(
                f"A price is 0 to {PRICE_MICROCREDITS_MAX} micro-credits for a unit."
            )
        prices[RatingGroup(name)] = price
    return prices
