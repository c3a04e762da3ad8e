"""Errors of the auditor, beside those of :mod:`ledger.errors`.

LedgerError
    RuleError           a statement breaks a rule that an audit checks
    ReceiptError        a receipt that does not prove its bill
    ForkError           a log that does not extend what it showed before
    UnprovenError       a log that does not prove that it extends what it showed
    AuditStoppedError   an audit that was stopped on its way (an AuditError)
"""

from ledger.audit.rules import Rule
from ledger.errors import AuditError, LedgerError


class RuleError(LedgerError):
    """A statement breaks one of the rules; `rule` says which."""

    code = "LEDGER.RULE"

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class ReceiptError(LedgerError):
    """A receipt does not prove its bill; `rule` says what of it failed."""

    code = "LEDGER.RECEIPT"

    def __init__(self, rule: Rule, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class ForkError(LedgerError):
    """A log shows another history than before; both checkpoints are evidence."""

    code = "LEDGER.FORK"


class AuditStoppedError(AuditError):
    """An audit was stopped before its end; with a state file it can go on."""

    code = "LEDGER.AUDIT_STOPPED"


class UnprovenError(LedgerError):
    """A log has signed a checkpoint and does not prove that it extends the last one."""

    code = "LEDGER.UNPROVEN"
