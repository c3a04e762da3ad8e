"""The order of statements in a log: what may follow what, and how often.

Needs the public part of statements only. One statement at a time is taken, after its
own form and signatures were checked; one that breaks a rule changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ledger.audit.bill import (
    check_agreement,
    check_charge,
    check_offer,
    check_release,
    check_slice,
)
from ledger.audit.compact_table import CompactTable, TableField
from ledger.audit.errors import RuleError
from ledger.audit.recall import Recall, new_places
from ledger.audit.registry import Registry, RegistryState
from ledger.audit.rules import Rule
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    MarketStatement,
    OfferStatement,
    OrderStatement,
    ReleaseStatement,
    SliceStatement,
)
from ledger.statements.statement import Statement


@dataclass(frozen=True)
class JobContext:
    """What a slice, charge or release belongs to."""

    agreement: AgreementStatement
    commitments: Mapping[str, str] = field(default_factory=dict)
    """Of the slice, by field name; empty where there is none."""


@dataclass(slots=True)
class _Job:
    order: str
    attempt: int = 0
    agreement: str | None = None
    usage: str | None = None
    commitments: Mapping[str, str] = field(default_factory=dict)
    is_countersigned: bool = False


@dataclass
class HistoryState:
    """What stands so far."""

    registry: RegistryState = field(default_factory=RegistryState)
    places: TableField = field(default_factory=new_places)
    """Where each statement is that may still be referred to."""
    jobs: dict[str, _Job] = field(default_factory=dict)
    """Those that are not charged yet, by id."""
    charged: TableField = field(default_factory=CompactTable)
    """The ids of all others."""


class History:
    """All jobs of a log up to one statement."""

    def __init__(
        self,
        origin: str,
        read_entry: Callable[[int], bytes],
        state: HistoryState | None = None,
    ) -> None:
        """Start before the first statement, or go on.

        Args:
            origin: Of the log, as its checkpoint has it.
            read_entry: Reads an earlier entry of the log again.
            state: Of an earlier one.
        """
        self.state = state or HistoryState()
        self._recall = Recall(read_entry, self.state.places)
        self._registry = Registry(origin, self._recall, self.state.registry)

    def snapshot(self) -> HistoryState:
        """The state as it is now, for another to go on from."""
        return replace(self.state, places=self._recall.places())

    def take(self, index: int, statement: Statement) -> JobContext | None:
        """Check a statement against all before it.

        Args:
            index: Its place in the log.
            statement: With its signatures checked.

        Returns:
            What a slice, charge or release belongs to; None for other kinds.

        Raises:
            RuleError: It breaks a rule.
        """
        body, digest = statement.body, statement.digest
        if (index == 0) != isinstance(body, MarketStatement):
            raise RuleError(
                Rule.MARKET, "The market's own statement is the first, and only that."
            )
        match body:
            case OrderStatement():
                self._order(index, digest, body)
            case AgreementStatement():
                self._agree(index, digest, body)
            case SliceStatement():
                return self._use(index, statement, body)
            case ChargeStatement():
                return self._charge(body)
            case ReleaseStatement():
                return self._release(body)
            case _:
                self._registry.take(index, digest, body)
        return None

    def _order(self, index: int, digest: str, body: OrderStatement) -> None:
        if body.job_id in self.state.jobs or body.job_id in self.state.charged:
            raise RuleError(Rule.REPEATED, f"{body.job_id} was ordered before.")
        self.state.jobs[body.job_id] = _Job(order=digest)
        self._recall.remember(digest, index, body)

    def _agree(self, index: int, digest: str, body: AgreementStatement) -> None:
        registry, recall = self._registry, self._recall
        registry.require_market(body.market)
        registry.require_new("transfer", body.hold_transfer)
        check_agreement(recall.find(body.order, OrderStatement), body)
        offer = recall.find(body.offer, OfferStatement)
        if registry.market_tariff is not None:
            check_offer(offer, registry.market_tariff, body)
        registry.check_royalty(body.tariff)
        job = self.state.jobs[body.job_id]
        if job.agreement is not None:
            raise RuleError(
                Rule.AGREEMENT,
                "The job's earlier agreement was neither paid nor given up.",
            )
        if body.attempt != job.attempt + 1:
            raise RuleError(
                Rule.AGREEMENT,
                f"Attempt {body.attempt} where {job.attempt + 1} is due.",
            )
        registry.name("transfer", body.hold_transfer)
        job.agreement, job.attempt = digest, body.attempt
        recall.remember(digest, index, body)

    def _use(
        self, index: int, statement: Statement, body: SliceStatement
    ) -> JobContext:
        job, agreement = self._open_agreement(body.job_id, body.agreement)
        check_slice(agreement, body, statement.commitments)
        if job.usage is not None:
            raise RuleError(Rule.REPEATED, "The agreement has a slice already.")
        job.usage = statement.digest
        job.commitments = statement.commitments
        job.is_countersigned = statement.key_of("consumer") is not None
        self._recall.remember(statement.digest, index, body)
        return JobContext(agreement, job.commitments)

    def _charge(self, body: ChargeStatement) -> JobContext:
        self._registry.require_market(body.market)
        job, agreement = self._open_agreement(body.job_id, body.agreement)
        usage = self._recall.find(body.slice, SliceStatement)
        if body.slice != job.usage:
            raise RuleError(Rule.REFERENCE, "The slice is not of this agreement.")
        check_charge(agreement, usage, body, is_countersigned=job.is_countersigned)
        transfers = [posting.transfer_id for posting in body.postings]
        self._registry.require_new("transfer", *transfers)
        self._registry.name("transfer", *transfers)
        for digest in (job.order, body.agreement, body.slice):
            self._recall.forget(digest)
        del self.state.jobs[body.job_id]
        self.state.charged.add(body.job_id)
        return JobContext(agreement, job.commitments)

    def _release(self, body: ReleaseStatement) -> JobContext:
        self._registry.require_market(body.market)
        job, agreement = self._open_agreement(body.job_id, body.agreement)
        check_release(agreement, body)
        self._registry.require_new("release", body.transfer_id)
        self._registry.name("release", body.transfer_id)
        self._recall.forget(body.agreement)
        if job.usage is not None:
            self._recall.forget(job.usage)
        job.agreement = job.usage = None
        return JobContext(agreement)

    def _open_agreement(
        self, job_id: str, digest: str
    ) -> tuple[_Job, AgreementStatement]:
        agreement = self._recall.find(digest, AgreementStatement)
        job = self.state.jobs.get(job_id)
        if job is None or job.agreement != digest:
            raise RuleError(Rule.REFERENCE, "It refers to an agreement of another job.")
        return job, agreement
