"""`make bench`: measures the figures, prints a table, and writes build/bench.json.

Each figure is a function that returns its value; figures of one subject share what
they start. Numbers are of the machine they ran on, which the file names.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

import audit_speed
import commitment_lines
import homomorphic_scoring
import job_round_trip
import job_throughput
import ledger_append
import log_proofs
import sandbox_job

BUILD = Path("build")

Figure = Callable[[ExitStack], float]

FIGURES: dict[str, tuple[str, Figure]] = {
    "python_job_ms_p50": (
        "no-op Python function in the sandbox, warm cache, fresh instance (at most 4)",
        sandbox_job.python_job_ms_p50,
    ),
    "job_roundtrip_ms_p50": (
        "one sandbox job from SDK call to countersigned result (at most 50)",
        job_round_trip.job_roundtrip_ms_p50,
    ),
    "jobs_per_s": (
        "2,000 no-op Python jobs through map, each charged and logged (at least 100)",
        job_throughput.jobs_per_s,
    ),
    "dask_tasks_per_s": (
        "the same no-ops on distributed with 2 worker processes",
        job_throughput.dask_tasks_per_s,
    ),
    "ledger_append_per_s": (
        "public append, 500 bytes, once, in the tree, 256 at a time (at least 20,000)",
        ledger_append.ledger_append_per_s,
    ),
    "sqlite_insert_per_s": (
        "rows of as many bytes in SQLite alone with the same syncs, in turn with it",
        ledger_append.sqlite_insert_per_s,
    ),
    "ledger_append_ratio": (
        "the first over the second",
        ledger_append.ledger_append_ratio,
    ),
    "ledger_append_waiters_per_s": (
        "64 threads, each waiting until its own append is durable (at least 2,000)",
        ledger_append.ledger_append_waiters_per_s,
    ),
    "append_growth": (
        "time per append at 1,000,000 entries over that at 10,000 (at most 1.2)",
        ledger_append.append_growth,
    ),
    "append_growth_scattered": (
        "the same with ids that come in no order",
        ledger_append.append_growth_scattered,
    ),
    "proofs_per_s": (
        "inclusion proofs from the tiles of 200,000 entries, verified (at least 5,000)",
        log_proofs.proofs_per_s,
    ),
    "audit_structure_per_s": (
        "1,000,000 statements: tree, bundles, hashes, one core (at least 200,000)",
        audit_speed.audit_structure_per_s,
    ),
    "audit_full_per_s": (
        "the same through all rules, every signature, 2 processes (at least 10,000)",
        audit_speed.audit_full_per_s,
    ),
    "audit_memory_mb": (
        "the most that all processes of that audit had in memory (at most 500)",
        audit_speed.audit_memory_mb,
    ),
    "million_proofs_per_s": (
        "inclusion proofs from the tiles of that log, verified (at least 5,000)",
        audit_speed.million_proofs_per_s,
    ),
    "commitment_lines_per_s": (
        "opened quantities checked against commitments, one core (at least 5,000)",
        commitment_lines.commitment_lines_per_s,
    ),
    "he_rows_per_s": (
        "rows of 30 features scored under encryption, evaluation alone",
        homomorphic_scoring.he_rows_per_s,
    ),
}
"""Every figure by its flat name: what it says, and how it is measured."""


def main() -> None:
    """Measure all figures, or those named with --only."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="figures to run, by name, with commas between")
    wanted = parser.parse_args().only
    names = wanted.split(",") if wanted else list(FIGURES)
    unknown = sorted(set(names) - set(FIGURES))
    if unknown:
        parser.error(f"no such figure: {', '.join(unknown)}; have {', '.join(FIGURES)}")
    figures = dict(_measure(names))
    machine = _machine()
    BUILD.mkdir(exist_ok=True)
    result = {"machine": machine, "figures": figures}
    (BUILD / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
    _print(machine, figures)


def _measure(names: list[str]) -> Iterator[tuple[str, float]]:
    console = Console(stderr=True)
    for name in names:
        with console.status(f"measuring {name}"), ExitStack() as stack:
            value = FIGURES[name][1](stack)
        yield name, float(f"{value:.4g}")


def _machine() -> dict[str, object]:
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        ),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sixfold": version("sixfold"),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.processor()).strip()


def _print(machine: dict[str, object], figures: dict[str, float]) -> None:
    console = Console()
    console.print(", ".join(f"{name}: {value}" for name, value in machine.items()))
    table = Table("figure", "value", "what")
    for name, value in figures.items():
        table.add_row(
            name, f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}", FIGURES[name][0]
        )
    console.print(table)


if __name__ == "__main__":
    main()
