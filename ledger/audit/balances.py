"""Balances replayed from a log's opened amounts, in micro-credits.

An account of which some movement is not opened is unknown from then on; all others
are exact. Every movement debits one account and credits another, so all accounts
together sum to zero.
"""

from dataclasses import dataclass

from ledger.audit.errors import RuleError
from ledger.audit.report import AccountBalance
from ledger.audit.rules import Rule


@dataclass
class _Account:
    posted: int = 0
    held: int = 0


class Balances:
    """All accounts of the books after the statements so far."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._unknown: set[str] = set()

    def move(self, debit: str, credit: str, amount_microcredits: int) -> None:
        """Move money at once."""
        self._account(debit).posted -= amount_microcredits
        self._account(credit).posted += amount_microcredits

    def hold(self, account: str, amount_microcredits: int) -> None:
        """Reserve money, or with a negative amount set it free."""
        self._account(account).held += amount_microcredits

    def lose_sight(self, *accounts: str) -> None:
        """Take note that something moved, and nobody showed how much."""
        for account in accounts:
            self._account(account)
        self._unknown.update(accounts)

    def require_funds(self, account: str) -> None:
        """Refuse an account that spends or reserves more than it has.

        Raises:
            RuleError: It is overdrawn.
        """
        found = self._account(account)
        short = found.held - found.posted
        if short > 0 and account not in self._unknown:
            raise RuleError(
                Rule.OVERDRAFT, f"{account} is overdrawn by {short} micro-credits."
            )

    def known(self) -> dict[str, AccountBalance]:
        """The accounts of which every movement was opened."""
        return {
            name: AccountBalance(account.posted, account.held)
            for name, account in self._accounts.items()
            if name not in self._unknown
        }

    @property
    def unknown_count(self) -> int:
        """How many accounts were lost sight of."""
        return len(self._unknown)

    def _account(self, name: str) -> _Account:
        return self._accounts.setdefault(name, _Account())
