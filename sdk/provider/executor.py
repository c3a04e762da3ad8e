"""How a leased job runs, by protection: steps 7 and 8 of the life of a job.

Each executor belongs to one thread. What a consumer's function or data does wrong is
a failed run, which is reported and charged; what this node cannot do is a job that it
gives up, so that another node gets it.

The data of enclave jobs passes through here sealed, that of homomorphic jobs
encrypted; both run in processes of their own.
"""

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from enclave_sim.attestation.binding import Challenge
from enclave_sim.challenge import attempt_nonce
from enclave_sim.enclave import SimulatedEnclave
from enclave_sim.errors import (
    AttestationError,
    ChannelError,
    CircuitError,
    EnclaveError,
    EvaluationError,
    HomomorphicError,
    JobError,
    LimitsError,
)
from enclave_sim.homomorphic.circuit import parse_circuit
from enclave_sim.homomorphic.evaluator import evaluate
from enclave_sim.sandbox.outcome import FailureCode, Outcome
from enclave_sim.sandbox.pool import SandboxWorker
from enclave_sim.sealed_result import SealedResult
from ledger.encoding import decode_base64
from ledger.errors import EncodingError
from ledger.metering.usage import Usage
from sdk.payloads import encode_outcome
from sdk.provider.courier import Courier, digest_of
from sdk.provider.lease import Lease, LeaseGoneError
from sdk.runs import homomorphic_usage, python_usage, sandbox_limits

Slot = AbstractContextManager[object]
"""Held while a job computes, so that no more compute at once than there are workers."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of a lease: the result payload, and what is charged for it."""

    lease: Lease
    outcome: Literal["succeeded", "failed"]
    error_code: str | None
    """Why it failed, if this node may know."""
    usage: Usage
    input_digest: str
    result: bytes
    elapsed_ms: int
    """How long it computed."""


class Executor(Protocol):
    """Runs jobs of one protection, one at a time."""

    def start(self) -> None:
        """Get ready for the first job.

        Raises:
            EnclaveError: Jobs of this protection cannot run here.
        """

    def run(self, lease: Lease) -> Run:
        """Run one job.

        Raises:
            LeaseGoneError: This node gives the job up.
            EnclaveError: This node cannot run the job.
            MarketAnswerError: The market does not give what is needed.
        """

    def close(self) -> None:
        """End processes; what they run is lost."""


class SandboxExecutor:
    """Runs Python functions whose data this host may see."""

    def __init__(self, worker: SandboxWorker, courier: Courier, slot: Slot) -> None:
        self._worker = worker
        self._courier = courier
        self._slot = slot

    def start(self) -> None:
        """Start the worker process."""
        self._worker.start()

    def run(self, lease: Lease) -> Run:
        """Run one function; whatever goes wrong is an outcome."""
        digest = digest_of(lease.input)
        data = self._courier.fetch(lease, lease.input, "input")
        with self._slot:
            started_s = time.perf_counter()
            outcome = self._compute(lease, data)
        result = encode_outcome(outcome)
        return Run(
            lease=lease,
            outcome=outcome.status,
            error_code=outcome.error_code,
            usage=python_usage(
                lease.limits,
                fuel=outcome.fuel,
                input_bytes=len(data),
                result_bytes=len(result),
            ),
            input_digest=digest,
            result=result,
            elapsed_ms=_elapsed_ms(started_s),
        )

    def close(self) -> None:
        """End the worker process."""
        self._worker.close()

    def _compute(self, lease: Lease, data: bytes) -> Outcome:
        source, entry = lease.source or "", lease.workload.entry
        try:
            limits = sandbox_limits(lease.limits)
            return self._worker.run(source, entry, data, limits)
        except (JobError, LimitsError) as error:
            return Outcome.failed(FailureCode.INPUT_INVALID, str(error), fuel=0)
        except EnclaveError:
            message = "The node could not start the sandbox."
            return Outcome.failed(FailureCode.WORKER_DIED, message, fuel=0)


