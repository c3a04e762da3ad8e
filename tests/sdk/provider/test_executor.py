"""How jobs run, with a courier of a few lines in the market's place."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from parties import wait_until

from enclave_sim.attestation import parse_attestation
from enclave_sim.attestation.binding import Challenge
from enclave_sim.attestation.vendor import simulated_chip_id
from enclave_sim.challenge import attempt_nonce
from enclave_sim.channel import ChannelKey
from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.keys import HomomorphicKey
from enclave_sim.sandbox.engine_identity import ENGINE_ID
from enclave_sim.sandbox.pool import SandboxWorker
from enclave_sim.sealed_result import open_result, parse_sealed_result, verify_result
from enclave_sim.session import Session
from ledger.encoding import encode_base64, sha256_text
from ledger.statements.order_terms import JobLimits
from sdk.errors import MarketAnswerError
from sdk.payloads import parse_outcome
from sdk.provider.executor import (
    EnclaveExecutor,
    HomomorphicExecutor,
    SandboxExecutor,
    open_enclave,
)
from sdk.provider.lease import LeaseGoneError
from sdk.runs import launch_record

MARKET = "acc_" + "m" * 26
CHALLENGE = bytes(range(32))
SPIN = "def double(x):\n    while True:\n        pass\n"


class FakeCourier:
    """Hands payloads over, and plays the consumer of an enclave's job."""

    def __init__(self, payload: bytes = b"[21]") -> None:
        self.payload = payload
        self.evidence = b""
        self.seal = lambda _: b""

    def fetch(self, _lease, described, _name) -> bytes:
        if sha256_text(self.payload) != described["digest"]:
            raise MarketAnswerError("not what was announced")
        return self.payload

    def show_evidence(self, _lease, evidence: bytes) -> None:
        self.evidence = evidence
        self.payload = self.seal(evidence)

    def await_sealed_input(self, _lease):
        return {"digest": sha256_text(self.payload), "sizeBytes": len(self.payload)}


@pytest.fixture(scope="module")
def worker(runner_sha384, runner_cache) -> Iterator[SandboxWorker]:
    worker = SandboxWorker(runner_sha384, runner_cache)
    yield worker
    worker.close()


@pytest.fixture
def courier() -> FakeCourier:
    return FakeCourier()


@pytest.fixture
def sandbox(worker, courier) -> SandboxExecutor:
    executor = SandboxExecutor(worker, courier, contextlib.nullcontext())
    executor.start()
    return executor


def test_function_runs(sandbox, make_lease) -> None:
    run = sandbox.run(make_lease())
    outcome = parse_outcome(run.result)
    assert (run.outcome, outcome.result, run.error_code) == ("succeeded", b"42", None)
    assert run.usage.fuel == outcome.fuel > 0
    assert run.usage.memory_limit_bytes == 2**27
    assert run.usage.bytes_up == len(b"[21]")
    assert run.usage.bytes_down == len(run.result)
    assert run.usage.royalty_runs == 0
    assert run.input_digest == sha256_text(b"[21]")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"source": "def double(x:"}, "SANDBOX.SOURCE_INVALID"),
        ({"source": "def double(x):\n    return 1 // 0\n"}, "SANDBOX.RAISED"),
        ({"source": SPIN, "limits": {"fuel": 10**8}}, "SANDBOX.OUT_OF_FUEL"),
        ({"source": None}, "SANDBOX.ENTRY_MISSING"),
        ({"limits": {"outputBytes": 1_000}}, "SANDBOX.INPUT_INVALID"),
        ({"limits": {"memoryBytes": 1}}, "SANDBOX.INPUT_INVALID"),
    ],
)
def test_failure_is_a_result(sandbox, make_lease, change, code) -> None:
    run = sandbox.run(make_lease(1, **change))
    assert (run.outcome, run.error_code) == ("failed", code)
    assert parse_outcome(run.result).error_code == code
    assert run.usage.bytes_down == len(run.result)


def test_input_that_is_no_text_is_a_failure(worker, make_lease, described) -> None:
    garbage = b"\xff\xfe"
    executor = SandboxExecutor(worker, FakeCourier(garbage), contextlib.nullcontext())
    run = executor.run(make_lease(1, input=described(garbage)))
    assert (run.outcome, run.error_code) == ("failed", "SANDBOX.INPUT_INVALID")


def test_input_that_was_not_announced_is_not_run(worker, make_lease) -> None:
    executor = SandboxExecutor(worker, FakeCourier(b"[22]"), contextlib.nullcontext())
    with pytest.raises(MarketAnswerError):
        executor.run(make_lease())


def test_killed_worker_is_a_failure_and_replaced(sandbox, worker, make_lease) -> None:
    lease = make_lease(1, source=SPIN, limits={"fuel": 10**13})
    runs = []
    thread = threading.Thread(target=lambda: runs.append(sandbox.run(lease)))
    pid = worker._child.pid
    before = cpu_ticks(pid)
    thread.start()
    wait_until(lambda: cpu_ticks(pid) > before + 2)
    os.kill(pid, signal.SIGKILL)
    thread.join()
    assert (runs[0].outcome, runs[0].error_code) == ("failed", "SANDBOX.WORKER_DIED")
    assert runs[0].usage.fuel == 0
    assert sandbox.run(make_lease()).outcome == "succeeded"


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11])


