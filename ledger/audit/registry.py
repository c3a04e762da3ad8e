"""Who and what a log has named so far: market, parties, offers, workloads, ids."""

from ledger.audit.errors import RuleError
from ledger.audit.recall import Recall
from ledger.audit.rules import Rule
from ledger.charging.tariff import RatingGroup, Tariff
from ledger.statements.book_accounts import development_credit_of, wallet_of
from ledger.statements.kinds import (
    AccountStatement,
    MarketStatement,
    OfferStatement,
    StatementBody,
    TopUpStatement,
    WorkloadStatement,
)


class Registry:
    """Fed with statements in log order; refuses those that break a rule."""

    def __init__(self, origin: str, recall: Recall) -> None:
        """Start before the first statement.

        Args:
            origin: Of the log, as its checkpoint has it.
            recall: Where offers are kept for agreements to refer to.
        """
        self._origin = origin
        self._recall = recall
        self._market: MarketStatement | None = None
        self._accounts: set[str] = set()
        self._royalties: set[tuple[str, int]] = set()
        # Each kind of thing has names of its own, as parties choose some of them: an
        # offer called like somebody's transfer must not spoil that transfer.
        self._names: set[tuple[str, str]] = set()

    @property
    def market_tariff(self) -> Tariff | None:
        """What the market charges; None if its own statement is missing."""
        return None if self._market is None else self._market.tariff

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
            case _:
                raise AssertionError(f"{body.kind} statements are the history's.")

    def require_market(self, account_id: str) -> None:
        """Refuse another market's statements."""
        if self._market is not None and account_id != self._market.market:
            raise RuleError(
                Rule.MARKET, "Signed by another market than the one of this log."
            )

    def require_party(self, account_id: str) -> None:
        """Refuse a party that has not made itself known."""
        if account_id not in self._accounts:
            raise RuleError(
                Rule.PARTY, f"{account_id} takes part before it made itself known."
            )

    def require_new(self, what: str, *names: str) -> None:
        """Refuse ids of one kind of thing that were used before, or twice here."""
        for place, name in enumerate(names):
            if (what, name) in self._names or name in names[:place]:
                raise RuleError(Rule.REPEATED, f"The {what} id {name} was used before.")

    def name(self, what: str, *names: str) -> None:
        """Remember ids that are now used."""
        self._names.update((what, name) for name in names)

    def check_royalty(self, tariff: Tariff) -> None:
        """Refuse a tariff that pays an owner other than as it was published."""
        owned = [line for line in tariff.lines if line.role == "owner"]
        for line in owned:
            published = (line.payee, line.price_microcredits)
            if line.group is not RatingGroup.ROYALTY or (
                published not in self._royalties
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
        self._market = body
        self._accounts.add(body.market)

    def _register(self, body: AccountStatement) -> None:
        if body.account in self._accounts:
            raise RuleError(Rule.REPEATED, f"{body.account} made itself known before.")
        self._accounts.add(body.account)

    def _offer(self, index: int, digest: str, body: OfferStatement) -> None:
        self.require_party(body.provider)
        self.require_new("offer", body.offer_id)
        self.name("offer", body.offer_id)
        self._recall.remember(digest, index, body)

    def _publish(self, body: WorkloadStatement) -> None:
        self.require_party(body.owner)
        self.require_new("workload", body.workload_id)
        self.name("workload", body.workload_id)
        self._royalties.add((body.owner, body.royalty_microcredits))

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
