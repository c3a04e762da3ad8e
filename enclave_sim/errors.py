"""Errors of the enclave simulation.

EnclaveError
    ProcessError            a child process did not give an answer
        ProcessTimeoutError     it took too long and was killed
        ProcessDiedError        it ended, or broke the framing
        RemoteError             it answered with an error of its own
    SandboxError            the sandbox itself cannot or will not run
        RunnerError             a runner artefact is missing, altered or unusable
        CodeCacheError          the cache of compiled code cannot be used
        LimitsError             limits out of bounds
        JobError                a job's source, entry or input is too large or no text
    AttestationError        evidence, a report or a certificate is malformed
        EvidenceError           evidence or an enclave's offer is not in its form
        ReportError             a hardware report is malformed, or its signature wrong
            ReportVersionError      it is of a version we do not know
        CertificateError        a certificate is malformed, or not issued as it claims
        VendorError             the development vendor's key files cannot be used
    LaunchError             a launch record is malformed
    SessionError            an enclave has no session, or takes no such job
    SealedResultError       a sealed result is malformed, swapped or not vouched for
    ChannelError            a sealed message cannot be made or opened
    HomomorphicError        a circuit, a key or an encrypted message is refused
        ProfileError            an unknown profile, or more rows than it takes
        CircuitError            a circuit that is malformed or out of bounds
        RowsError               rows that cannot be encrypted as they are
        MessageError            an encrypted message that is not in the one form
        CiphertextError         a ciphertext that is garbage or of other parameters
        PrivateContextError     a TenSEAL context with its secret key was sent
        EvaluationError         the evaluation ended without a result
        ResultError             a result that does not open, or fails its checks

What a consumer's function does wrong is no error here: it is an
:class:`enclave_sim.sandbox.outcome.Outcome` with a code of its own, and is billed.
"""

from typing import ClassVar


class EnclaveError(Exception):
    """Root of all errors that leave this package.

    The message is a sentence for a person and holds no secret; `code` is for
    machines and never changes once released.
    """

    code: ClassVar[str] = "ENCLAVE.FAILED"


class ProcessError(EnclaveError):
    """A child process did not give an answer."""

    code = "PROCESS.FAILED"


class ProcessTimeoutError(ProcessError):
    """The child took longer than allowed; it has been killed."""

    code = "PROCESS.TIMEOUT"


class ProcessDiedError(ProcessError):
    """The child ended before it answered, or sent what is no frame."""

    code = "PROCESS.DIED"


class RemoteError(ProcessError):
    """The child answered that the operation failed; it is still alive.

    `remote_code` is the code of the error raised inside the child.
    """

    code = "PROCESS.REMOTE"

    def __init__(self, remote_code: str, message: str) -> None:
        super().__init__(message)
        self.remote_code = remote_code


class SandboxError(EnclaveError):
    """The sandbox itself cannot or will not run."""

    code = "SANDBOX.FAILED"


class RunnerError(SandboxError):
    """A runner artefact is missing, was altered, or cannot be built or compiled."""

    code = "SANDBOX.RUNNER"


class CodeCacheError(SandboxError):
    """The folder of compiled code, or the key that guards it, cannot be used."""

    code = "SANDBOX.CODE_CACHE"


class LimitsError(SandboxError):
    """Limits of a run are missing, of the wrong type, or out of bounds."""

    code = "SANDBOX.LIMITS"


class JobError(SandboxError):
    """A job's source, entry point or input is too large or not text."""

    code = "SANDBOX.JOB"


class AttestationError(EnclaveError):
    """Evidence, a report or a certificate is malformed."""

    code = "ATTESTATION.FAILED"


class EvidenceError(AttestationError):
    """Evidence, a challenge or an enclave's keys are not in their one form."""

    code = "ATTESTATION.EVIDENCE"


class ReportError(AttestationError):
    """A hardware report is malformed, or its signature does not hold."""

    code = "ATTESTATION.REPORT"


class ReportVersionError(ReportError):
    """A hardware report is of a version outside the window we know."""

    code = "ATTESTATION.REPORT_VERSION"


class CertificateError(AttestationError):
    """A certificate is malformed, or was not issued as it claims."""

    code = "ATTESTATION.CERTIFICATE"


class VendorError(AttestationError):
    """The development vendor's key files cannot be written or were altered."""

    code = "ATTESTATION.VENDOR"


class LaunchError(EnclaveError):
    """A launch record holds what can have no measurement."""

    code = "ENCLAVE.LAUNCH"


class SessionError(EnclaveError):
    """An enclave was asked to run without a session, or answered out of form."""

    code = "ENCLAVE.SESSION"


class SealedResultError(EnclaveError):
    """A sealed result is malformed, of another run, or not vouched for."""

    code = "ENCLAVE.RESULT"


class ChannelError(EnclaveError):
    """A sealed message cannot be made, or does not open with this key and info."""

    code = "CHANNEL.FAILED"


class HomomorphicError(EnclaveError):
    """A circuit, a key or an encrypted message is malformed or refused."""

    code = "HOMOMORPHIC.FAILED"


class ProfileError(HomomorphicError):
    """There is no such profile, or it does not take so many rows."""

    code = "HOMOMORPHIC.PROFILE"


class CircuitError(HomomorphicError):
    """A circuit is malformed, or its numbers are out of the profile's bounds."""

    code = "HOMOMORPHIC.CIRCUIT"


class RowsError(HomomorphicError):
    """Rows have no common width, or hold what is no number within bounds."""

    code = "HOMOMORPHIC.ROWS"


class MessageError(HomomorphicError):
    """An encrypted message is malformed, or does not fit circuit and order."""

    code = "HOMOMORPHIC.MESSAGE"


class CiphertextError(HomomorphicError):
    """A ciphertext is garbage, or was made under other parameters."""

    code = "HOMOMORPHIC.CIPHERTEXT"


class PrivateContextError(HomomorphicError):
    """A TenSEAL context with its secret key was sent; that key is to be given up."""

    code = "HOMOMORPHIC.PRIVATE_CONTEXT"


class EvaluationError(HomomorphicError):
    """The evaluating process died or took too long; there is no result."""

    code = "HOMOMORPHIC.EVALUATION"


class ResultError(HomomorphicError):
    """A result cannot be opened, or the provider did not compute what was asked.

    Why is not told: an answer to the provider that depends on the decrypted
    values would let it learn them.
    """

    code = "HOMOMORPHIC.RESULT"
