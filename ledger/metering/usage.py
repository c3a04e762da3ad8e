"""From what a run used to the quantities that are charged.

Units are coarse enough for whole prices; every quantity is rounded up once, here,
where it is measured. Everything but the byte counts follows from the run alone, so a
deterministic job can be metered again by running it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.charging.tariff import RatingGroup
from ledger.errors import TariffError
from ledger.limits import QUANTITY_MAX

FUEL_PER_MEGAFUEL = 10**6
BYTES_PER_MEBIBYTE = 2**20
BYTES_PER_KIBIBYTE = 2**10
FUEL_PER_GIGAFUEL = 10**9


@dataclass(frozen=True)
class Usage:
    """What one run used, in natural units; all counts are 0 or more."""

    fuel: int = 0
    memory_limit_bytes: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    homomorphic_operations: int = 0
    royalty_runs: int = 0

    def quantities(self) -> dict[RatingGroup, int]:
        """Units of every rating group, each rounded up.

        Raises:
            TariffError: A count is negative or beyond what can be charged.
        """
        memory_mebibytes = _units(self.memory_limit_bytes, BYTES_PER_MEBIBYTE)
        return {
            RatingGroup.FUEL: _units(self.fuel, FUEL_PER_MEGAFUEL),
            RatingGroup.MEMORY: _units(memory_mebibytes * self.fuel, FUEL_PER_GIGAFUEL),
            RatingGroup.BYTES_UP: _units(self.bytes_up, BYTES_PER_KIBIBYTE),
            RatingGroup.BYTES_DOWN: _units(self.bytes_down, BYTES_PER_KIBIBYTE),
            RatingGroup.HOMOMORPHIC: _units(self.homomorphic_operations, 1),
            RatingGroup.ROYALTY: _units(self.royalty_runs, 1),
        }


def quantity_fields(
    quantities: Mapping[RatingGroup, int], groups: Iterable[RatingGroup]
) -> dict[str, int]:
    """Quantities as the committed fields `quantity.<group>` of a slice.

    Args:
        quantities: As `Usage.quantities`; an absent group counts as none.
        groups: Those that the agreed tariff has a line for.
    """
    return {f"quantity.{group}": quantities.get(group, 0) for group in groups}


def parse_quantities(fields: Mapping[str, object]) -> dict[RatingGroup, int]:
    """Read the quantities back from the opened fields of a slice.

    Raises:
        TariffError: One is not an integer in bounds.
    """
    quantities = {}
    for group in RatingGroup:
        value = fields.get(f"quantity.{group}")
        if value is None:
            continue
        if type(value) is not int or not 0 <= value <= QUANTITY_MAX:
            raise TariffError(f"The quantity of {group} is out of bounds.")
        quantities[group] = value
    return quantities


def _units(count: int, size: int) -> int:
    if count < 0:
        raise TariffError("A count of usage is negative.")
    quantity = -(-count // size)
    if quantity > QUANTITY_MAX:
        raise TariffError("A count of usage is too large to be charged.")
    return quantity
