"""What a log's openings show: amounts that fit, charges computed again, balances.

Follows :mod:`ledger.audit.history`, which has accepted each statement before. What is
not opened is skipped, and counted as such.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.audit.balances import Balances, BalancesState
from ledger.audit.bill import (
    Bill,
    check_amounts,
    check_bill,
    check_hold,
    read_amount,
)
from ledger.audit.checked_statement import read_account
from ledger.audit.errors import RuleError
from ledger.audit.history import JobContext
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.commitments.pedersen import CommitmentOpening
from ledger.encoding import Json
from ledger.statements.book_accounts import wallet_of
from ledger.statements.disclosure import Openings, opened_numbers, opened_values
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    OrderStatement,
    ReleaseStatement,
    SliceStatement,
    TopUpStatement,
)
from ledger.statements.statement import Statement


@dataclass(slots=True)
class _OpenJob:
    """What was opened of a job that is not charged yet."""

    account: str | None = None
    order_values: Mapping[str, Json] = field(default_factory=dict)
    hold: int | None = None
    usage: Mapping[str, CommitmentOpening] | None = None


@dataclass
class ReplayState:
    """What was opened so far."""

    jobs: dict[str, _OpenJob] = field(default_factory=dict)
    balances: BalancesState = field(default_factory=BalancesState)


class Replay:
    """Fed with accepted statements in log order, each with what was opened of it."""

    def __init__(self, report: AuditReport, state: ReplayState | None = None) -> None:
        """Start before the first statement, or go on.

        Args:
            report: Where counts and balances go.
            state: Of an earlier one.
        """
        self.state = state or ReplayState()
        self._report = report
        self._balances = Balances(self.state.balances)

    def take(
        self, statement: Statement, context: JobContext | None, openings: Openings
    ) -> None:
        """Check what was opened of a statement.

        Args:
            statement: As accepted by the history.
            context: What the history says that it belongs to.
            openings: Checked against what the statement conceals; may be empty.

        Raises:
            RuleError: An amount breaks a rule. What was moved counts all the same.
        """
        self._count(statement, openings)
        values = opened_values(openings)
        match statement.body:
            case TopUpStatement() as body:
                self._top_up(body, values)
            case OrderStatement() as body:
                self._order(body, openings)
            case AgreementStatement() as body:
                self._agree(body, values)
            case SliceStatement() as body:
                assert context is not None
                self._use(body, context, openings)
            case ChargeStatement() as body:
                assert context is not None
                self._charge(body, context, opened_numbers(openings))
            case ReleaseStatement() as body:
                self._free(self._job(body.job_id))

    def finish(self) -> None:
        """Report the balances at the end of the log.

        Raises:
            RuleError: Money was left in a clearing account.
        """
        balances = self._balances.known()
        self._report.balances = balances
        self._report.accounts_unknown = self._balances.unknown_count
        if self._balances.unknown_count == 0:
            assert sum(item.posted_microcredits for item in balances.values()) == 0
        for account, balance in balances.items():
            if account.endswith("/clearing") and balance.posted_microcredits != 0:
                raise RuleError(
                    Rule.BALANCE,
                    f"Of what was cleared, {balance.posted_microcredits} "
                    "micro-credits were not passed on.",
                )

    def _count(self, statement: Statement, openings: Openings) -> None:
        concealed = statement.private.keys() | statement.commitments.keys()
        if not concealed:
            return
        if concealed <= openings.keys():
            self._report.opened += 1
        else:
            self._report.concealed += 1

    def _job(self, job_id: str) -> _OpenJob:
        return self.state.jobs.setdefault(job_id, _OpenJob())

    def _top_up(self, body: TopUpStatement, values: Mapping[str, Json]) -> None:
        if "amount" not in values:
            self._balances.lose_sight(body.debit, body.credit)
            return
        self._balances.move(body.debit, body.credit, read_amount(values, "amount"))

    def _order(self, body: OrderStatement, openings: Openings) -> None:
        account = read_account(body, openings) if "account" in openings else None
        values = {k: v for k, v in opened_values(openings).items() if k == "price_max"}
        self.state.jobs[body.job_id] = _OpenJob(account, values)

    def _agree(self, body: AgreementStatement, values: Mapping[str, Json]) -> None:
        job = self._job(body.job_id)
        job.hold = job.usage = None
        wallet = self._wallet(job)
        if "hold" not in values or wallet is None:
            return
        job.hold = read_amount(values, "hold")
        self._balances.hold(wallet, job.hold)
        check_hold(job.hold, job.order_values)
        self._balances.require_funds(wallet)

    def _use(
        self, body: SliceStatement, context: JobContext, openings: Openings
    ) -> None:
        numbers = opened_numbers(openings)
        if context.commitments.keys() <= numbers.keys():
            self._job(body.job_id).usage = numbers

    def _charge(
        self,
        body: ChargeStatement,
        context: JobContext,
        amounts: Mapping[str, CommitmentOpening],
    ) -> None:
        agreement = context.agreement
        job = self.state.jobs.pop(body.job_id, _OpenJob())
        hold = job.hold
        self._free(job)
        self._report.charges_rated += 1
        if job.usage is None:
            if amounts:
                check_amounts(agreement.tariff, context.commitments, amounts)
            self._post(body, job, {name: item.value for name, item in amounts.items()})
            return
        bill = check_bill(
            agreement, usage=job.usage, amounts=amounts, hold_microcredits=hold
        )
        shares = [bill.total_microcredits, *bill.by_payee_microcredits.values()]
        due = {f"amount.{place}": amount for place, amount in enumerate(shares)}
        self._post(body, job, due)
        self._report.charges_computed += 1
        self._add_to_invoices(job, bill)

    def _post(
        self, body: ChargeStatement, job: _OpenJob, amounts: Mapping[str, int]
    ) -> None:
        payer = self._wallet(job)
        paid_from: list[str] = []
        for place, posting in enumerate(body.postings):
            debit = payer if posting.action == "post" else posting.debit
            amount = amounts.get(f"amount.{place}")
            if debit is None:
                # The pseudonym's wallet is no account; the payer's is.
                self._balances.lose_sight(posting.credit)
            elif amount is None:
                self._balances.lose_sight(debit, posting.credit)
            else:
                self._balances.move(debit, posting.credit, amount)
                paid_from.append(debit)
        # All of it has moved, so the books add up even if somebody could not pay.
        for debit in paid_from:
            self._balances.require_funds(debit)

    def _wallet(self, job: _OpenJob) -> str | None:
        """The wallet behind the pseudonym, if that was opened."""
        if job.account is None:
            self._balances.lose_sight_of_wallets()
            return None
        return wallet_of(job.account)

    def _add_to_invoices(self, job: _OpenJob, bill: Bill) -> None:
        if job.account is not None:
            self._report.add_charge(
                job.account, bill.total_microcredits, bill.by_payee_microcredits
            )

    def _free(self, job: _OpenJob) -> None:
        wallet = self._wallet(job)
        if job.hold is not None and wallet is not None:
            self._balances.hold(wallet, -job.hold)
        job.hold = None
