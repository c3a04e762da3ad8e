"""Steps 7 to 9 on the node: run one leased job, whatever protects it.

The plaintext of enclave and homomorphic jobs never enters this process: the enclave's
child opens the sealed input, and encrypted rows stay encrypted.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from enclave_sim.attestation.binding import Challenge
from enclave_sim.attestation.vendor import simulated_chip_id
from enclave_sim.challenge import attempt_nonce
from enclave_sim.enclave import SimulatedEnclave
from enclave_sim.errors import EnclaveError
from enclave_sim.homomorphic.circuit import parse_circuit
from enclave_sim.homomorphic.evaluator import evaluate
from enclave_sim.sandbox.outcome import FailureCode, Outcome
from enclave_sim.sandbox.pool import SandboxWorker
from ledger.encoding import decode_base64
from ledger.metering.usage import Usage
from sdk.errors import SdkError
from sdk.payloads import (
    encode_outcome,
    payload_digest,
    receive_payload,
    send_payload,
)
from sdk.provider.join import JoinedNode
from sdk.provider.lease import Lease
from sdk.runs import homomorphic_usage, python_usage, sandbox_limits

if TYPE_CHECKING:
    from collections.abc import Callable

SEALED_WAIT_MS = 15_000
"""One long poll for the sealed input; it is repeated for as long as the lease holds."""
HOMOMORPHIC_TIMEOUT_S = 120.0


class LeaseGoneError(SdkError):
    """The lease was lost, or the job cannot be run here; the market places it again."""

    code = "PROVIDER.LEASE_GONE"


@dataclass(frozen=True)
class Run:
    """What came of a run: the result payload, how it ended, and what it used."""

    result: bytes
    outcome: str
    usage: Usage
    input_digest: str


class HoldsLease(Protocol):
    """Tells whether the market still counts a lease as ours."""

    def __call__(self, lease: Lease) -> bool:
        """Whether to go on."""


class Executor:
    """One worker of a node: a sandbox process and, if offered, an enclave process."""

    def __init__(self, joined: JoinedNode, holds: HoldsLease) -> None:
        self._joined = joined
        self._holds = holds
        self._sandbox = SandboxWorker(joined.runner_sha384, joined.cache)
        self._enclave = SimulatedEnclave(
            runner_sha384=joined.runner_sha384,
            runner_cache=joined.cache,
            vendor_cache=joined.cache / "development-vendor",
            chip_id=simulated_chip_id(joined.node_key.node_id),
        )

    def start(self) -> None:
        """Start the processes that the offer needs, so that the first job is fast."""
        protections = self._joined.offer.protections
        if "sandbox" in protections:
            self._sandbox.start()
        if "enclave" in protections:
            self._enclave.start()

    def close(self) -> None:
        """End the processes."""
        self._sandbox.close()
        self._enclave.close()

    def run(self, lease: Lease) -> Run:
        """Run a leased job.

        Raises:
            LeaseGoneError: The lease was lost, or this node cannot run the job.
            SdkError: The market cannot be reached, or its answer is not in form.
            EnclaveError: Sandbox or enclave cannot be used here.
        """
        runs: dict[str, Callable[[Lease], Run]] = {
            "sandbox": self._run_sandbox,
            "enclave": self._run_enclave,
            "homomorphic": self._run_homomorphic,
        }
        return runs[lease.protection](lease)

    def _run_sandbox(self, lease: Lease) -> Run:
        if lease.source is None:
            raise LeaseGoneError("The lease has no source.")
        data = self._receive(lease, lease.input, "input")
        outcome = self._sandbox.run(
            lease.source, lease.workload.entry, data, sandbox_limits(lease.limits)
        )
        return _python_run(
            lease, data, encode_outcome(outcome), outcome.status, outcome.fuel
        )

    def _run_enclave(self, lease: Lease) -> Run:
        recipient = lease.recipient
        if lease.source is None or recipient is None:
            raise LeaseGoneError("The lease has no source or no recipient.")
        challenge = Challenge(
            nonce=attempt_nonce(decode_base64(recipient.challenge), lease.attempt),
            job_id=lease.job_id,
            consumer=lease.consumer,
            audience=self._joined.market,
            recipient=decode_base64(recipient.public_key),
        )
        attestation = self._enclave.attest(
            lease.source, lease.workload.entry, sandbox_limits(lease.limits), challenge
        )
        node = self._joined.node
        evidence = send_payload(node, attestation.encode())
        path = f"/node-agent/v0.1/leases/{lease.job_id}"
        node.post_json(
            f"{path}/evidence", {"attempt": lease.attempt, "evidence": evidence}
        )
        sealed = self._await_input(lease, path)
        result = self._enclave.run(sealed)
        claim = result.claim
        return _python_run(lease, sealed, result.encode(), claim.status, claim.fuel)

    def _await_input(self, lease: Lease, path: str) -> bytes:
        query = {"attempt": lease.attempt, "waitMs": SEALED_WAIT_MS}
        while self._holds(lease):
            answer = self._joined.node.get_json(f"{path}/sealed-input", query=query)
            described = answer.get("input") if isinstance(answer, dict) else None
            if described is not None:
                return self._receive(lease, described, "sealed_input")
        raise LeaseGoneError("The lease was lost before the input came.")

    def _run_homomorphic(self, lease: Lease) -> Run:
        if lease.circuit is None:
            raise LeaseGoneError("The lease has no circuit.")
        circuit = parse_circuit(decode_base64(lease.circuit))
        data = self._receive(lease, lease.input, "input")
        rows = lease.limits.rows
        try:
            result = evaluate(circuit, data, rows=rows, timeout_s=HOMOMORPHIC_TIMEOUT_S)
            operations, outcome = circuit.cost_operations(rows), "succeeded"
        except EnclaveError as error:
            # What the consumer sent is no encrypted message of this circuit.
            failed = Outcome.failed(FailureCode.INPUT_INVALID, str(error), fuel=0)
            result, operations, outcome = encode_outcome(failed), 0, "failed"
        usage = homomorphic_usage(
            operations=operations, input_bytes=len(data), result_bytes=len(result)
        )
        return Run(result, outcome, usage, payload_digest(data))

    def _receive(self, lease: Lease, described: object, name: str) -> bytes:
        return receive_payload(
            self._joined.node,
            described,  # type: ignore[arg-type]
            job_id=lease.job_id,
            name=name,
            size_max=lease.limits.input_bytes,
        )


def _python_run(
    lease: Lease, data: bytes, result: bytes, status: str, fuel: int
) -> Run:
    usage = python_usage(
        lease.limits, fuel=fuel, input_bytes=len(data), result_bytes=len(result)
    )
    return Run(result, status, usage, payload_digest(data))
