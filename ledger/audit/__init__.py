"""The auditor: checks receipts and whole logs, and copies a log to check it offline.

It imports no database, no server and no key store; an auditor can read it alone.
Start with `receipt` (one bill) and `bill` (its rules), then `log_audit` (a whole log):
`tree_audit` for files and hashes, `examination` for statements by themselves, which
`workers` share, `statement_audit` for all of them in order, with `history` for what may
follow what and `replay` for amounts and balances. `rules` lists all that is checked,
`report` what was found; `fetch` makes a copy, `remote_audit` needs none, and `follow`
keeps watch.
"""

from ledger.audit.bill import Bill
from ledger.audit.errors import ForkError, ReceiptError, RuleError
from ledger.audit.log_audit import AuditOptions, Watch, audit_log
from ledger.audit.log_copy import LogCopy, read_verifier
from ledger.audit.receipt import VerifiedReceipt, make_receipt, verify_receipt
from ledger.audit.report import AuditReport, Problem
from ledger.audit.rules import Rule

__all__ = [
    "AuditOptions",
    "AuditReport",
    "Bill",
    "ForkError",
    "LogCopy",
    "Problem",
    "ReceiptError",
    "Rule",
    "RuleError",
    "VerifiedReceipt",
    "Watch",
    "audit_log",
    "make_receipt",
    "read_verifier",
    "verify_receipt",
]
