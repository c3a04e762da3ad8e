"""Audits a log: files, tree, statements, openings, receipts.

Trusts only the log's verifier keys. Whatever lies in the folder or comes from the
server, the outcome is a report; memory stays within a few bundles, a few thousand
statements, and some bytes for each digest and id that may still be referred to.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ledger.audit.audit_state import StateFile
from ledger.audit.disclosure_file import DisclosureFile, open_disclosure
from ledger.audit.errors import AuditStoppedError
from ledger.audit.key_rotation import KeyHistory
from ledger.audit.keys_audit import audit_keys
from ledger.audit.log_copy import (
    ENTRIES_MAX,
    LogCopy,
    is_needed,
    read_bounded,
    read_verifier,
)
from ledger.audit.receipts_audit import audit_receipts
from ledger.audit.report import AuditReport, Progress
from ledger.audit.rules import Rule
from ledger.audit.statement_audit import StatementAudit
from ledger.audit.tree_audit import Bundle, TreeAudit
from ledger.encoding import Json, encode_base64
from ledger.errors import AuditError, NoteError, TileError
from ledger.limits import NOTE_BYTES_MAX
from ledger.log.checkpoint import Checkpoint
from ledger.log.log_keys import LogKeys, open_checkpoint
from ledger.log.tiles import CHECKPOINT_PATH, TileSource
from ledger.log.tree import TileTree
from ledger.log.witness_policy import NO_WITNESSES, WitnessPolicy


@dataclass(frozen=True)
class AuditOptions:
    """How an audit is made, beside the log and its keys."""

    policy: WitnessPolicy = NO_WITNESSES
    """Whose cosignatures the checkpoint must have."""
    disclosures: Sequence[Path] = ()
    """Files of openings; if there are none, the one in the folder, if any."""
    jobs: int = 1
    """How many processes examine statements."""
    state: Path | None = None
    """The file that an interrupted audit goes on from."""
    is_structure_only: bool = False
    """Check files and hashes alone, and read no statement."""


PLAIN = AuditOptions()
"""No witnesses asked for, no disclosures named, one process, everything checked."""


@dataclass(frozen=True)
class Watch:
    """Whom an audit tells how it goes, and who may stop it."""

    progress: Progress = lambda _done, _total: None
    """Told after each bundle."""
    notice: Callable[[str], None] = lambda _text: None
    """Told what is worth a sentence."""
    is_stopped: Callable[[], bool] = lambda: False
    """Asked after each bundle."""


UNWATCHED = Watch()
"""Tells nobody, and is not stopped."""


def audit_log(
    copy: LogCopy,
    *,
    keys: LogKeys | None = None,
    options: AuditOptions = PLAIN,
    watch: Watch = UNWATCHED,
) -> AuditReport:
    """Check everything in a copy of a log.

    Args:
        copy: The folder.
        keys: The log's; if None, those that lie in the folder, which then are taken
            on faith.
        options: How.
        watch: Who is told how it goes.

    Returns:
        What was found. The audit itself does not fail on a log that is wrong.

    Raises:
        AuditError: A file that the audit starts from cannot be read at all.
        AuditStoppedError: It was stopped.
    """
    report = AuditReport()
    try:
        known = keys or read_verifier(copy.key)
    except NoteError as error:
        report.add_problem(copy.key.name, Rule.KEY, str(error))
        return report
    audit = LogAudit(copy.tiles, known, options, report, watch)
    if not audit.open_head():
        return report
    in_folder = [copy.openings] if copy.openings.exists() else []
    audit.run(_open_earlier(copy, audit), options.disclosures or in_folder)
    audit_receipts(copy, audit.keys, audit.checkpoint, report)
    _audit_files(copy, audit.checkpoint, report)
    return report


class LogAudit:
    """One audit of one log, wherever its files come from."""

    checkpoint: Checkpoint
    """Once `open_head` has found one."""

    def __init__(
        self,
        source: TileSource,
        keys: LogKeys,
        options: AuditOptions,
        report: AuditReport,
        watch: Watch,
    ) -> None:
        """Name what is to be audited; nothing is read yet.

        Args:
            source: The log's files.
            keys: The log's.
            options: How.
            report: What is found goes there.
            watch: Who is told how it goes.
        """
        self.keys = KeyHistory(keys)
        """Those that count at each size; as announced in the log, once it was read."""
        self.report = report
        self._source = source
        self._options = options
        self._watch = watch
        report.keys = keys.vkeys
        report.is_structure_only = options.is_structure_only

    def open_head(self) -> bool:
        """Open the checkpoint; False if there is none that counts."""
        report, policy = self.report, self._options.policy
        try:
            self._note = self._source.read(CHECKPOINT_PATH)
            opened = policy.open(self._note, self.keys.keys)
        except (NoteError, TileError) as error:
            report.add_problem(CHECKPOINT_PATH, Rule.CHECKPOINT, str(error))
            return False
        if opened.checkpoint.size > ENTRIES_MAX:
            report.add_problem(
                CHECKPOINT_PATH,
                Rule.CHECKPOINT,
                f"The log claims {opened.checkpoint.size} entries; that is too many.",
            )
            return False
        self.checkpoint = report.checkpoint = opened.checkpoint
        report.witnesses = opened.witnessing.times_s
        if not opened.witnessing.is_quorum_met:
            report.add_problem(
                CHECKPOINT_PATH,
                Rule.WITNESS,
                f"{len(report.witnesses)} of {len(policy.witnesses)} witnesses have "
                f"cosigned it; the quorum {policy.quorum} is not met.",
            )
        return True

    def run(
        self,
        earlier: Checkpoint | None,
        disclosures: Sequence[Path],
        *,
        ahead: TileSource | None = None,
    ) -> None:
        """Check tree and statements.

        Args:
            earlier: A checkpoint that this one must extend, if any.
            disclosures: Files of openings.
            ahead: The same files, of which each is asked for once and in order; if
                None, the source itself.

        Raises:
            AuditError: The log cannot be reached, or a disclosure cannot be read.
            AuditStoppedError: It was stopped.
        """
        in_order = ahead or self._source
        if self._options.is_structure_only:
            self._run_structure(TreeAudit(in_order, self.checkpoint, earlier), earlier)
            return
        with ExitStack() as stack:
            files = [
                stack.enter_context(open_disclosure(path, path.name, self.report))
                for path in disclosures
            ]
            self._run_whole(in_order, earlier, files)

    def _run_structure(self, tree: TreeAudit, earlier: Checkpoint | None) -> None:
        for bundle in tree.bundles():
            self.report.add_problems(bundle.problems)
            self.report.statements += len(bundle.entries)
            self._tell(bundle, earlier)
            if self._watch.is_stopped():
                raise AuditStoppedError("The audit was stopped.")

    def _run_whole(
        self,
        in_order: TileSource,
        earlier: Checkpoint | None,
        files: Sequence[DisclosureFile],
    ) -> None:
        state_file = StateFile(self._options.state, self._belongs_to(earlier, files))
        state = state_file.load(self._watch.notice)
        if state.is_extension:
            self.report.earlier = earlier
        tree = TreeAudit(in_order, self.checkpoint, earlier, edge=state.rows)
        read_entry = TileTree(self._source, self.checkpoint.size).entry
        audit = StatementAudit(
            self.checkpoint.origin, read_entry, files, self.report, state
        )
        for bundle in audit.take(tree.bundles(), self._options.jobs):
            self._tell(bundle, earlier)
            is_stopped = self._watch.is_stopped()
            if bundle.is_full and (is_stopped or state_file.is_due()):
                state_file.save(audit.state(bundle.edge))
            if is_stopped:
                raise AuditStoppedError("The audit was stopped.")
        audit.finish()
        self.keys = audit_keys(
            self.keys.keys, self._note, audit.key_changes, self.report
        )
        state_file.remove()

    def _tell(self, bundle: Bundle, earlier: Checkpoint | None) -> None:
        if bundle.is_extension:
            self.report.earlier = earlier
        self._watch.progress(self.report.statements, self.checkpoint.size)

    def _belongs_to(
        self, earlier: Checkpoint | None, files: Sequence[DisclosureFile]
    ) -> Json:
        """What must be the same for an interrupted audit to go on."""
        return [
            list(self.keys.keys.vkeys),
            self.checkpoint.text,
            earlier.text if earlier else None,
            [encode_base64(file.sha256) for file in files],
        ]


def _open_earlier(copy: LogCopy, audit: LogAudit) -> Checkpoint | None:
    report, checkpoint = audit.report, audit.checkpoint
    if not copy.earlier.exists():
        return None
    try:
        note = read_bounded(copy.earlier, bytes_max=NOTE_BYTES_MAX)
        earlier = open_checkpoint(note, audit.keys.keys)
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


def _audit_files(copy: LogCopy, checkpoint: Checkpoint, report: AuditReport) -> None:
    for name in copy.files():
        if not copy.is_plain(name):
            report.add_problem(name, Rule.FILE, "This is a link, a pipe or a device.")
        elif not is_needed(name, checkpoint.size):
            report.files_not_covered += 1
