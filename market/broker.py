"""What every service of the market shares: its keys, its terms, the fleet."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ledger.charging.tariff import RatingGroup, Tariff, TariffLine
from ledger.signing import PrivateKey
from ledger.statements.book_accounts import clearing_of, development_credit_of
from market.blob_store import BlobStore
from market.changes import Changes
from market.placement.fleet import Fleet

MARKET_PRICES_MICROCREDITS = {
    RatingGroup.FUEL: 1,
    RatingGroup.BYTES_UP: 1,
    RatingGroup.BYTES_DOWN: 1,
    RatingGroup.HOMOMORPHIC: 1,
}
"""What the market itself charges for a unit; published in its first statement."""
LINES_KEPT_MAX = 4096
"""Lines of so many offers are kept made: each is asked for by every order."""


@dataclass(frozen=True)
class Terms:
    """Times that the market agrees on with both sides."""

    lease_ms: int
    """A lease that is not renewed for this long is lost."""
    acceptance_timeout_ms: int
    """A slice that the consumer neither signs nor disputes is charged after this."""


@dataclass(frozen=True)
class Broker:
    """The market as its services see it. Holds no state of its own."""

    key: PrivateKey
    runner: str
    """SHA-384 of the Python runner in hexadecimal."""
    terms: Terms
    fleet: Fleet
    changes: Changes
    blobs: BlobStore

    @property
    def market(self) -> str:
        """The market's account id."""
        return self.key.account_id

    @property
    def clearing(self) -> str:
        """The books account through which charges pass to payees."""
        return clearing_of(self.market)

    @property
    def development_credit(self) -> str:
        """The books account from which development credit comes; it may overdraw."""
        return development_credit_of(self.market)

    def tariff(self) -> Tariff:
        """The market's own lines in every tariff."""
        return Tariff(lines=self.tariff_lines)

    @property
    def tariff_lines(self) -> tuple[TariffLine, ...]:
        """The market's own lines alone."""
        return role_lines("market", self.market, MARKET_PRICES_MICROCREDITS)


def role_lines(
    role: str, payee: str, prices: Mapping[RatingGroup, int]
) -> tuple[TariffLine, ...]:
    """Tariff lines of one payee, by rating group."""
    return _role_lines(role, payee, tuple(sorted(prices.items())))


@lru_cache(maxsize=LINES_KEPT_MAX)
def _role_lines(
    role: str, payee: str, prices: tuple[tuple[RatingGroup, int], ...]
) -> tuple[TariffLine, ...]:
    return tuple(
        TariffLine(group=group, role=role, payee=payee, price_microcredits=price)
        for group, price in prices
    )
