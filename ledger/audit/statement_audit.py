"""The statements of a log in order, each through all rules, with what opens them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ledger.audit.audit_state import AuditState
from ledger.audit.disclosure_file import DisclosureFile
from ledger.audit.errors import RuleError
from ledger.audit.examination import Examined
from ledger.audit.history import History
from ledger.audit.replay import Replay
from ledger.audit.report import AuditReport, ProvedTotal
from ledger.audit.rules import Rule
from ledger.audit.timeline import made_at_ms
from ledger.audit.totals import TotalsCheck
from ledger.audit.tree_audit import Bundle, Rows
from ledger.audit.workers import examine_in_order
from ledger.encoding import encode_base64, sha256_text
from ledger.statements.disclosure import Openings
from ledger.statements.kinds import ChargeStatement, LogKeyStatement
from ledger.statements.statement import (
    Statement,
    reopen_statement,
)


@dataclass(slots=True)
class _Work:
    bundle: Bundle
    shown: dict[int, list[bytes]] = field(default_factory=dict)
    used: list[tuple[DisclosureFile, str]] = field(default_factory=list)

    @property
    def entries(self) -> Sequence[bytes | None]:
        return self.bundle.entries


class StatementAudit:
    """Takes the bundles of a log in order."""

    def __init__(
        self,
        origin: str,
        read_entry: Callable[[int], bytes],
        disclosures: Sequence[DisclosureFile],
        report: AuditReport,
        state: AuditState | None = None,
    ) -> None:
        """Start before the first statement, or go on.

        Args:
            origin: Of the log, as its checkpoint has it.
            read_entry: Reads an earlier entry of the log again.
            disclosures: Files of openings and totals.
            report: Where problems and counts go.
            state: Of an interrupted audit.
        """
        state = state or AuditState()
        self._history = History(origin, read_entry, state.history)
        self._replay = Replay(report, state.replay)
        self._totals = TotalsCheck(
            [placed for file in disclosures for placed in file.totals()], state.totals
        )
        self._disclosures = disclosures
        self._report = report
        if state.edge:
            report.resume(state.report)
            for file, lines_left in zip(disclosures, state.lines_left, strict=False):
                file.lines_left = lines_left

    def take(self, bundles: Iterable[Bundle], jobs: int) -> Iterator[Bundle]:
        """Check bundles, and yield each when it is done with.

        Args:
            bundles: In order; taken a few ahead of what is yielded.
            jobs: How many processes examine them.

        Raises:
            AuditError: A process has ended early, or a log cannot be reached.
        """
        works = (self._prepare(bundle) for bundle in bundles)
        for work, found in examine_in_order(works, jobs):
            self._take(work.bundle, found)
            for file, digest in work.used:
                file.forget(digest)
            yield work.bundle

    def finish(self) -> None:
        """Report the balances at the end, and what opened nothing."""
        try:
            self._replay.finish()
        except RuleError as error:
            self._report.add_problem("books", error.rule, str(error))
        self._finish_totals()
        for file in self._disclosures:
            for number in file.unused_lines():
                self._report.add_problem(
                    f"{file.name} line {number}",
                    Rule.OPENING_FORM,
                    "It opens no statement of this log; if it is newer than the copy, "
                    "fetch the log again.",
                )

    def state(self, edge: Rows) -> AuditState:
        """What it takes to go on after the bundle that was yielded last.

        Args:
            edge: Of that bundle.
        """
        return AuditState(
            edge=[[encode_base64(item) for item in row] for row in edge],
            is_extension=self._report.earlier is not None,
            history=self._history.snapshot(),
            replay=self._replay.state,
            totals=self._totals.state,
            report=self._report.counts(),
            lines_left=[file.lines_left for file in self._disclosures],
        )

    @property
    def key_changes(self) -> Sequence[tuple[int, LogKeyStatement]]:
        """Each change of the log's keys so far, with its place."""
        return self._history.state.registry.key_changes

    def _finish_totals(self) -> None:
        for placed, wrong in self._totals.results():
            if wrong is not None:
                self._report.add_problem(placed.place, wrong.rule, str(wrong))
                continue
            total = placed.total
            self._report.totals.append(
                ProvedTotal(
                    placed.place, len(total.charges), total.payee, total.opening.value
                )
            )

    def _prepare(self, bundle: Bundle) -> _Work:
        work = _Work(bundle)
        if not self._disclosures:
            return work
        for offset, entry in enumerate(bundle.entries):
            if entry is None:
                continue
            digest = sha256_text(entry)
            for file in self._disclosures:
                line = file.find(digest)
                if line is not None:
                    work.shown.setdefault(offset, []).append(line)
                    work.used.append((file, digest))
        return work

    def _take(self, bundle: Bundle, found: Examined) -> None:
        report = self._report
        report.add_problems(bundle.problems)
        report.statements += len(bundle.entries)
        for offset, rule, message in found.misfits:
            report.add_problem(f"entry {bundle.start + offset}", rule, message)
        for offset, entry in enumerate(bundle.entries):
            if entry is None:
                continue
            index = bundle.start + offset
            refusal = found.refused.get(offset)
            if refusal is not None:
                if refusal.kind is not None:
                    report.kinds[refusal.kind] += 1
                report.add_problem(f"entry {index}", refusal.rule, refusal.message)
                continue
            statement = found.statements.get(offset) or reopen_statement(
                entry, found.kinds[offset]
            )
            try:
                self._follow(index, statement, found.openings.get(offset, {}))
            except RuleError as error:
                report.add_problem(f"entry {index}", error.rule, str(error))

    def _follow(self, index: int, statement: Statement, openings: Openings) -> None:
        report = self._report
        report.kinds[statement.kind] += 1
        report.timeline.add(statement.kind, made_at_ms(statement.body))
        context = self._history.take(index, statement)
        if context is not None and isinstance(statement.body, ChargeStatement):
            tariff = context.agreement.tariff
            self._totals.take(statement.digest, tariff, context.commitments)
        self._replay.take(statement, context, openings)
