"""Results of an enclave: sealed to the recipient, vouched for by the attested key.

The host that carries a result learns its size, whether the function succeeded and
its fuel, which is billed; nothing else. What it carries is bound to one job,
one input and one measurement, so it can neither swap results nor change the bill.

Pure: this is the recipient's side too, and needs no runtime and no key store.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

from enclave_sim.channel import ChannelKey, seal
from enclave_sim.errors import SandboxError, SealedResultError
from enclave_sim.sandbox.outcome import Outcome
from enclave_sim.session import Session
from ledger.encoding import (
    Json,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_json,
)
from ledger.errors import EncodingError, SignatureError
from ledger.signing import SIGNATURE_BYTES, PrivateKey, PublicKey

CLAIM_BYTES_MAX = 4096
"""Three digests, a name and a number stay below 1 KB."""

OUTCOME_HEADER_BYTES_MAX = 16_384
"""A message of 2,000 characters, each escaped, and a few numbers."""

_CLAIM_TYPE = "sixfold/enclave-result/v1"
_LENGTH_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class ResultClaim:
    """What an enclave says, in the open, of one run."""

    job_id: str
    input_sha256: bytes
    """Of the sealed input, as it was sent."""
    measurement: bytes
    fuel: int
    status: Literal["succeeded", "failed"]
    result_sha256: bytes
    """Of the sealed result, as it is delivered."""

    def encode(self) -> bytes:
        """The exact bytes that are signed: canonical JSON."""
        return canonical_json(
            {
                "type": _CLAIM_TYPE,
                "job_id": self.job_id,
                "input_sha256": encode_base64(self.input_sha256),
                "measurement": encode_base64(self.measurement),
                "fuel": self.fuel,
                "status": self.status,
                "result_sha256": encode_base64(self.result_sha256),
            }
        )


@dataclass(frozen=True)
class SealedResult:
    """What travels from an enclave to the recipient through everyone between."""

    claim: ResultClaim
    signature: bytes
    """Ed25519 by the session's result key over `claim.encode()`."""
    sealed: bytes
    """Opens for the recipient only."""

    def encode(self) -> bytes:
        """Length of the claim (4 bytes), claim, signature, sealed result."""
        return _frame(self.claim.encode(), self.signature + self.sealed)


def seal_result(
    outcome: Outcome, session: Session, *, sealed_input: bytes, key: PrivateKey
) -> SealedResult:
    """Seal an outcome to the session's recipient and vouch for it; the enclave's side.

    Args:
        outcome: What the sandbox made of the input.
        session: Whose input it was.
        sealed_input: The input as it was sent.
        key: The private half of the session's result key.
    """
    recipient = session.challenge.recipient
    sealed = seal(recipient, _encode_outcome(outcome), info=session.info("result"))
    claim = ResultClaim(
        job_id=session.challenge.job_id,
        input_sha256=hashlib.sha256(sealed_input).digest(),
        measurement=session.measurement,
        fuel=outcome.fuel,
        status=outcome.status,
        result_sha256=hashlib.sha256(sealed).digest(),
    )
    return SealedResult(claim, key.sign(claim.encode()), sealed)


def parse_sealed_result(data: bytes) -> SealedResult:
    """Read a sealed result from outside; nothing in it is believed yet.

    Raises:
        SealedResultError: Not in the form that `SealedResult.encode` writes.
    """
    claim, rest = _unframe(data, CLAIM_BYTES_MAX)
    signature, sealed = rest[:SIGNATURE_BYTES], rest[SIGNATURE_BYTES:]
    return SealedResult(_parse_claim(claim), signature, sealed)


