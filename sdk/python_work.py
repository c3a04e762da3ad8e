"""Functions as jobs: in the plain sandbox, and in an enclave that proves itself.

For the sandbox the input goes out with the order, and the host sees it. For an
enclave nothing goes out before the enclave's evidence has been appraised here; then
the input is sealed to the key that the evidence vouches for (step 7).
"""

import json
from dataclasses import dataclass, field
from typing import NoReturn

from enclave_sim.attestation import (
    HARDWARE_ROOTS,
    NO_HOST_DATA,
    NOT_CHECKED,
    SIMULATED_ROOT,
    SNP_FORMAT,
    AppraisalPolicy,
    Assurance,
    Challenge,
    Expected,
    Tcb,
    appraise,
    parse_attestation,
)
from enclave_sim.challenge import attempt_nonce
from enclave_sim.channel import ChannelKey
from enclave_sim.errors import EnclaveError
from enclave_sim.sandbox.outcome import Outcome
from enclave_sim.sealed_result import open_result, parse_sealed_result, verify_result
from enclave_sim.session import Session as EnclaveSession
from ledger.encoding import decode_base64, sha256_text
from sdk.errors import (
    JobDisputedError,
    JobFailedError,
    UntrustedEvidenceError,
)
from sdk.order import Order
from sdk.payloads import parse_outcome
from sdk.runs import python_usage
from sdk.source import FunctionSource
from sdk.work import Opened

MINIMUM_TCB = Tcb(bootloader=4, tee=0, snp=24, microcode=219)
"""Patch levels that a platform must have reached: those of the simulated chips.

Levels of different processors do not compare, so hardware, which no market offers yet,
will need a minimum for each product.
"""


@dataclass(frozen=True)
class SandboxWork:
    """A function whose input the host may see."""

    order: Order
    source: FunctionSource

    def seal(self, evidence: bytes, *, attempt: int, now_ms: int) -> bytes:
        """Nothing is ever sealed here: no evidence is due."""
        del evidence, attempt, now_ms
        raise UntrustedEvidenceError("A sandbox has no evidence to show.")

    def open(self, result: bytes, *, attempt: int) -> Opened:
        """Read the outcome; that it is right, only running it again would show.

        Raises:
            JobDisputedError: It is not an outcome.
        """
        del attempt
        assert self.order.draft.input is not None
        try:
            outcome = parse_outcome(result)
        except EnclaveError as error:
            raise JobDisputedError("result_invalid", str(error)) from error
        sent = self.order.draft.input
        return _open(self.order, self.source, outcome, sent, result, assurance="none")


@dataclass(frozen=True, kw_only=True)
class _Sealed:
    """One attempt whose evidence was accepted, and what was sealed to it."""

    session: EnclaveSession
    input: bytes
    assurance: Assurance