@pytest.fixture(scope="module")
def enclave(runner_sha384, runner_cache):
    chip_id = simulated_chip_id("executor")
    with open_enclave(runner_sha384, runner_cache, chip_id) as enclave:
        yield enclave


class Sealing:
    """A consumer of one enclave job: seals to the evidence, opens the result."""

    def __init__(self, courier, make_lease, runner_sha384) -> None:
        self.key = ChannelKey.generate()
        self.runner = runner_sha384.hex()
        recipient = {
            "publicKey": encode_base64(self.key.public),
            "challenge": encode_base64(CHALLENGE),
        }
        self.lease = make_lease(
            1, protection="enclave", recipient=recipient, input=None, attempt=2
        )
        courier.seal = self.seal

    def seal(self, evidence: bytes) -> bytes:
        lease = self.lease
        measurement = launch_record(
            runner=self.runner,
            source=lease.source,
            entry=lease.workload.entry,
            limits=JobLimits.from_json(lease.limits.to_json()),
            engine_id=ENGINE_ID,
        ).measurement
        self.session = Session(
            challenge=Challenge(
                nonce=attempt_nonce(CHALLENGE, lease.attempt),
                job_id=lease.job_id,
                consumer=lease.consumer,
                audience=MARKET,
                recipient=self.key.public,
            ),
            keys=parse_attestation(evidence).keys,
            measurement=measurement,
        )
        return self.session.seal_input(b"[21]")


@pytest.fixture
def sealing(courier, make_lease, runner_sha384) -> Sealing:
    return Sealing(courier, make_lease, runner_sha384)


@pytest.fixture
def sealed(enclave, courier) -> EnclaveExecutor:
    executor = EnclaveExecutor(
        enclave, courier, contextlib.nullcontext(), market=MARKET
    )
    executor.start()
    return executor


@pytest.mark.slow
def test_enclave_answers_this_attempt(sealed, sealing, courier) -> None:
    run = sealed.run(sealing.lease)
    result = parse_sealed_result(run.result)
    verify_result(result, sealing.session, sealed_input=courier.payload)
    outcome = open_result(result, sealing.session, sealing.key)
    assert (run.outcome, outcome.result) == ("succeeded", b"42")
    assert run.usage.fuel == outcome.fuel > 0
    assert run.usage.bytes_up == len(courier.payload)
    assert run.input_digest == sha256_text(courier.payload)
    assert run.error_code is None


@pytest.mark.slow
def test_input_for_another_session_is_a_failure(sealed, sealing, courier) -> None:
    courier.seal = lambda evidence: sealing.seal(evidence)[:-1] + b"?"
    run = sealed.run(sealing.lease)
    assert (run.outcome, run.error_code) == ("failed", "SANDBOX.INPUT_INVALID")
    assert run.usage.fuel == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [None, {"publicKey": "c2hvcnQ="}, {"challenge": "A" * 44}]
)
def test_order_that_no_enclave_answers_is_left(
    sealed, sealing, make_lease, change
) -> None:
    recipient = change and sealing.lease.recipient.to_json() | change
    with pytest.raises(LeaseGoneError):
        sealed.run(make_lease(1, protection="enclave", recipient=recipient))


@pytest.fixture(scope="module")
def scoring():
    key = HomomorphicKey.generate()
    circuit = LinearCircuit.from_numbers([[0.5, -2.0]], [1.5])
    return key, circuit, key.encrypt([[2.0, 1.0], [0.0, 0.0]])


@pytest.fixture
def circuit_lease(make_lease, described, scoring):
    _, circuit, _ = scoring

    def make(data: bytes, **changes):
        values = {
            "protection": "homomorphic",
            "source": None,
            "circuit": encode_base64(circuit.encode()),
            "input": described(data),
            "limits": {"rows": 2, "inputBytes": 2**25},
        }
        return make_lease(1, **(values | changes))

    return make


@pytest.mark.slow
def test_rows_are_scored_unread(scoring, circuit_lease) -> None:
    key, circuit, encrypted = scoring
    courier = FakeCourier(encrypted.message)
    run = HomomorphicExecutor(courier, contextlib.nullcontext()).run(
        circuit_lease(encrypted.message)
    )
    scores = key.decrypt(run.result, encrypted, outputs=1)
    assert [score for (score,) in scores] == pytest.approx([0.5, 1.5], abs=1e-4)
    assert run.usage.homomorphic_operations == circuit.cost_operations(2)
    assert run.usage.royalty_runs == 1
    assert run.usage.bytes_up == len(encrypted.message)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "SANDBOX.INPUT_INVALID"),
        ({"circuit": "Z2FyYmFnZQ=="}, "SANDBOX.WORKER_DIED"),
        ({"limits": {"rows": 0}}, "SANDBOX.INPUT_INVALID"),
    ],
)
def test_message_that_cannot_be_scored_is_a_failure(
    circuit_lease, change, code
) -> None:
    garbage = b"garbage"
    run = HomomorphicExecutor(FakeCourier(garbage), contextlib.nullcontext()).run(
        circuit_lease(garbage, **change)
    )
    assert (run.outcome, run.error_code) == ("failed", code)
    assert (run.usage.homomorphic_operations, run.usage.royalty_runs) == (0, 0)
    assert parse_outcome(run.result).error_code == code
