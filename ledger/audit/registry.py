"""Who and what a log has named so far: market, parties, offers, workloads, ids."""

from dataclasses import dataclass, field

from ledger.audit.compact_table import CompactTable, TableField
from ledger.audit.errors import RuleError
from ledger.audit.recall import Recall
from ledger.audit.rules import Rule
from ledger.charging.tariff import RatingGroup, Tariff
from ledger.statements.book_accounts import development_credit_of, wallet_of
from ledger.statements.kinds import (
    AccountStatement,
    LogKeyStatement,
    MarketStatement,
    OfferStatement,
    StatementBody,
    TopUpStatement,
    WorkloadStatement,
)

KEY_CHANGES_MAX = 1000
"""One a month for 80 years; each is kept in memory."""


@dataclass
class RegistryState:
    """What was named so far."""

    market: MarketStatement | None = None
    key_changes: list[tuple[int, LogKeyStatement]] = field(default_factory=list)
    """Each change of the log's keys, with its place."""
    accounts: TableField = field(default_factory=CompactTable)
    royalties: TableField = field(default_factory=CompactTable)
    """Owner and price of each workload."""
    # Each kind of thing has names of its own, as parties choose some of them: an
    # offer called like somebody's transfer must not spoil that transfer.
    names: TableField = field(default_factory=CompactTable)


class Registry:
    """Fed with statements in log order; refuses those that break a rule."""

    def __init__(
        self, origin: str, recall: Recall, state: RegistryState | None = None
    ) -> None:
        """Start before the first statement, or go on.

        Args:
            origin: Of the log, as its checkpoint has it.
            recall: Where offers are kept for agreements to refer to.
            state: Of an earlier one.
        """
        self.state = state or RegistryState()
        self._origin = origin
        self._recall = recall

    @property
    def market_tariff(self) -> Tariff | None:
        """What the market charges; None if its own statement is missing."""
        return None if self.state.market is None else self.state.market.tariff

    def take(self, index: int, digest: str, body: StatementBody) -> None:
        """Check a statement that is about no single job, and remember it.

        Raises:
            RuleError: It breaks a rule.
        """
        match body:
            case MarketStatement():
                self._open_market(body)
            case AccountStatement():
                self._register(body)
            case OfferStatement():
                self._offer(index, digest, body)
            case WorkloadStatement():
                self._publish(body)
            case TopUpStatement():
                self._top_up(body)
            case LogKeyStatement():
                self._change_keys(index, body)
            case _:
                raise AssertionError(f"{body.kind} statements are the history's.")

    def require_market(self, account_id: str) -> None:
        """Refuse another market's statements."""
        if self.state.market is not None and account_id != self.state.market.market:
            raise RuleError(
                Rule.MARKET, "Signed by another market than the one of this log."
            )

    def require_party(self, account_id: str) -> None:
        """Refuse a party that has not made itself known."""
        if account_id not in self.state.accounts:
            raise RuleError(
                Rule.PARTY, f"{account_id} takes part before it made itself known."
            )

    def require_new(self, what: str, *names: str) -> None:
        """Refuse ids of one kind of thing that were used before, or twice here."""
        for place, name in enumerate(names):
            if f"{what} {name}" in self.state.names or name in names[:place]:
                raise RuleError(Rule.REPEATED, f"The {what} id {name} was used before.")

    def name(self, what: str, *names: str) -> None:
        """Remember ids that are now used."""
        for name in names:
            self.state.names.add(f"{what} {name}")

    def check_royalty(self, tariff: Tariff) -> None:
        """Refuse a tariff that pays an owner other than as it was published."""
        owned = [line for line in tariff.lines if line.role == "owner"]
        for line in owned:
            published = f"{line.payee} {line.price_microcredits}"
            if line.group is not RatingGroup.ROYALTY or (
                published not in self.state.royalties
            ):
                raise RuleError(
                    Rule.TARIFF,
                    "No workload of this owner was published at this price.",
                )

    def _open_market(self, body: MarketStatement) -> None:
        if body.origin != self._origin:
            raise RuleError(
                Rule.MARKET, f"The market names {body.origin} as its log, not this one."
            )
        self.state.market = body
        self.state.accounts.add(body.market)

    def _register(self, body: AccountStatement) -> None:
        if body.account in self.state.accounts:
            raise RuleError(Rule.REPEATED, f"{body.account} made itself known before.")
        self.state.accounts.add(body.account)

    def _offer(self, index: int, digest: str, body: OfferStatement) -> None:
        self.require_party(body.provider)
        self.require_new("offer", body.offer_id)
        self.name("offer", body.offer_id)
        self._recall.remember(digest, index, body)

    def _publish(self, body: WorkloadStatement) -> None:
        self.require_party(body.owner)
        self.require_new("workload", body.workload_id)
        self.name("workload", body.workload_id)
        self.state.royalties.add(f"{body.owner} {body.royalty_microcredits}")

    def _change_keys(self, index: int, body: LogKeyStatement) -> None:
        self.require_market(body.market)
        changes = self.state.key_changes
        if body.origin != self._origin:
            raise RuleError(Rule.LOG_KEY, f"It changes the keys of {body.origin}.")
        if len(changes) == KEY_CHANGES_MAX:
            raise RuleError(Rule.LOG_KEY, "The log has changed its keys too often.")
        if body.generation != len(changes) + 2:
            raise RuleError(Rule.LOG_KEY, "It is not the next set of keys.")
        if changes and body.before != changes[-1][1].after:
            raise RuleError(Rule.LOG_KEY, "It replaces other keys than the log had.")
        changes.append((index, body))

    def _top_up(self, body: TopUpStatement) -> None:
        self.require_market(body.market)
        self.require_new("transfer", body.transfer_id)
        owner = body.credit.split("/")[0]
        self.require_party(owner)
        accounts = (development_credit_of(body.market), wallet_of(owner))
        if (body.debit, body.credit) != accounts:
            raise RuleError(
                Rule.BALANCE, "A top-up goes from development credit to a wallet."
            )
        self.name("transfer", body.transfer_id)
