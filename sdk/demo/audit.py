"""The last scene: invoice, balances, and an audit of a copy of the log."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from ledger.audit.fetch import fetch_log
from ledger.audit.log_audit import AuditOptions, audit_log
from ledger.audit.log_copy import LogCopy
from ledger.audit.remote_log import RemoteLog
from ledger.audit.report import AuditReport
from ledger.encoding import canonical_json
from ledger.log.witness_policy import WitnessPolicy
from sdk.market import Market

FLIPPED_BYTE = 2_000
"""Somewhere in the midst of the first entries."""


def fetch_copy(url: str, folder: Path) -> None:
    """Copy the log over HTTP; a second copy proves that it extends the first."""
    with RemoteLog(url) as remote:
        fetch_log(remote, folder)


def keep_receipts(parties: Iterable[Market], folder: Path) -> int:
    """Save every receipt of these consumers; returns how many there are."""
    receipts = folder / "receipts"
    receipts.mkdir(parents=True, exist_ok=True)
    count = 0
    for party in parties:
        for line in party.invoice()["lines"]:
            job_id = str(line["jobId"])
            party.receipt(job_id).save(receipts / f"{job_id}.tlog-proof")
            count += 1
    return count


def keep_openings(operator: Market, folder: Path) -> None:
    """Save what opens the private fields of all statements: the operator's secret."""
    with (folder / "openings.jsonl").open("wb") as file:
        for item in operator.disclosures():
            line = {"digest": item["digest"], "openings": item["openings"]}
            file.write(canonical_json(line) + b"\n")


def audit_copy(folder: Path, policy_file: Path) -> AuditReport:
    """Check everything in a copy, offline, and that witnesses have seen the same."""
    policy = WitnessPolicy.parse(policy_file.read_bytes())
    return audit_log(LogCopy.find(folder), options=AuditOptions(policy=policy))


def flip_one_byte(folder: Path, damaged: Path) -> str:
    """Make a second copy in which one byte of the first entries is another.

    Returns:
        The file that has it, as the audit would name it.
    """
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(folder / "log", damaged / "log")
    shutil.copy(folder / "log.vkey", damaged / "log.vkey")
    path = next(
        path
        for path in sorted((damaged / "log" / "tile" / "entries").rglob("*"))
        if path.is_file()
    )
    data = bytearray(path.read_bytes())
    data[FLIPPED_BYTE] ^= 1
    path.write_bytes(data)
    return path.relative_to(damaged / "log").as_posix()
