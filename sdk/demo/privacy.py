"""Scene 7: what the public log shows, and what one party chooses to show of it."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.audit.log_audit import AuditOptions, audit_log
from ledger.audit.log_copy import LogCopy
from ledger.audit.report import AuditReport
from ledger.log.checkpoint import parse_checkpoint
from ledger.log.tiles import CHECKPOINT_PATH
from ledger.log.tree import TileTree
from ledger.statements.kinds import OrderStatement, SliceStatement
from ledger.statements.statement import Statement, parse_statement
from sdk.demo.audit import fetch_copy
from sdk.demo.scenes import Play
from sdk.disclosure import JobRecord

COMMITMENT_CHARACTERS_SHOWN = 24


@dataclass(frozen=True)
class PublicView:
    """A log as anybody sees it, who has nothing but a copy."""

    copy: LogCopy
    entries: Sequence[bytes]
    statements: Sequence[Statement]

    @classmethod
    def read(cls, folder: Path) -> "PublicView":
        """Read a copy; its signatures are for the audit to check."""
        copy = LogCopy.find(folder)
        note = (copy.log / CHECKPOINT_PATH).read_text()
        text, _, _ = note.partition("\n\n")
        size = parse_checkpoint(text + "\n").size
        entries = list(TileTree(copy.tiles, size).entries())
        return cls(copy, entries, [parse_statement(entry) for entry in entries])

    def slice_of(self, job_id: str) -> Statement:
        """The slice of a job."""
        return next(
            statement
            for statement in self.statements
            if isinstance(body := statement.body, SliceStatement)
            and body.job_id == job_id
        )

    def pseudonyms(self) -> Counter[str]:
        """How many orders there are under each pseudonym."""
        return Counter(
            statement.body.consumer
            for statement in self.statements
            if isinstance(statement.body, OrderStatement)
        )

    def kinds_naming(self, account: str) -> list[str]:
        """The kinds of the statements in which an account is named."""
        return [
            statement.kind
            for entry, statement in zip(self.entries, self.statements, strict=True)
            if account.encode() in entry
        ]


def show_privately(play: Play, folder: Path) -> bool:
    """Show one record and one total to somebody who has a copy, and nothing else.

    Returns:
        Whether both were proved, and whether the log names no consumer.
    """
    tell = play.narrator
    tell.scene("Private amounts: what the log shows, and what the hospital shows")
    record, total = [
        *play.hospital.disclose(jobs=[play.scored_job], records=[JobRecord.SLICE]),
        *play.hospital.disclose(total="paid"),
    ]
    shown = folder / "shown.jsonl"
    shown.write_bytes(record + total)
    # There is a receipt once its charge is published, and so are all before it.
    play.hospital.receipt(play.hospital.invoice()["lines"][-1]["jobId"])
    public = folder / "public"
    public.mkdir()
    fetch_copy(play.stage.url, public)
    view = PublicView.read(public)
    report = audit_log(view.copy, options=AuditOptions(disclosures=[shown]))
    _tell_record(play, view.slice_of(play.scored_job), json.loads(record))
    is_proved = _tell_total(play, report)
    return _tell_names(play, view) and is_proved


def _tell_record(play: Play, usage: Statement, record: dict[str, Any]) -> None:
    tell = play.narrator
    rows = [
        (
            name.removeprefix("quantity."),
            point[:COMMITMENT_CHARACTERS_SHOWN] + " ...",
            record["openings"][name]["value"],
        )
        for name, point in usage.commitments.items()
    ]
    tell.fact("commitments", dict(usage.commitments))
    tell.fact("opened", {name: value for name, _, value in rows})
    tell.table(("the scoring job used", "in the log", "opened by the hospital"), rows)


def _tell_total(play: Play, report: AuditReport) -> bool:
    tell = play.narrator
    due = play.hospital.invoice()["totalMicrocredits"]
    (total,) = report.totals
    is_due = total.amount_microcredits == due
    tell.fact("records_opened", report.opened)
    tell.fact("records_closed", report.concealed)
    tell.fact("charges_in_total", total.charges)
    tell.fact("total_microcredits", total.amount_microcredits)
    tell.fact("total_is_invoice", is_due)
    tell.say(
        f"Checked against a copy of the log: that one record, and that {total.charges} "
        f"charges come to {total.amount_microcredits:,} micro-credits."
    )
    tell.say(f"No charge was opened for that; {report.concealed} records stay closed.")
    return report.is_ok and report.opened == 1 and is_due


def _tell_names(play: Play, view: PublicView) -> bool:
    tell = play.narrator
    jobs = view.pseudonyms()
    named_in = view.kinds_naming(play.hospital.account_id)
    tell.fact("pseudonyms", len(jobs))
    tell.fact("hospital_named_in", list(named_in))
    tell.say(
        f"The log has {jobs.total()} orders under {len(jobs)} pseudonyms. It names the "
        f"hospital in {len(named_in)} statements: {' and '.join(named_in)}."
    )
    return jobs.total() == len(jobs) and named_in == ["account", "top_up"]
