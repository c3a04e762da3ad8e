"""Checks opened totals against the log: sums of commitments, with nothing else opened.

Prices are public, so the commitment to what a charge costs, or pays one account, is a
sum of multiples of the commitments in its slice. Points with the same multiple are
added up over all charges before they are multiplied, so that a charge costs an
addition for each rating group and no more.

Source: decision 0012 (committed amounts).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.audit.disclosure_file import PlacedTotal
from ledger.audit.errors import RuleError
from ledger.audit.rules import Rule
from ledger.charging.committed import Multiples, amount_multiples
from ledger.charging.tariff import Tariff
from ledger.commitments import group
from ledger.commitments.pedersen import Commitment, combine, commit
from ledger.document import Base64, Digest
from ledger.encoding import decode_base64, encode_base64


@dataclass
class TotalState:
    """One total after the charges so far."""

    met: list[Digest] = field(default_factory=list)
    """The charges that were found and taken in."""
    sums: dict[int, Base64] = field(default_factory=dict)
    """Sums of commitments, by the price at which they count."""
    unpaid: int = 0
    """Charges that were found, and pay the payee nothing."""


class TotalsCheck:
    """Fed with the charges of a log in order; knows at the end which totals hold."""

    def __init__(
        self, totals: Sequence[PlacedTotal], state: list[TotalState] | None = None
    ) -> None:
        """Start before the first charge, or go on.

        Args:
            totals: As opened; nothing in them is trusted.
            state: Of an earlier check of the same totals.
        """
        self.state = state or [TotalState() for _ in totals]
        self._totals = totals
        self._wanted: dict[str, list[int]] = {}
        for number, placed in enumerate(totals):
            for charge in placed.total.charges:
                self._wanted.setdefault(charge, []).append(number)
        for number, known in enumerate(self.state):
            for charge in known.met:
                self._wanted[charge].remove(number)

    def take(self, charge: str, tariff: Tariff, commitments: Mapping[str, str]) -> None:
        """Take a charge in, if some total names it.

        Args:
            charge: Digest of its entry.
            tariff: Of its agreement.
            commitments: Of its slice, by field name, as the history accepted them.
        """
        for number in self._wanted.pop(charge, ()):
            state = self.state[number]
            state.met.append(charge)
            multiples = _multiples(tariff, self._totals[number].total.payee)
            if multiples is None:
                state.unpaid += 1
                continue
            for rated, multiple in multiples.items():
                point = decode_base64(commitments[f"quantity.{rated}"])
                known = state.sums.get(multiple)
                if known is not None:
                    point = group.add(decode_base64(known), point)
                state.sums[multiple] = encode_base64(point)

    def results(self) -> Iterator[tuple[PlacedTotal, RuleError | None]]:
        """Yield each total with what is wrong with it, once all charges were taken."""
        for placed, state in zip(self._totals, self.state, strict=True):
            try:
                _check(placed, state)
            except RuleError as error:
                yield placed, error
            else:
                yield placed, None


def _multiples(tariff: Tariff, payee: str | None) -> Multiples | None:
    if payee is not None:
        return tariff.shares.get(payee)
    return next(iter(amount_multiples(tariff)), None)


def _check(placed: PlacedTotal, state: TotalState) -> None:
    total = placed.total
    met = set(state.met)
    missing = [charge for charge in total.charges if charge not in met]
    if missing:
        raise RuleError(
            Rule.TOTAL,
            f"Of its {len(total.charges)} charges {len(missing)} do not stand in this "
            f"log; the first is {missing[0]}.",
        )
    if state.unpaid:
        raise RuleError(
            Rule.TOTAL,
            f"Of its charges {state.unpaid} pay {total.payee or 'anybody'} nothing.",
        )
    committed = combine(
        (multiple, Commitment(decode_base64(point)))
        for multiple, point in state.sums.items()
    )
    if commit(total.opening.value, total.opening.blinding) != committed:
        raise RuleError(
            Rule.TOTAL,
            f"Its {len(total.charges)} charges do not come to the "
            f"{total.opening.value} micro-credits that it claims.",
        )
