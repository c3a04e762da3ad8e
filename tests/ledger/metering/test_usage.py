"""Natural units to charged units, rounded up once."""

from typing import Any

import pytest

from ledger.charging.tariff import RatingGroup
from ledger.errors import TariffError
from ledger.limits import QUANTITY_MAX
from ledger.metering.usage import Usage, parse_quantities, quantity_fields


def test_nothing_used_is_nothing_charged() -> None:
    assert set(Usage().quantities().values()) == {0}
    assert set(Usage().quantities()) == set(RatingGroup)


@pytest.mark.parametrize(
    ("usage", "group", "quantity"),
    [
        (Usage(fuel=1), RatingGroup.FUEL, 1),
        (Usage(fuel=10**6), RatingGroup.FUEL, 1),
        (Usage(fuel=10**6 + 1), RatingGroup.FUEL, 2),
        (Usage(bytes_up=1), RatingGroup.BYTES_UP, 1),
        (Usage(bytes_up=1025), RatingGroup.BYTES_UP, 2),
        (Usage(bytes_down=1024), RatingGroup.BYTES_DOWN, 1),
        (Usage(homomorphic_operations=31), RatingGroup.HOMOMORPHIC, 31),
        (Usage(royalty_runs=1), RatingGroup.ROYALTY, 1),
        # 64 MiB for 0.5 gigafuel, and one byte more.
        (Usage(fuel=5 * 10**8, memory_limit_bytes=2**26), RatingGroup.MEMORY, 32),
        (Usage(fuel=5 * 10**8, memory_limit_bytes=2**26 + 1), RatingGroup.MEMORY, 33),
        (Usage(memory_limit_bytes=2**26), RatingGroup.MEMORY, 0),
    ],
)
def test_units_are_rounded_up(usage: Usage, group: RatingGroup, quantity: int) -> None:
    assert usage.quantities()[group] == quantity


@pytest.mark.parametrize(
    "usage",
    [
        Usage(fuel=-1),
        Usage(bytes_up=-1),
        Usage(homomorphic_operations=QUANTITY_MAX + 1),
        Usage(bytes_down=(QUANTITY_MAX + 1) * 1024),
    ],
)
def test_count_out_of_bounds_is_refused(usage: Usage) -> None:
    with pytest.raises(TariffError):
        usage.quantities()


def test_quantities_read_back_from_fields() -> None:
    quantities = Usage(fuel=5, bytes_up=9, royalty_runs=1).quantities()
    assert parse_quantities(quantity_fields(quantities, RatingGroup)) == quantities


def test_fields_are_those_of_the_rated_groups() -> None:
    groups = [RatingGroup.FUEL, RatingGroup.BYTES_UP]
    fields = quantity_fields({RatingGroup.FUEL: 2, RatingGroup.MEMORY: 3}, groups)
    assert fields == {"quantity.fuel": 2, "quantity.bytes_up": 0}
    assert parse_quantities(fields) == {RatingGroup.FUEL: 2, RatingGroup.BYTES_UP: 0}


@pytest.mark.parametrize("value", [-1, True, 1.0, "1", QUANTITY_MAX + 1])
def test_field_that_is_no_quantity_is_refused(value: Any) -> None:
    with pytest.raises(TariffError, match="fuel"):
        parse_quantities({"quantity.fuel": value})
