"""The simulated enclave as its host sees it: a process that takes sealed inputs.

The host chooses what code to launch, passes a consumer's challenge in, and carries
sealed bytes to and fro. It never holds a key or a plaintext; those live in the child
(`enclave_sim.enclave_worker`). What is simulated is only the wall around the
child: a host that wants to can read a process, which it could not on hardware.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from enclave_sim.attestation.binding import Attestation, Challenge, parse_attestation
from enclave_sim.errors import (
    AttestationError,
    ChannelError,
    CodeCacheError,
    EnclaveError,
    EvidenceError,
    JobError,
    LimitsError,
    RemoteError,
    RunnerError,
    SealedResultError,
    SessionError,
    VendorError,
)
from enclave_sim.process import ChildProcess, ProcessLimits, Reply
from enclave_sim.sandbox.limits import Limits
from enclave_sim.sealed_result import SealedResult, parse_sealed_result
from ledger.encoding import Json

ENCLAVE_LIMITS = ProcessLimits(
    cpu_s=None, address_space_bytes=10 * 2**30, open_files=64
)
"""As for a sandbox worker: a linear memory reserves 4 GiB of addresses."""

_LOAD_TIMEOUT_S = 360.0
"""A first load compiles the runner and derives the development vendor's keys."""
_ATTEST_TIMEOUT_S = 10.0
_GRACE_S = 5.0
"""For opening, sealing and a slow machine, on top of the limit of time."""

_REMOTE_ERRORS: tuple[type[EnclaveError], ...] = (
    ChannelError,
    CodeCacheError,
    EvidenceError,
    JobError,
    LimitsError,
    RunnerError,
    SessionError,
    VendorError,
)


class SimulatedEnclave:
    """One enclave process and its current session. For one thread at a time.

    `attest` ends the session before it and begins a new one with new keys; `run` may
    then be called as often as the consumer sends inputs. If the process dies, its
    session is gone, and the next `attest` starts another.
    """

    def __init__(
        self,
        *,
        runner_sha384: bytes,
        runner_cache: Path,
        vendor_cache: Path,
        chip_id: bytes,
    ) -> None:
        """Remember what to start; nothing is started yet.

        Args:
            runner_sha384: Digest of a stored runner, 48 bytes.
            runner_cache: The folder of artefacts.
            vendor_cache: The folder of the development vendor.
            chip_id: Which simulated chip to run on, 64 bytes.
        """
        self._load_header: dict[str, Json] = {
            "runner_sha384": runner_sha384.hex(),
            "runner_cache": str(runner_cache.resolve()),
            "vendor_cache": str(vendor_cache.resolve()),
            "chip_id": chip_id.hex(),
        }
        self._child: ChildProcess | None = None
        self._run_timeout_s = _GRACE_S

    def start(self) -> None:
        """Start the process, if it does not run, and load the runner into it.

        Raises:
            RunnerError: The runner is missing, altered or unusable.
            CodeCacheError: The folder of artefacts cannot be used.
            VendorError: The folder of the development vendor cannot be used.
            ProcessError: The process does not start.
        """
        if self._child is not None and self._child.is_alive:
            return
        self.close()
        child = ChildProcess("enclave_sim.enclave_worker", limits=ENCLAVE_LIMITS)
        try:
            _call(child, "load", self._load_header, timeout_s=_LOAD_TIMEOUT_S)
        except EnclaveError:
            child.close()
            raise
        self._child = child

    def attest(
        self, source: str, entry: str, limits: Limits, challenge: Challenge
    ) -> Attestation:
        """Begin a session for some code, and show evidence of it.

        Args:
            source: Python source of at most 256 KiB; measured.
            entry: Name of the function in it that will be called; measured.
            limits: What each run may use; measured.
            challenge: From the consumer; the evidence will answer it and no other.

        Raises:
            JobError: The source or the entry's name is too large or no text.
            ProcessError: The process died or hangs.
            RunnerError: As for `start`, which this calls; also what follows.
            CodeCacheError: As for `start`.
            VendorError: As for `start`.
        """
        self.start()
        assert self._child is not None
        header: dict[str, Json] = {"entry": entry, "limits": limits.to_json()}
        payloads = challenge.encode(), _encode_source(source)
        reply = _call(
            self._child, "attest", header, *payloads, timeout_s=_ATTEST_TIMEOUT_S
        )
        self._run_timeout_s = limits.time_ms / 1000 + _GRACE_S
        try:
            (attestation,) = reply.payloads
            return parse_attestation(attestation)
        except (AttestationError, ValueError) as error:
            raise SessionError("The enclave's answer is not in its form.") from error

    def run(self, sealed_input: bytes) -> SealedResult:
        """Have the session's code run on one sealed input.

        Returns:
            The outcome, sealed to the recipient in the session's challenge. That a
            function failed is an outcome too, and shows in the claim.

        Raises:
            SessionError: There is no session.
            ChannelError: The input was not sealed for this session, or was altered.
            JobError: The input is larger than the sandbox takes.
            ProcessError: The process died or hangs; its session is lost.
        """
        if self._child is None:
            raise SessionError("The enclave has no session; it must attest first.")
        reply = _call(
            self._child, "run", {}, sealed_input, timeout_s=self._run_timeout_s
        )
        try:
            (result,) = reply.payloads
            return parse_sealed_result(result)
        except (SealedResultError, ValueError) as error:
            raise SessionError("The enclave's answer is not in its form.") from error

    def close(self) -> None:
        """End the process and its session. The enclave may be used again."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _call(
    child: ChildProcess,
    operation: str,
    header: dict[str, Json],
    *payloads: bytes,
    timeout_s: float,
) -> Reply:
    """Call the child, and raise its errors of ours as what they are."""
    try:
        return child.call(operation, header, *payloads, timeout_s=timeout_s)
    except RemoteError as error:
        for known in _REMOTE_ERRORS:
            if error.remote_code == known.code:
                raise known(str(error)) from error
        raise


def _encode_source(source: str) -> bytes:
    try:
        return source.encode("utf-8")
    except UnicodeEncodeError as error:
        raise JobError("The source is not text in UTF-8.") from error
