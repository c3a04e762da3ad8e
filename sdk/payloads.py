"""Payloads: the bytes that travel with a job, between consumer, market and node.

| protection | input | result |
| --- | --- | --- |
| `sandbox` | JSON array of the positional arguments | an encoded `Outcome` |
| `enclave` | the same JSON, sealed to the enclave | an encoded `SealedResult` |
| `homomorphic` | a message of encrypted rows | a message of encrypted scores |

A homomorphic run that fails has an encoded `Outcome` as its result too.

Few bytes travel inline, many as a blob that is named by its digest. Consumer and
node both use this module; what they must agree on beside the bytes (limits,
measurement, usage) is in `sdk.runs`.
"""

import json
from collections.abc import Sequence

from enclave_sim.errors import SandboxError
from enclave_sim.sandbox.outcome import Outcome
from ledger.document import Base64, Digest, Document
from ledger.encoding import (
    Json,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_json,
    sha256_text,
)
from ledger.errors import EncodingError
from ledger.statements.order_terms import PAYLOAD_BYTES_MAX
from sdk.errors import InputError, MarketAnswerError
from sdk.transport import Progress, Transport

INLINE_BYTES_MAX = 64 * 2**10
"""The market takes more only as a blob."""

OUTCOME_HEADER_BYTES_MAX = 16 * 2**10
"""An error's message of 2,000 characters, with every one of them escaped."""

_LENGTH_BYTES = 4


class ReceivedPayload(Document):
    """How the market shows a payload: the bytes if they are few, else their digest."""

    digest: Digest
    size_bytes: int
    inline: Base64 | None = None


def encode_arguments(arguments: Sequence[object]) -> bytes:
    """Write positional arguments as the JSON array that a function is called with.

    Raises:
        InputError: One of them has no JSON form.
    """
    try:
        text = json.dumps(
            list(arguments), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"The arguments have no JSON form: {error}. Pass numbers, text, lists and "
            "dicts; arrays have .tolist()."
        ) from error


def send_payload(
    transport: Transport, data: bytes, *, progress: Progress | None = None
) -> dict[str, Json]:
    """Give a payload the form in which a request carries it; uploads it if large.

    Raises:
        InputError: More than the market takes.
        SdkError: The upload failed.
    """
    if len(data) <= INLINE_BYTES_MAX:
        return {"inline": encode_base64(data)}
    if len(data) > PAYLOAD_BYTES_MAX:
        raise InputError(
            f"A payload of {len(data)} bytes; at most {PAYLOAD_BYTES_MAX} can be sent. "
            "Cut the work into several jobs."
        )
    transport.put_bytes("/blobs/v0.1/blobs", data, progress=progress)
    return {"blob": sha256_text(data)}


def receive_payload(
    transport: Transport, described: Json, *, job_id: str, name: str, size_max: int
) -> bytes:
    """Get the bytes of a payload that an answer of the market describes.

    Args:
        transport: To the market, for what did not come inline.
        described: The payload's entry in the answer.
        job_id: The job it belongs to.
        name: `input`, `evidence`, `sealed_input` or `result`.
        size_max: Bound in bytes, of what came inline too.

    Raises:
        MarketAnswerError: Not in form, too large, or not the bytes it was said to be.
        SdkError: The download failed.
    """
    try:
        payload = ReceivedPayload.from_json(described)
        if payload.inline is not None:
            data = decode_base64(payload.inline)
        else:
            path = f"/compute-jobs/v0.1/jobs/{job_id}/payloads/{name}"
            data = transport.get_bytes(path, size_max=size_max)
    except EncodingError as error:
        raise MarketAnswerError(f"The {name} is not in form: {error}") from error
    if len(data) > size_max or sha256_text(data) != payload.digest:
        raise MarketAnswerError(f"The {name} is too large, or not what was announced.")
    return data


def encode_outcome(outcome: Outcome) -> bytes:
    """Write an outcome as the result payload of a sandbox.

    Four bytes of length, a header in canonical JSON, the result, the log.
    """
    header = canonical_json({**outcome.to_json(), "result_bytes": len(outcome.result)})
    length = len(header).to_bytes(_LENGTH_BYTES, "big")
    return length + header + outcome.result + outcome.log


def parse_outcome(data: bytes) -> Outcome:
    """Read an outcome from a result payload; only its form is checked.

    Raises:
        SandboxError: Not what `encode_outcome` writes.
    """
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")
    try:
        header = parse_json(data[_LENGTH_BYTES:end], size_max=OUTCOME_HEADER_BYTES_MAX)
    except EncodingError as error:
        raise SandboxError(f"The header of an outcome is no JSON: {error}") from error
    size = header.pop("result_bytes", None) if isinstance(header, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise SandboxError("The header of an outcome does not say where its log is.")
    result, log = data[end : end + size], data[end + size :]
    outcome = Outcome.parse(header, result=result, log=log)
    if encode_outcome(outcome) != data:
        raise SandboxError("An outcome that is not in its one form.")
    return outcome
