from pathlib import Path

import httpx
import pytest

from enclave_sim.sandbox.outcome import FailureCode, Outcome
from enclave_sim.sandbox.pool import SandboxWorker
from sdk.provider.probe import (
    LINK_SAMPLE_BYTES,
    PROBE_FILE,
    PROBE_LIFE_MS,
    ROUND_TRIPS,
    Lent,
    ProbeError,
    default_memory_bytes,
    default_workers,
    measure_fuel,
    measure_homomorphic,
    measure_link,
    probe_node,
)
from sdk.provider.tiers import TIERS, find_tier

RUNNER = "ab" * 48
NOW_MS = 1_800_000_000_000
DESCRIPTION = "/market/v0.1/description"
LENT = Lent(workers=1, memory_bytes=2**28, homomorphic=False)


class FakeWorker:
    """Burns as much fuel as it is told to."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.runs = 0

    def run(self, *_job) -> Outcome:
        self.runs += 1
        return self.outcome


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker(Outcome(status="succeeded", result=b"1", fuel=10**6))


@pytest.fixture
def probe(scripted, worker, tmp_path):
    scripted.answers[DESCRIPTION] = lambda _: {}
    scripted.answers[f"/catalog/v0.1/runners/{RUNNER}"] = lambda _: httpx.Response(
        200, content=bytes(2 * LINK_SAMPLE_BYTES)
    )

    def run(steps=None, **changes):
        values = {
            "market": "http://market.test",
            "runner": RUNNER,
            "lent": LENT,
            "now_ms": NOW_MS,
            "step": lambda text, _: None if steps is None else steps.append(text),
        }
        values |= changes
        return probe_node(tmp_path, worker, scripted.transport, **values)

    return run


def test_node_is_measured(probe, worker, scripted) -> None:
    steps: list[str] = []
    capacity = probe(steps)
    assert capacity.fuel_per_s > 0
    assert capacity.link_bytes_per_s > 0
    assert capacity.round_trip_ms >= 1
    assert capacity.homomorphic_operations_per_s == 0
    assert (capacity.workers, capacity.memory_bytes) == (1, 2**28)
    assert len(scripted.sent(DESCRIPTION)) == ROUND_TRIPS
    assert steps[0] == "measuring the sandbox"


def test_measurement_is_kept_for_a_day(probe, worker) -> None:
    first = probe()
    runs = worker.runs
    assert probe(now_ms=NOW_MS + PROBE_LIFE_MS - 1) == first
    assert worker.runs == runs


@pytest.mark.parametrize(
    "change",
    [
        {"now_ms": NOW_MS + PROBE_LIFE_MS},
        {"now_ms": NOW_MS - 1},
        {"market": "http://other.test"},
        {"lent": Lent(workers=2, memory_bytes=2**28, homomorphic=False)},
        {"lent": Lent(workers=1, memory_bytes=2**27, homomorphic=False)},
    ],
)
def test_measurement_of_something_else_is_not_used(probe, worker, change) -> None:
    probe()
    runs = worker.runs
    probe(**change)
    assert worker.runs > runs


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 5_000])
def test_damaged_measurement_is_made_again(probe, worker, tmp_path, data) -> None:
    (tmp_path / PROBE_FILE).write_bytes(data)
    probe()
    assert worker.runs > 0


def test_broken_sandbox_is_told(worker) -> None:
    worker.outcome = Outcome.failed(FailureCode.TRAPPED, "It broke.", fuel=0)
    with pytest.raises(ProbeError, match="It broke"):
        measure_fuel(worker)


def test_link_is_sampled_not_emptied(scripted) -> None:
    sent: list[int] = []

    def stream():
        for _ in range(1_000):
            sent.append(65_536)
            yield bytes(65_536)

    path = f"/catalog/v0.1/runners/{RUNNER}"
    scripted.answers[path] = lambda _: httpx.Response(200, content=stream())
    assert measure_link(scripted.transport, RUNNER) > 0
    assert sum(sent) <= 2 * LINK_SAMPLE_BYTES


def test_real_sandbox_has_a_speed(runner_sha384: bytes, runner_cache: Path) -> None:
    worker = SandboxWorker(runner_sha384, runner_cache)
    try:
        assert measure_fuel(worker) > 10**7
    finally:
        worker.close()


@pytest.mark.slow
def test_real_scoring_has_a_speed() -> None:
    assert measure_homomorphic() > 1


@pytest.mark.parametrize("tier", TIERS.values(), ids=str)
def test_defaults_fit_the_machine(tier) -> None:
    workers = default_workers(tier)
    assert 1 <= workers <= tier.workers
    assert 0 < default_memory_bytes(tier, workers) <= tier.memory_bytes


def test_many_workers_share_the_memory() -> None:
    tier = find_tier("data_center")
    assert default_memory_bytes(tier, 4096) < default_memory_bytes(tier, 1)
