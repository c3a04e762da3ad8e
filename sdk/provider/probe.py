"""Measures a node: what it says of its speed was seen, not hoped for."""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.evaluator import evaluate
from enclave_sim.sandbox.cache import write_whole
from enclave_sim.sandbox.limits import MEMORY_BYTES_MAX, Limits
from enclave_sim.sandbox.pool import SandboxWorker
from enclave_sim.sandbox.runner import RUNNER_BYTES_MAX
from ledger.document import Digest384, Document, TimeMs
from ledger.errors import EncodingError
from ledger.statements.kinds import NodeCapacity
from sdk.errors import ExtraMissingError, SdkError
from sdk.provider.tiers import Tier
from sdk.transport import Transport

PROBE_FILE = "probe.json"
PROBE_LIFE_MS = 24 * 3600 * 1000
"""A node that is restarted within a day need not be measured again."""
PROBE_BYTES_MAX = 4096
"""Ours have 400."""
LINK_SAMPLE_BYTES = 2**20
"""A second's worth on the slowest link that is of any use."""
ROUND_TRIPS = 5
"""The quickest of so many is the link's; the others waited for something else."""

_RATE_MAX = 2**48
_ROUND_TRIP_MS_MAX = 60_000
_FEATURES = 30
_ROWS = 64
_SOURCE = """\
def probe(n):
    x = 0
    for i in range(n):
        x = (x * 31 + i) % 1000003
    return x
"""
_LOOPS = 300_000
_EVALUATION_TIMEOUT_S = 60.0

Step = Callable[[str, float], None]
"""Told what is done now, and which part of it is done, from 0 to 1."""


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


class _Record(Document):
    """What is kept of a measurement: it holds for one market and one runner."""

    format: Literal["sixfold-probe/v1"] = "sixfold-probe/v1"
    market: str = Field(max_length=2048)
    runner: Digest384
    measured_at_ms: TimeMs
    capacity: NodeCapacity


def probe_node(
    folder: Path,
    worker: SandboxWorker,
    transport: Transport,
    *,
    market: str,
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
        market: Address of the market, to which the link is measured.
        runner: Digest of its runner, a part of which is downloaded for that.
        lent: What the node lends.
        now_ms: The time.
        step: Told what is measured.

    Raises:
        ProbeError: The sandbox does not work here.
        EnclaveError: Sandbox or encrypted scoring does not work here.
        SdkError: The market cannot be reached.
    """
    path = folder / PROBE_FILE
    known = _recall(path)
    if known is not None and (known.market, known.runner) == (market, runner):
        is_fresh = 0 <= now_ms - known.measured_at_ms < PROBE_LIFE_MS
        if is_fresh and _lent_by(known.capacity) == lent:
            return known.capacity
    step("measuring the sandbox", 0.0)
    fuel_per_s = measure_fuel(worker)
    operations_per_s = 0
    if lent.homomorphic:
        step("measuring encrypted scoring", 0.3)
        operations_per_s = measure_homomorphic()
    step("measuring the link", 0.8)
    capacity = NodeCapacity(
        workers=lent.workers,
        memory_bytes=lent.memory_bytes,
        fuel_per_s=fuel_per_s,
        homomorphic_operations_per_s=operations_per_s,
        link_bytes_per_s=measure_link(transport, runner),
        round_trip_ms=measure_round_trip(transport),
    )
    step("measured", 1.0)
    record = _Record(
        market=market, runner=runner, measured_at_ms=now_ms, capacity=capacity
    )
    write_whole(path, record.to_bytes() + b"\n")
    return capacity


def default_workers(tier: Tier) -> int:
    """What the tier suggests, if the machine has as many processors."""
    return min(tier.workers, os.cpu_count() or 1)


def default_memory_bytes(tier: Tier, workers: int) -> int:
    """What the tier lends each job, if half of the machine has it for all workers."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(physical // 2 // workers, tier.memory_bytes, MEMORY_BYTES_MAX)


def measure_fuel(worker: SandboxWorker) -> int:
    """Fuel that a worker burns in a second, in a real run.

    Raises:
        ProbeError: The run fails.
        SandboxError: The worker does not start.
    """
    limits = Limits()
    worker.run(_SOURCE, "probe", b"[1]", limits)
    started_s = time.perf_counter()
    outcome = worker.run(_SOURCE, "probe", f"[{_LOOPS}]".encode(), limits)
    elapsed_s = time.perf_counter() - started_s
    if outcome.status != "succeeded":
        raise ProbeError(f"The sandbox does not work here: {outcome.error_message}")
    return _per_second(outcome.fuel, elapsed_s)


def measure_homomorphic() -> int:
    """Ciphertext operations in a second, in a real scoring of one encrypted block.

    Raises:
        ExtraMissingError: TenSEAL is not installed.
        HomomorphicError: Scoring does not work here.
    """
    try:
        # Encrypting is the consumer's work; only this measurement needs a key here.
        from enclave_sim.homomorphic.keys import HomomorphicKey  # noqa: PLC0415 - slow
    except ImportError as error:
        raise ExtraMissingError("Encrypted scoring", "provider") from error
    circuit = LinearCircuit.from_numbers([[1.0] * _FEATURES], [0.0])
    encrypted = HomomorphicKey.generate().encrypt([[0.5] * _FEATURES] * _ROWS)
    started_s = time.perf_counter()
    evaluate(circuit, encrypted.message, rows=_ROWS, timeout_s=_EVALUATION_TIMEOUT_S)
    elapsed_s = time.perf_counter() - started_s
    return _per_second(circuit.cost_operations(_ROWS), elapsed_s)


def measure_round_trip(transport: Transport) -> int:
    """Milliseconds from a small signed request to its answer, rounded up."""
    times_s = []
    for _ in range(ROUND_TRIPS):
        started_s = time.perf_counter()
        transport.get_json("/market/v0.1/description")
        times_s.append(time.perf_counter() - started_s)
    return min(int(min(times_s) * 1000) + 1, _ROUND_TRIP_MS_MAX)


def measure_link(transport: Transport, runner: str) -> int:
    """Bytes in a second from the market, over the first mebibyte of its runner.

    The round trip counts: a slow start is part of every transfer.
    """
    started_s = time.perf_counter()
    sample = 0

    def watch(received: int, _size: int | None) -> None:
        nonlocal sample
        sample = received
        if received >= LINK_SAMPLE_BYTES:
            raise _EnoughError

    with contextlib.suppress(_EnoughError):
        transport.get_bytes(
            f"/catalog/v0.1/runners/{runner}",
            size_max=RUNNER_BYTES_MAX,
            progress=watch,
        )
    return _per_second(sample, time.perf_counter() - started_s)


class _EnoughError(Exception):
    """The sample is large enough; the rest of the download is not needed."""


def _recall(path: Path) -> _Record | None:
    try:
        with path.open("rb") as file:
            data = file.read(PROBE_BYTES_MAX + 1)
        return _Record.from_bytes(data, size_max=PROBE_BYTES_MAX)
    except (OSError, EncodingError):
        return None


def _lent_by(capacity: NodeCapacity) -> Lent:
    return Lent(
        capacity.workers,
        capacity.memory_bytes,
        homomorphic=capacity.homomorphic_operations_per_s > 0,
    )


def _per_second(count: int, elapsed_s: float) -> int:
    return min(int(count / max(elapsed_s, 1e-6)), _RATE_MAX)
