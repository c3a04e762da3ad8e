"""Audits a copied log: files, tree, statements, openings, receipts.

Needs the folder and nothing else, and trusts only the log's verifier key. Whatever
lies in the folder, the outcome is a report; memory stays within a bundle, a few
thousand statements, and the digests and ids of what may still be referred to.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from ledger.audit.bill import opened_values
from ledger.audit.checked_statement import (
    check_openings,
    check_signatures,
    read_statement,
)
from ledger.audit.errors import ReceiptError, RuleError
from ledger.audit.history import History
from ledger.audit.log_copy import LogCopy, is_needed, read_bounded, read_verifier
from ledger.audit.openings_file import OpeningsFile, open_openings
from ledger.audit.receipt import (
    RECEIPT_BYTES_MAX,
    VerifiedReceipt,
    verify_receipt,
)
from ledger.audit.replay import Replay
from ledger.audit.report import AuditReport, Progress
from ledger.audit.rules import Rule
from ledger.audit.tree_audit import TreeAudit
from ledger.encoding import Json
from ledger.errors import AuditError, NoteError, ProofError, TileError
from ledger.limits import NOTE_BYTES_MAX
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.note import Verifier
from ledger.log.tiles import CHECKPOINT_PATH
from ledger.log.tree import TileTree
from ledger.statements.statement import Statement


def audit_log(
    copy: LogCopy,
    *,
    verifier: Verifier | None = None,
    openings: Path | None = None,
    progress: Progress = lambda _done, _total: None,
) -> AuditReport:
    """Check everything in a copy of a log.

    Args:
        copy: The folder.
        verifier: The log's key; if None, the one that lies in the folder, which then
            is taken on faith.
        openings: A file of openings; if None, the one in the folder, if any.
        progress: Told after each bundle.

    Returns:
        What was found. The audit itself does not fail on a log that is wrong.

    Raises:
        AuditError: A file that the audit starts from cannot be read at all.
    """
    report = AuditReport()
    opened = _open_head(copy, verifier, report)
    if opened is None:
        return report
    key, checkpoint = opened
    earlier = _open_earlier(copy, key, checkpoint, report)
    path = openings or copy.openings
    with open_openings(path, path.name, report) as openings_file:
        audit = _StatementAudit(copy, checkpoint, openings_file, report)
        tree = TreeAudit(copy.tiles, checkpoint, earlier, report)
        for start, entries in tree.bundles():
            audit.take_bundle(start, entries)
            progress(report.statements, checkpoint.size)
        audit.finish(path.name)
    _audit_receipts(copy, key, checkpoint, report)
    report.files_not_covered = sum(
        not is_needed(name, checkpoint.size) for name in copy.files()
    )
    return report


class _StatementAudit:
    """Takes the entries of a log in order, each through all rules."""

    def __init__(
        self,
        copy: LogCopy,
        checkpoint: Checkpoint,
        openings: OpeningsFile | None,
        report: AuditReport,
    ) -> None:
        tree = TileTree(copy.tiles, checkpoint.size)
        self._history = History(checkpoint.origin, tree.entry)
        self._replay = Replay(report)
        self._openings = openings
        self._report = report

    def take_bundle(self, start: int, entries: Sequence[bytes | None]) -> None:
        for index, entry in enumerate(entries, start=start):
            self._report.statements += 1
            if entry is None:
                continue
            try:
                self._take(index, entry)
            except RuleError as error:
                self._report.add_problem(f"entry {index}", error.rule, str(error))

    def finish(self, openings_name: str) -> None:
        try:
            self._replay.finish()
        except RuleError as error:
            self._report.add_problem("books", error.rule, str(error))
        for number in self._openings.unused_lines() if self._openings else ():
            self._report.add_problem(
                f"{openings_name} line {number}",
                Rule.OPENING_FORM,
                "It opens no statement of this log; if it is newer than the copy, "
                "fetch the log again.",
            )

    def _take(self, index: int, entry: bytes) -> None:
        statement = read_statement(entry)
        self._report.kinds[statement.kind] += 1
        values = self._opened(index, statement)
        check_signatures(statement)
        agreement = self._history.take(index, statement)
        self._replay.take(statement.body, agreement, values)

    def _opened(self, index: int, statement: Statement) -> dict[str, Json]:
        if self._openings is None:
            return {}
        shown = self._openings.take(statement.digest)
        if shown is None:
            return {}
        try:
            return opened_values(check_openings(statement, shown))
        except RuleError as error:
            # An opening that does not fit shows nothing; the statement stands.
            self._report.add_problem(f"entry {index}", error.rule, str(error))
            return {}


def _open_head(
    copy: LogCopy, verifier: Verifier | None, report: AuditReport
) -> tuple[Verifier, Checkpoint] | None:
    try:
        key = verifier or read_verifier(copy.key)
    except NoteError as error:
        report.add_problem(copy.key.name, Rule.KEY, str(error))
        return None
    report.key = key.vkey
    try:
        checkpoint = open_checkpoint(copy.tiles.read(CHECKPOINT_PATH), key)
    except (NoteError, TileError) as error:
        report.add_problem(CHECKPOINT_PATH, Rule.CHECKPOINT, str(error))
        return None
    report.checkpoint = checkpoint
    return key, checkpoint


def _open_earlier(
    copy: LogCopy, key: Verifier, checkpoint: Checkpoint, report: AuditReport
) -> Checkpoint | None:
    if not copy.earlier.exists():
        return None
    try:
        note = read_bounded(copy.earlier, bytes_max=NOTE_BYTES_MAX)
        earlier = open_checkpoint(note, key)
    except (AuditError, NoteError) as error:
        report.add_problem(copy.earlier.name, Rule.CHECKPOINT, str(error))
        return None
    if earlier.size > checkpoint.size:
        report.add_problem(
            copy.earlier.name,
            Rule.GROWTH,
            f"It counts {earlier.size} entries and the checkpoint {checkpoint.size}: "
            "the log lost some, or the copy is older than it says.",
        )
        return None
    return earlier


def _audit_receipts(
    copy: LogCopy, key: Verifier, checkpoint: Checkpoint, report: AuditReport
) -> None:
    tree = TileTree(copy.tiles, checkpoint.size)

    @lru_cache(maxsize=1024)
    def root_at(size: int) -> bytes:
        return TileTree(copy.tiles, size).root()

    for name in copy.receipt_names():
        try:
            data = read_bounded(copy.receipts / name, bytes_max=RECEIPT_BYTES_MAX)
            receipt = verify_receipt(data, key)
            _check_same_log(receipt, checkpoint, tree, root_at)
        except (ReceiptError, RuleError) as error:
            report.add_problem(f"receipts/{name}", error.rule, str(error))
        except AuditError as error:
            report.add_problem(f"receipts/{name}", Rule.RECEIPT_FORM, str(error))
        else:
            report.receipts += 1


def _check_same_log(
    receipt: VerifiedReceipt,
    checkpoint: Checkpoint,
    tree: TileTree,
    root_at: Callable[[int], bytes],
) -> None:
    if receipt.checkpoint_size > checkpoint.size:
        raise RuleError(
            Rule.RECEIPT_LOG, "The receipt is newer than this copy; fetch it again."
        )
    try:
        is_same = (
            root_at(receipt.checkpoint_size) == receipt.checkpoint_root
            and tree.entry(receipt.index) == receipt.charge_entry
        )
    except (TileError, ProofError) as error:
        raise RuleError(Rule.RECEIPT_LOG, str(error)) from error
    if not is_same:
        raise RuleError(
            Rule.RECEIPT_LOG,
            "The receipt's checkpoint is of another history than this copy.",
        )
