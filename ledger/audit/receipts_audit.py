"""The receipts that lie beside a copied log: each by itself, and against the log."""

from collections.abc import Callable
from functools import lru_cache

from ledger.audit.errors import ReceiptError, RuleError
from ledger.audit.key_rotation import KeyHistory
from ledger.audit.log_copy import LogCopy, read_bounded
from ledger.audit.receipt import RECEIPT_BYTES_MAX, VerifiedReceipt, verify_receipt
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.errors import AuditError, NoteError, ProofError, TileError
from ledger.log.checkpoint import Checkpoint, parse_checkpoint
from ledger.log.log_keys import LogKeys
from ledger.log.note import read_text
from ledger.log.proof import parse_proof
from ledger.log.tree import TileTree


def audit_receipts(
    copy: LogCopy, keys: KeyHistory, checkpoint: Checkpoint, report: AuditReport
) -> None:
    """Check every receipt of a copy, and report the problems.

    Args:
        copy: With the receipts.
        keys: Of the log, at each of its sizes.
        checkpoint: Of the copy.
        report: Where problems go.

    Raises:
        AuditError: Their folder cannot be read.
    """
    tree = TileTree(copy.tiles, checkpoint.size)

    @lru_cache(maxsize=1024)
    def root_at(size: int) -> bytes:
        return TileTree(copy.tiles, size).root()

    for name in copy.receipt_names():
        try:
            data = read_bounded(copy.receipts / name, bytes_max=RECEIPT_BYTES_MAX)
            receipt = verify_receipt(data, _keys_of(data, keys))
            _check_same_log(receipt, checkpoint, tree, root_at)
        except (ReceiptError, RuleError) as error:
            report.add_problem(f"receipts/{name}", error.rule, str(error))
        except AuditError as error:
            report.add_problem(f"receipts/{name}", Rule.RECEIPT_FORM, str(error))
        else:
            report.receipts += 1


def _keys_of(receipt: bytes, keys: KeyHistory) -> LogKeys:
    """The keys that the log had when a receipt was made, by what it claims."""
    try:
        note = parse_proof(receipt).checkpoint_note
        return keys.at(parse_checkpoint(read_text(note)).size)
    except (NoteError, ProofError):
        # Its own check says what is wrong with it.
        return keys.keys


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
