"""Tariffs: an integer price per unit, for each rating group and payee.

Because every payee has its own integer price, shares are linear in the quantities
and nothing inside the ledger is ever rounded. A charge is a function of the
quantities and the tariff alone, never of when it was computed.

Source: decision 0003 (money is integers).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Self

from pydantic import Field, model_validator

from ledger.document import AccountId, Document, PriceMicrocredits, Word
from ledger.errors import TariffError
from ledger.limits import AMOUNT_MICROCREDITS_MAX, QUANTITY_MAX


class RatingGroup(StrEnum):
    """One thing that is charged, and the unit in which it is counted."""

    FUEL = "fuel"
    """Megafuel: a million units of sandbox work, rounded up for each slice."""
    MEMORY = "memory"
    """Mebibytes of memory limit times gigafuel: room held for as long as work ran."""
    BYTES_UP = "bytes_up"
    """Kibibytes from the consumer to the node, rounded up."""
    BYTES_DOWN = "bytes_down"
    """Kibibytes from the node to the consumer, rounded up."""
    HOMOMORPHIC = "homomorphic"
    """Operations on ciphertexts, known from circuit and rows before the run."""
    ROYALTY = "royalty"
    """Runs of a workload that has an owner."""


Quantities = Mapping[RatingGroup, int]
"""Units used of each rating group; a group that is absent counts as none."""


class TariffLine(Document):
    """What one payee gets for one unit of one rating group."""

    group: RatingGroup
    role: Word
    payee: AccountId
    price_microcredits: PriceMicrocredits


class Tariff(Document):
    """All prices of one agreement; at most one line for each group and payee role."""

    lines: tuple[TariffLine, ...] = Field(max_length=64)

    @model_validator(mode="after")
    def _refuse_doubled_lines(self) -> Self:
        keys = [(line.group, line.role) for line in self.lines]
        if len(set(keys)) != len(keys):
            raise ValueError("two lines for one rating group and role")
        return self

    @property
    def groups(self) -> tuple[RatingGroup, ...]:
        """The rating groups that have a line, in the order of their first."""
        return tuple(dict.fromkeys(line.group for line in self.lines))

    @cached_property
    def shares(self) -> Mapping[str, dict[RatingGroup, int]]:
        """What one unit of each rating group earns each payee.

        Returns:
            Micro-credits by account and group; payees in the order of their first line,
            those left out who have no price above zero.
        """
        shares: dict[str, dict[RatingGroup, int]] = {}
        for line in self.lines:
            if line.price_microcredits > 0:
                share = shares.setdefault(line.payee, {})
                share[line.group] = share.get(line.group, 0) + line.price_microcredits
        return shares


@dataclass(frozen=True)
class Rating:
    """What a tariff makes of quantities: the sum, and each payee's part of it."""

    total_microcredits: int
    by_payee_microcredits: Mapping[str, int]


def rate(tariff: Tariff, quantities: Quantities) -> Rating:
    """Price quantities under a tariff.

    Args:
        tariff: Prices per unit and payee, in micro-credits.
        quantities: Units per rating group, each from 0 to 2**48.

    Returns:
        The total and the sum of each payee that has a price, in the tariff's order.

    Raises:
        TariffError: A quantity is negative, no integer or too large, a used group
            has no price, or the total exceeds what the books can hold.
    """
    priced = {line.group for line in tariff.lines}
    for group, quantity in quantities.items():
        if type(quantity) is not int or not 0 <= quantity <= QUANTITY_MAX:
            raise TariffError(f"The quantity of {group} is out of bounds.")
        if quantity > 0 and group not in priced:
            raise TariffError(f"The tariff has no price for {group}.")
    by_payee = {
        payee: sum(price * quantities.get(group, 0) for group, price in share.items())
        for payee, share in tariff.shares.items()
    }
    total = sum(by_payee.values())
    if total > AMOUNT_MICROCREDITS_MAX:
        raise TariffError("The charge exceeds what the books can hold.")
    return Rating(total, by_payee)
