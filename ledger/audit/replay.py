"""What a log's openings show: amounts that fit, charges computed again, balances.

Follows :mod:`ledger.audit.history`, which has accepted each statement before. What is
not opened is skipped, and counted as such.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.audit.balances import Balances
from ledger.audit.bill import check_bill, check_hold, read_amount, read_quantities
from ledger.audit.errors import RuleError
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.charging.tariff import RatingGroup
from ledger.encoding import Json
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    OrderStatement,
    ReleaseStatement,
    SliceStatement,
    StatementBody,
    TopUpStatement,
    required_private_fields,
)


@dataclass
class _OpenJob:
    """What was opened of a job that is not charged yet."""

    order_values: Mapping[str, Json]
    hold: int | None = None
    quantities: Mapping[RatingGroup, int] | None = None


class Replay:
    """Fed with accepted statements in log order, each with the values opened of it."""

    def __init__(self, report: AuditReport) -> None:
        self._report = report
        self._jobs: dict[str, _OpenJob] = {}
        self._balances = Balances()

    def take(
        self,
        body: StatementBody,
        agreement: AgreementStatement | None,
        values: Mapping[str, Json],
    ) -> None:
        """Check what was opened of a statement.

        Args:
            body: As accepted by the history.
            agreement: The one that a slice, charge or release belongs to.
            values: Opened fields, checked against their digests; may be empty.

        Raises:
            RuleError: An amount breaks a rule. What was moved counts all the same.
        """
        self._count(body, values)
        match body:
            case TopUpStatement():
                self._top_up(body, values)
            case OrderStatement():
                self._jobs[body.job_id] = _OpenJob(
                    {k: v for k, v in values.items() if k == "price_max"}
                )
            case AgreementStatement():
                self._agree(body, values)
            case SliceStatement():
                self._use(body, values)
            case ChargeStatement():
                assert agreement is not None
                self._charge(body, agreement, values)
            case ReleaseStatement():
                assert agreement is not None
                self._free(agreement, self._job(body.job_id))

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

    def _count(self, body: StatementBody, values: Mapping[str, Json]) -> None:
        private = required_private_fields(body)
        if not private:
            return
        if private <= values.keys():
            self._report.opened += 1
        else:
            self._report.concealed += 1

    def _job(self, job_id: str) -> _OpenJob:
        return self._jobs.setdefault(job_id, _OpenJob({}))

    def _top_up(self, body: TopUpStatement, values: Mapping[str, Json]) -> None:
        if "amount" not in values:
            self._balances.lose_sight(body.debit, body.credit)
            return
        self._balances.move(body.debit, body.credit, read_amount(values, "amount"))

    def _agree(self, body: AgreementStatement, values: Mapping[str, Json]) -> None:
        job = self._job(body.job_id)
        job.hold = job.quantities = None
        if "hold" not in values:
            self._balances.lose_sight(body.debit)
            return
        job.hold = read_amount(values, "hold")
        self._balances.hold(body.debit, job.hold)
        check_hold(job.hold, job.order_values)
        self._balances.require_funds(body.debit)

    def _use(self, body: SliceStatement, values: Mapping[str, Json]) -> None:
        if all(f"quantity.{group}" in values for group in RatingGroup):
            self._job(body.job_id).quantities = read_quantities(values)

    def _charge(
        self,
        body: ChargeStatement,
        agreement: AgreementStatement,
        values: Mapping[str, Json],
    ) -> None:
        job = self._jobs.pop(body.job_id, _OpenJob({}))
        hold, quantities = job.hold, job.quantities
        self._free(agreement, job)
        self._post(body, values)
        if (
            hold is not None
            and quantities is not None
            and required_private_fields(body) <= values.keys()
        ):
            check_bill(
                agreement,
                body,
                hold_microcredits=hold,
                quantities=quantities,
                amounts=values,
            )
            self._report.charges_computed += 1
        for posting in body.postings:
            self._balances.require_funds(posting.debit)

    def _post(self, body: ChargeStatement, values: Mapping[str, Json]) -> None:
        for place, posting in enumerate(body.postings):
            name = f"amount.{place}"
            if name in values:
                amount = read_amount(values, name)
                self._balances.move(posting.debit, posting.credit, amount)
            else:
                self._balances.lose_sight(posting.debit, posting.credit)

    def _free(self, agreement: AgreementStatement, job: _OpenJob) -> None:
        if job.hold is not None:
            self._balances.hold(agreement.debit, -job.hold)
            job.hold = None