@dataclass(frozen=True, kw_only=True)
class EnclaveWork:
    """A function whose input only an enclave may see that proves what it runs."""

    order: Order
    source: FunctionSource
    arguments: bytes
    """The input in the clear; it leaves this process sealed or not at all."""
    key: ChannelKey
    """Results are sealed to it; made for this order alone."""
    measurement: bytes
    """Of the code that must run, worked out here from what was ordered."""
    audience: str
    """The market that the session belongs to."""
    _sealed: dict[int, _Sealed] = field(default_factory=dict)

    def seal(self, evidence: bytes, *, attempt: int, now_ms: int) -> bytes:
        """Appraise the evidence and seal the input to the enclave it vouches for.

        Raises:
            UntrustedEvidenceError: One rule or several failed; all are named.
        """
        if attempt not in self._sealed:
            self._sealed[attempt] = self._appraise(evidence, attempt, now_ms)
        return self._sealed[attempt].input

    def open(self, result: bytes, *, attempt: int) -> Opened:
        """Check that the attested enclave made this result, and open it.

        Raises:
            JobDisputedError: It did not, or it does not open.
        """
        sealed = self._sealed.get(attempt)
        if sealed is None:
            message = "A result came without evidence or a sealed input."
            raise JobDisputedError("result_invalid", message)
        try:
            parsed = parse_sealed_result(result)
            verify_result(parsed, sealed.session, sealed_input=sealed.input)
            outcome = open_result(parsed, sealed.session, self.key)
        except EnclaveError as error:
            raise JobDisputedError("result_invalid", str(error)) from error
        return _open(
            self.order,
            self.source,
            outcome,
            sealed.input,
            result,
            assurance=sealed.assurance,
        )

    def _appraise(self, evidence: bytes, attempt: int, now_ms: int) -> _Sealed:
        try:
            attestation = parse_attestation(evidence)
            session = EnclaveSession(
                challenge=self._challenge(attempt),
                keys=attestation.keys,
                measurement=self.measurement,
            )
            appraisal = appraise(
                attestation.evidence,
                policy=self._policy(),
                expected=Expected(
                    report_data=session.report_data, host_data=NO_HOST_DATA
                ),
                now_ms=now_ms,
            )
            if not appraisal.is_accepted:
                reasons = " ".join(
                    f"{failure.message} [{failure.rule_id}]"
                    for failure in appraisal.failures
                )
                raise UntrustedEvidenceError(f"The evidence is refused: {reasons}")
            return _Sealed(
                session=session,
                input=session.seal_input(self.arguments),
                assurance=appraisal.assurance,
            )
        except EnclaveError as error:
            message = f"The evidence is refused: {error}"
            raise UntrustedEvidenceError(message) from error

    def _challenge(self, attempt: int) -> Challenge:
        recipient = self.order.draft.recipient
        assert recipient is not None
        challenge = decode_base64(recipient.challenge)
        return Challenge(
            nonce=attempt_nonce(challenge, attempt),
            job_id=self.order.job_id,
            consumer=self.order.body.consumer,
            audience=self.audience,
            recipient=self.key.public,
        )

    def _policy(self) -> AppraisalPolicy:
        simulated = self.order.draft.policy.assurance_min != "hardware"
        return AppraisalPolicy(
            format=SNP_FORMAT,
            roots=HARDWARE_ROOTS | ({SIMULATED_ROOT} if simulated else set()),
            accept_simulated=simulated,
            accept_vlek=False,
            accept_debug=False,
            accept_migration=False,
            accept_provisional=False,
            vmpl=0,
            measurements=frozenset({self.measurement}),
            chip_ids=NOT_CHECKED,
            minimum_tcb=MINIMUM_TCB,
        )


def describe_failure(outcome: Outcome, source: FunctionSource) -> JobFailedError:
    """A function's failure, told in lines of the consumer's own file."""
    line = source.line_in_file(outcome.error_line or 0)
    where = f" ({source.file_name}:{line})" if line else ""
    return JobFailedError(
        str(outcome.error_code),
        f"{source.entry} failed: {outcome.error_message}{where}",
        line=line,
        log=outcome.log.decode("utf-8", "replace"),
    )


def _open(
    order: Order,
    source: FunctionSource,
    outcome: Outcome,
    sent: bytes,
    result: bytes,
    *,
    assurance: Assurance,
) -> Opened:
    limits = order.draft.limits
    if outcome.fuel > limits.fuel:
        message = "The outcome tells of more fuel than was ordered."
        raise JobDisputedError("usage_wrong", message)
    has_failed = outcome.status == "failed"
    return Opened(
        status=outcome.status,
        value=None if has_failed else read_value(outcome.result),
        result_bytes=outcome.result,
        log=outcome.log,
        fuel=outcome.fuel,
        usage=python_usage(
            limits,
            fuel=outcome.fuel,
            input_bytes=len(sent),
            result_bytes=len(result),
        ),
        input_digest=sha256_text(sent),
        assurance=assurance,
        failure=describe_failure(outcome, source) if has_failed else None,
    )


def read_value(result: bytes) -> object:
    """The value that a function returned, from its JSON.

    Raises:
        JobDisputedError: It is no JSON.
    """
    try:
        return json.loads(result, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        message = "The result is not JSON, which every function returns."
        raise JobDisputedError("result_invalid", message) from error


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")
