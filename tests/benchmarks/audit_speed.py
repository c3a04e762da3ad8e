"""Auditing a log of a million statements: how fast, in how much memory."""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from million_log import ORIGIN, build_log

from ledger.audit.log_audit import AuditOptions, audit_log
from ledger.audit.log_copy import LogCopy, read_verifier
from ledger.log.log_keys import open_checkpoint
from ledger.log.merkle import leaf_hash, verify_inclusion
from ledger.log.tree import TileTree

STATEMENTS = 1_000_000
PROOFS = 2_000
JOBS = 2
SAMPLE_EVERY_S = 0.05
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Measured:
    """All figures of one log."""

    structure_per_s: float
    full_per_s: float
    memory_mb: float
    proofs_per_s: float


def audit_structure_per_s(_stack: ExitStack) -> float:
    """Statements per second whose tree, bundles and hashes are checked, one core."""
    return _measure().structure_per_s


def audit_full_per_s(_stack: ExitStack) -> float:
    """Statements per second through all rules, each signature checked, by `sixfold`."""
    return _measure().full_per_s


def audit_memory_mb(_stack: ExitStack) -> float:
    """The most that all processes of that audit together had in memory."""
    return _measure().memory_mb


def million_proofs_per_s(_stack: ExitStack) -> float:
    """Inclusion proofs from the tiles of that log, made and verified."""
    return _measure().proofs_per_s


@cache
def _measure() -> Measured:
    with tempfile.TemporaryDirectory() as name:
        copy = build_log(Path(name), STATEMENTS)
        proofs_per_s = _prove(copy)
        structure_per_s = _check_structure(copy)
        full_per_s, memory_mb = _audit(copy)
    return Measured(structure_per_s, full_per_s, memory_mb, proofs_per_s)


def _prove(copy: LogCopy) -> float:
    note = copy.tiles.read("checkpoint")
    checkpoint = open_checkpoint(note, read_verifier(copy.key))
    tree = TileTree(copy.tiles, checkpoint.size)
    step = checkpoint.size // PROOFS
    leaves = [
        (index, leaf_hash(tree.entry(index))) for index in range(0, step * PROOFS, step)
    ]
    started_s = time.perf_counter()
    for index, leaf in leaves:
        verify_inclusion(
            leaf,
            index=index,
            tree_size=checkpoint.size,
            path=tree.inclusion_path(index),
            root=checkpoint.root,
        )
    return PROOFS / (time.perf_counter() - started_s)


def _check_structure(copy: LogCopy) -> float:
    started_s = time.perf_counter()
    report = audit_log(copy, options=AuditOptions(is_structure_only=True))
    assert report.is_ok
    return report.statements / (time.perf_counter() - started_s)


def _audit(copy: LogCopy) -> tuple[float, float]:
    """Run the command as an auditor would, and watch its memory."""
    command = Path(sys.executable).with_name("sixfold")
    arguments = ("audit", "log", copy.folder, "--jobs", str(JOBS), "--json")
    started_s = time.perf_counter()
    memory_bytes = 0
    with subprocess.Popen([command, *arguments], stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            memory_bytes = max(memory_bytes, _memory_bytes(process.pid))
            time.sleep(SAMPLE_EVERY_S)
        assert process.stdout is not None
        report = json.load(process.stdout)
    assert report["ok"] is True
    assert report["checkpoint"]["origin"] == ORIGIN
    passed_s = time.perf_counter() - started_s
    return report["statements"] / passed_s, memory_bytes / MEBIBYTE


def _memory_bytes(pid: int) -> int:
    """Of a process and its children; pages that they share count for each."""
    folder = Path(f"/proc/{pid}")
    try:
        children = (folder / f"task/{pid}/children").read_text().split()
        status = (folder / "status").read_text()
    except OSError:
        return 0
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    own = int(resident.split()[1]) * 1024
    return own + sum(_memory_bytes(int(child)) for child in children)
