"""Rating what nobody sees: amounts of a charge from the commitments of its slice.

Prices are public and whole, and a charge is linear in the quantities, so the same sum
that rates numbers rates their commitments. Amounts are told apart by place: 0 is the
total, then one for each payee of the tariff, in its order.

Source: decision 0012 (committed amounts).
"""

from collections.abc import Mapping
from typing import TypeVar

from ledger.charging.tariff import RatingGroup, Tariff
from ledger.commitments.pedersen import (
    Commitment,
    CommitmentOpening,
    combine,
    combine_openings,
)
from ledger.errors import TariffError

_Field = TypeVar("_Field")

Multiples = Mapping[RatingGroup, int]
"""How often the quantity of each rating group goes into an amount."""


def amount_multiples(tariff: Tariff) -> list[Multiples]:
    """What each amount of a charge is made of, by place; none if nobody has a price."""
    shares = list(tariff.shares.values())
    if not shares:
        return []
    total: dict[RatingGroup, int] = {}
    for share in shares:
        for group, price in share.items():
            total[group] = total.get(group, 0) + price
    return [total, *shares]


def commit_amount(
    multiples: Multiples, commitments: Mapping[str, Commitment]
) -> Commitment | None:
    """The commitment to one amount of a charge.

    Args:
        multiples: From `amount_multiples`.
        commitments: Of the slice, by field name.

    Returns:
        None only if the blindings cancel out, which nobody can bring about by chance.

    Raises:
        TariffError: The slice lacks a group.
    """
    return combine(
        (multiple, _of(commitments, group)) for group, multiple in multiples.items()
    )


def open_amounts(
    tariff: Tariff, openings: Mapping[str, CommitmentOpening]
) -> dict[str, CommitmentOpening]:
    """The openings `amount.<place>` of a charge from those of its slice.

    Raises:
        TariffError: The slice lacks a group.
    """
    return {
        f"amount.{place}": combine_openings(
            (multiple, _of(openings, group)) for group, multiple in multiples.items()
        )
        for place, multiples in enumerate(amount_multiples(tariff))
    }


def _of(fields: Mapping[str, _Field], group: RatingGroup) -> _Field:
    found = fields.get(f"quantity.{group}")
    if found is None:
        raise TariffError(f"The slice says nothing of {group}.")
    return found
