"""Measures a node: what it says of its speed was seen, not hoped for."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.evaluator import evaluate
from enclave_sim.sandbox.limits import Limits
from enclave_sim.sandbox.pool import SandboxWorker
from enclave_sim.sandbox.runner import RUNNER_BYTES_MAX
from ledger.errors import EncodingError
from ledger.statements.kinds import NodeCapacity
from sdk.errors import SdkError
from sdk.transport import Transport

PROBE_FILE = "probe.json"
PROBE_LIFE_MS = 24 * 3600 * 1000
"""A node that is restarted within a day need not be measured again."""
PROBE_BYTES_MAX = 4096
ROUND_TRIPS = 5
FEATURES = 30
SOURCE = """\
def probe(n):
    x = 0
    for i in range(n):
        x += i * i
    return x
"""
LOOPS = 1_000_000

Step = Callable[[str], None]
"""Told what is measured now."""


@dataclass(frozen=True)
class Lent:
    """What a node lends, as its provider decides."""

    workers: int
    """Jobs at once."""
    memory_bytes: int
    """To each job at most."""
    homomorphic: bool
    """Whether encrypted scoring is to be measured too."""


class ProbeError(SdkError):
    """The node could not be measured."""

    code = "PROVIDER.PROBE"


def probe_node(
    folder: Path,
    worker: SandboxWorker,
    transport: Transport,
    *,
    runner: str,
    lent: Lent,
    now_ms: int,
    step: Step,
) -> NodeCapacity:
    """Measure a node, or recall what was measured within the last day.

    Args:
        folder: The node's folder, where the measurement is kept.
        worker: A sandbox of this machine.
        transport: To the market, signed by the node.
        runner: Digest of the market's runner; downloading it shows the link's speed.
        lent: What the node lends.
        now_ms: The time.
        step: Told what is measured.

    Raises:
        ProbeError: The sandbox does not work here.
        SdkError: The market cannot be reached.
    """
    path = folder / PROBE_FILE
    known = _recall(path, now_ms, lent)
    if known is not None:
        return known
    step("measuring the sandbox")
    fuel_per_s = _fuel_per_s(worker)
    operations_per_s = 0
    if lent.homomorphic:
        step("measuring encrypted scoring")
        operations_per_s = _operations_per_s()
    step("measuring the link")
    round_trip_ms = _round_trip_ms(transport)
    capacity = NodeCapacity(
        workers=lent.workers,
        memory_bytes=lent.memory_bytes,
        fuel_per_s=fuel_per_s,
        homomorphic_operations_per_s=operations_per_s,
        link_bytes_per_s=_link_bytes_per_s(transport, runner),
        round_trip_ms=round_trip_ms,
    )
    record = {"measuredAtMs": now_ms, "capacity": capacity.to_json()}
    path.write_text(json.dumps(record))
    return capacity


def default_memory_bytes(workers: int) -> int:
    """Half of the machine's memory, shared by the workers, at most 2 GiB each."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(physical // 2 // workers, 2**31)


def _recall(path: Path, now_ms: int, lent: Lent) -> NodeCapacity | None:
    try:
        with path.open("rb") as file:
            record = json.loads(file.read(PROBE_BYTES_MAX))
        capacity = NodeCapacity.from_json(record["capacity"])
        age_ms = now_ms - int(record["measuredAtMs"])
    except (OSError, ValueError, KeyError, TypeError, EncodingError):
        return None
    measured = Lent(
        capacity.workers,
        capacity.memory_bytes,
        homomorphic=capacity.homomorphic_operations_per_s > 0,
    )
    return capacity if measured == lent and 0 <= age_ms < PROBE_LIFE_MS else None


def _fuel_per_s(worker: SandboxWorker) -> int:
    limits = Limits(fuel=10**11)
    worker.run(SOURCE, "probe", b"[1]", limits)
    started = time.perf_counter()
    outcome = worker.run(SOURCE, "probe", f"[{LOOPS}]".encode(), limits)
    elapsed_s = time.perf_counter() - started
    if outcome.status != "succeeded":
        raise ProbeError(f"The sandbox does not work here: {outcome.error_message}")
    return int(outcome.fuel / elapsed_s)


def _operations_per_s() -> int:
    # Encrypting is the consumer's work; only this measurement needs a key here.
    from enclave_sim.homomorphic.keys import HomomorphicKey  # noqa: PLC0415 - slow

    circuit = LinearCircuit.from_numbers([[1.0] * FEATURES], [0.0])
    rows = HomomorphicKey.generate().encrypt([[0.5] * FEATURES])
    started = time.perf_counter()
    evaluate(circuit, rows.message, rows=1, timeout_s=60)
    return int(circuit.cost_operations(1) / (time.perf_counter() - started))


def _round_trip_ms(transport: Transport) -> int:
    times_s = []
    for _ in range(ROUND_TRIPS):
        started = time.perf_counter()
        transport.get_json("/market/v0.1/description")
        times_s.append(time.perf_counter() - started)
    return int(min(times_s) * 1000)


def _link_bytes_per_s(transport: Transport, runner: str) -> int:
    started = time.perf_counter()
    path = f"/catalog/v0.1/runners/{runner}"
    size = len(transport.get_bytes(path, size_max=RUNNER_BYTES_MAX))
    return int(size / (time.perf_counter() - started))