def verify_result(
    result: SealedResult, session: Session, *, sealed_input: bytes
) -> None:
    """Check that the attested enclave made this result of this input.

    Args:
        result: From outside.
        session: The one whose evidence was accepted.
        sealed_input: The input as it was sent.

    Raises:
        SealedResultError: Another job, input, code or result, or no signature of the
            session's result key.
    """
    claim = result.claim
    is_ours = (
        claim.job_id == session.challenge.job_id
        and claim.measurement == session.measurement
        and claim.input_sha256 == hashlib.sha256(sealed_input).digest()
        and claim.result_sha256 == hashlib.sha256(result.sealed).digest()
    )
    if not is_ours:
        raise SealedResultError("The result is of another job, code, input or run.")
    try:
        PublicKey(session.keys.result).verify(claim.encode(), result.signature)
    except SignatureError as error:
        raise SealedResultError(
            "The result is not signed by the attested key."
        ) from error


def open_result(result: SealedResult, session: Session, key: ChannelKey) -> Outcome:
    """Open a result that `verify_result` let pass.

    Args:
        result: The verified result.
        session: The one it was verified in.
        key: The recipient's, whose public half is in the session's challenge.

    Raises:
        ChannelError: It is not sealed to this key for this session.
        SealedResultError: What is inside has no good form, or differs from the claim.
    """
    outcome = _parse_outcome(key.open(result.sealed, info=session.info("result")))
    if (outcome.status, outcome.fuel) != (result.claim.status, result.claim.fuel):
        raise SealedResultError("The sealed outcome differs from what was said of it.")
    return outcome


def _parse_claim(data: bytes) -> ResultClaim:
    match _parse_json(data, CLAIM_BYTES_MAX):
        case {
            "type": str() as kind,
            "job_id": str() as job_id,
            "input_sha256": str() as input_sha256,
            "measurement": str() as measurement,
            "fuel": int() as fuel,
            "status": ("succeeded" | "failed") as status,
            "result_sha256": str() as result_sha256,
            **rest,
        } if kind == _CLAIM_TYPE and not rest and type(fuel) is int and fuel >= 0:
            return ResultClaim(
                job_id=job_id,
                input_sha256=_decode(input_sha256, 32),
                measurement=_decode(measurement, 48),
                fuel=fuel,
                status=status,
                result_sha256=_decode(result_sha256, 32),
            )
    raise SealedResultError("The claim of a result is not in its form.")


def _encode_outcome(outcome: Outcome) -> bytes:
    header: dict[str, Json] = {
        "outcome": outcome.to_json(),
        "result_bytes": len(outcome.result),
    }
    return _frame(canonical_json(header), outcome.result + outcome.log)


def _parse_outcome(data: bytes) -> Outcome:
    header, rest = _unframe(data, OUTCOME_HEADER_BYTES_MAX)
    value = _parse_json(header, OUTCOME_HEADER_BYTES_MAX)
    if not isinstance(value, dict) or set(value) != {"outcome", "result_bytes"}:
        raise SealedResultError("The header of an outcome is not in its form.")
    size = value["result_bytes"]
    if type(size) is not int or not 0 <= size <= len(rest):
        raise SealedResultError("An outcome names a result of impossible size.")
    try:
        return Outcome.parse(value["outcome"], result=rest[:size], log=rest[size:])
    except SandboxError as error:
        raise SealedResultError("What was sealed is no outcome.") from error


def _parse_json(data: bytes, size_max: int) -> Json:
    try:
        return parse_json(data, size_max=size_max)
    except EncodingError as error:
        raise SealedResultError("A part of a result is not strict JSON.") from error


def _decode(text: str, size: int) -> bytes:
    try:
        return decode_base64(text, size=size)
    except EncodingError as error:
        raise SealedResultError("A digest in a result is not base64.") from error


def _frame(header: bytes, payload: bytes) -> bytes:
    return len(header).to_bytes(_LENGTH_BYTES, "big") + header + payload


def _unframe(data: bytes, header_bytes_max: int) -> tuple[bytes, bytes]:
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
    if end > _LENGTH_BYTES + header_bytes_max or len(data) < end:
        raise SealedResultError("A result is cut off, or its header too long.")
    return data[_LENGTH_BYTES:end], data[end:]
