"""Balances replayed from a log's opened amounts, in micro-credits.

An account of which some movement is not opened is unknown from then on; all others
are exact. Every movement debits one account and credits another, so all accounts
together sum to zero.
"""

from dataclasses import dataclass, field

from ledger.audit.errors import RuleError
from ledger.audit.report import AccountBalance
from ledger.audit.rules import Rule
from ledger.statements.book_accounts import WALLET_SUFFIX


@dataclass(slots=True)
class _Account:
    posted: int = 0
    held: int = 0


@dataclass
class BalancesState:
    """What the accounts hold, as far as it is known."""

    accounts: dict[str, _Account] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    is_anybody_unknown: bool = False
    """Some wallet paid, and nobody showed which."""


class Balances:
    """All accounts of the books after the statements so far."""

    def __init__(self, state: BalancesState | None = None) -> None:
        """Start with empty books, or go on from those of an earlier one."""
        self.state = state or BalancesState()

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
        self.state.unknown.update(accounts)

    def lose_sight_of_wallets(self) -> None:
        """Take note that somebody paid, and nobody showed who."""
        self.state.is_anybody_unknown = True

    def require_funds(self, account: str) -> None:
        """Refuse an account that spends or reserves more than it has.

        Raises:
            RuleError: It is overdrawn.
        """
        found = self._account(account)
        short = found.held - found.posted
        if short > 0 and self._is_known(account):
            raise RuleError(
                Rule.OVERDRAFT, f"{account} is overdrawn by {short} micro-credits."
            )

    def known(self) -> dict[str, AccountBalance]:
        """The accounts of which every movement was opened."""
        return {
            name: AccountBalance(account.posted, account.held)
            for name, account in self.state.accounts.items()
            if self._is_known(name)
        }

    @property
    def unknown_count(self) -> int:
        """How many accounts were lost sight of."""
        return sum(not self._is_known(name) for name in self.state.accounts)

    def _is_known(self, name: str) -> bool:
        if name in self.state.unknown:
            return False
        return not (self.state.is_anybody_unknown and name.endswith(WALLET_SUFFIX))

    def _account(self, name: str) -> _Account:
        return self.state.accounts.setdefault(name, _Account())