class EnclaveExecutor:
    """Runs Python functions in a simulated enclave, on data that is sealed to it."""

    def __init__(
        self, enclave: SimulatedEnclave, courier: Courier, slot: Slot, *, market: str
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            enclave: The process.
            courier: To the consumer, by way of the market.
            slot: Held while the function runs.
            market: The account of the market, which the sessions belong to.
        """
        self._enclave = enclave
        self._courier = courier
        self._slot = slot
        self._market = market

    def start(self) -> None:
        """Start the enclave's process."""
        self._enclave.start()

    def run(self, lease: Lease) -> Run:
        """Show evidence, take the sealed input, have it run, pass the sealed result on.

        An input that does not open is the consumer's failure; without evidence or
        with an enclave that died there is no result that anybody would believe.
        """
        self._courier.show_evidence(lease, self._attest(lease))
        described = self._courier.await_sealed_input(lease)
        sealed_input = self._courier.fetch(lease, described, "sealed_input")
        with self._slot:
            started_s = time.perf_counter()
            ran = self._compute(sealed_input)
        result = ran.encode() if isinstance(ran, SealedResult) else encode_outcome(ran)
        told = ran.claim if isinstance(ran, SealedResult) else ran
        return Run(
            lease=lease,
            outcome=told.status,
            error_code=None if isinstance(ran, SealedResult) else ran.error_code,
            usage=python_usage(
                lease.limits,
                fuel=told.fuel,
                input_bytes=len(sealed_input),
                result_bytes=len(result),
            ),
            input_digest=digest_of(described),
            result=result,
            elapsed_ms=_elapsed_ms(started_s),
        )

    def close(self) -> None:
        """End the enclave's process and its session."""
        self._enclave.close()

    def _compute(self, sealed_input: bytes) -> SealedResult | Outcome:
        try:
            return self._enclave.run(sealed_input)
        except (ChannelError, JobError) as error:
            return Outcome.failed(FailureCode.INPUT_INVALID, str(error), fuel=0)

    def _attest(self, lease: Lease) -> bytes:
        try:
            challenge = self._challenge(lease)
            limits = sandbox_limits(lease.limits)
        except (AttestationError, EncodingError, LimitsError) as error:
            raise LeaseGoneError("No enclave answers such an order.") from error
        with self._slot:
            attestation = self._enclave.attest(
                lease.source or "", lease.workload.entry, limits, challenge
            )
        return attestation.encode()

    def _challenge(self, lease: Lease) -> Challenge:
        if lease.recipient is None:
            raise LeaseGoneError("An enclave's order names a recipient.")
        challenge = decode_base64(lease.recipient.challenge, size=32)
        return Challenge(
            nonce=attempt_nonce(challenge, lease.attempt),
            job_id=lease.job_id,
            consumer=lease.consumer,
            audience=self._market,
            recipient=decode_base64(lease.recipient.public_key),
        )


class HomomorphicExecutor:
    """Scores encrypted rows, each message in a process that is thrown away."""

    def __init__(self, courier: Courier, slot: Slot) -> None:
        self._courier = courier
        self._slot = slot

    def start(self) -> None:
        """There is nothing to start before there is a message."""

    def run(self, lease: Lease) -> Run:
        """Score one message; one that cannot be scored is an outcome."""
        digest = digest_of(lease.input)
        message = self._courier.fetch(lease, lease.input, "input")
        with self._slot:
            started_s = time.perf_counter()
            scores = _score(lease, message)
        failure = scores if isinstance(scores, Outcome) else None
        result = encode_outcome(scores) if isinstance(scores, Outcome) else scores.data
        return Run(
            lease=lease,
            outcome="succeeded" if failure is None else "failed",
            error_code=None if failure is None else failure.error_code,
            usage=homomorphic_usage(
                operations=0 if isinstance(scores, Outcome) else scores.operations,
                input_bytes=len(message),
                result_bytes=len(result),
            ),
            input_digest=digest,
            result=result,
            elapsed_ms=_elapsed_ms(started_s),
        )

    def close(self) -> None:
        """There is nothing to end: each process ends with its message."""


def open_enclave(runner_sha384: bytes, cache: Path, chip_id: bytes) -> SimulatedEnclave:
    """A simulated enclave for a runner.

    Args:
        runner_sha384: Digest of the runner, 48 bytes.
        cache: The folder of artefacts; the development vendor's keys are kept in it.
        chip_id: Which simulated chip it runs on, 64 bytes.
    """
    return SimulatedEnclave(
        runner_sha384=runner_sha384,
        runner_cache=cache,
        vendor_cache=cache / "development-vendor",
        chip_id=chip_id,
    )


@dataclass(frozen=True)
class _Scores:
    """An encrypted result, and the operations that it took."""

    data: bytes
    operations: int


def _score(lease: Lease, message: bytes) -> _Scores | Outcome:
    try:
        circuit = parse_circuit(decode_base64(lease.circuit or ""))
        data = evaluate(
            circuit,
            message,
            rows=lease.limits.rows,
            timeout_s=lease.limits.time_ms / 1000,
        )
        return _Scores(data, circuit.cost_operations(lease.limits.rows))
    except (EvaluationError, EncodingError, CircuitError) as error:
        return Outcome.failed(FailureCode.WORKER_DIED, str(error), fuel=0)
    except HomomorphicError as error:
        return Outcome.failed(FailureCode.INPUT_INVALID, str(error), fuel=0)


def _elapsed_ms(started_s: float) -> int:
    return int((time.perf_counter() - started_s) * 1000)
