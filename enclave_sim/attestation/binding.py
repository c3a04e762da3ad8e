"""What ties evidence to one session: the challenge, the enclave's keys, their digest.

Evidence alone says that some enclave runs some code. It becomes an answer to
*this* consumer about *these* keys only through its report data: the digest of
a fresh nonce, the job, the consumer, the audience, the recipient of results and
the enclave's public keys. An old answer (replay), another enclave's answer (relay)
and a host's own recipient all give another digest.
"""

import hashlib
from dataclasses import dataclass

from enclave_sim.attestation.evidence import (
    EVIDENCE_BYTES_MAX,
    Evidence,
    evidence_from_json,
)
from enclave_sim.channel import PUBLIC_KEY_BYTES
from enclave_sim.errors import EvidenceError
from ledger.encoding import (
    Json,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_json,
)
from ledger.errors import EncodingError
from ledger.signing import PUBLIC_KEY_BYTES as RESULT_KEY_BYTES

NONCE_BYTES = 32

NAME_CHARACTERS_MAX = 200
"""Job ids and accounts have 30 characters; an audience may be a URL."""

CHALLENGE_BYTES_MAX = 8192
"""Three names, a nonce and a public key in base64 stay below 3 KB."""

ATTESTATION_BYTES_MAX = EVIDENCE_BYTES_MAX + 8192
"""Evidence at its largest, and two public keys."""

_REPORT_DATA_TYPE = "sixfold/report-data/v1"


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What a consumer wants evidence to be an answer to.

    Make a new one, with a new nonce, for every session, and forget it after its
    first use.

    Raises:
        EvidenceError: A part is of the wrong size, or a name is not printable ASCII.
    """

    nonce: bytes
    """32 random bytes, used once."""
    job_id: str
    consumer: str
    """The account of who asks."""
    audience: str
    """Which market the session belongs to."""
    recipient: bytes
    """The channel key that results are sealed to, `PUBLIC_KEY_BYTES` long."""

    def __post_init__(self) -> None:
        _check_size("A nonce", self.nonce, NONCE_BYTES)
        _check_size("A recipient's key", self.recipient, PUBLIC_KEY_BYTES)
        for name in (self.job_id, self.consumer, self.audience):
            is_text = name.isascii() and name.isprintable()
            if not is_text or not 1 <= len(name) <= NAME_CHARACTERS_MAX:
                raise EvidenceError("A name in a challenge is not short ASCII text.")

    def to_json(self) -> dict[str, Json]:
        """The challenge as a JSON object."""
        return {
            "nonce": encode_base64(self.nonce),
            "job_id": self.job_id,
            "consumer": self.consumer,
            "audience": self.audience,
            "recipient": encode_base64(self.recipient),
        }

    def encode(self) -> bytes:
        """The challenge as canonical JSON."""
        return canonical_json(self.to_json())


@dataclass(frozen=True, kw_only=True)
class EnclaveKeys:
    """The public keys that an enclave made for one session.

    Raises:
        EvidenceError: A key is of the wrong size.
    """

    channel: bytes
    """Inputs are sealed to it; `PUBLIC_KEY_BYTES` long."""
    result: bytes
    """Ed25519; verifies what the enclave says of a result; 32 bytes."""

    def __post_init__(self) -> None:
        _check_size("An enclave's channel key", self.channel, PUBLIC_KEY_BYTES)
        _check_size("An enclave's result key", self.result, RESULT_KEY_BYTES)

    def to_json(self) -> dict[str, Json]:
        """The keys as a JSON object."""
        return {
            "channel": encode_base64(self.channel),
            "result": encode_base64(self.result),
        }


@dataclass(frozen=True)
class Attestation:
    """An enclave's answer to a challenge: evidence, and the keys it is bound to."""

    evidence: Evidence
    keys: EnclaveKeys

    def encode(self) -> bytes:
        """The answer as canonical JSON."""
        return canonical_json(
            {"evidence": self.evidence.to_json(), "keys": self.keys.to_json()}
        )


def report_data(challenge: Challenge, keys: EnclaveKeys) -> bytes:
    """Digest everything that evidence must be bound to.

    Returns:
        64 bytes: SHA-512 of canonical JSON.

    Source: RCAR protocol of the Confidential Containers key broker (digest of the
    canonical runtime data).
    """
    bound = {
        "type": _REPORT_DATA_TYPE,
        "challenge": challenge.to_json(),
        "keys": keys.to_json(),
    }
    return hashlib.sha512(canonical_json(bound)).digest()


def parse_challenge(data: bytes) -> Challenge:
    """Read a challenge from outside.

    Raises:
        EvidenceError: Not in the form that `Challenge.encode` writes, or too large.
    """
    value = _parse_object(data, CHALLENGE_BYTES_MAX, set(Challenge.__annotations__))
    return Challenge(
        nonce=_decode(value["nonce"]),
        job_id=_text(value["job_id"]),
        consumer=_text(value["consumer"]),
        audience=_text(value["audience"]),
        recipient=_decode(value["recipient"]),
    )


def parse_attestation(data: bytes) -> Attestation:
    """Read an enclave's answer from outside; nothing in it is believed yet.

    Raises:
        EvidenceError: Not in the form that `Attestation.encode` writes, or too large.
    """
    value = _parse_object(data, ATTESTATION_BYTES_MAX, {"evidence", "keys"})
    keys = value["keys"]
    if not isinstance(keys, dict) or set(keys) != {"channel", "result"}:
        raise EvidenceError("An enclave's keys are channel and result.")
    return Attestation(
        evidence_from_json(value["evidence"]),
        EnclaveKeys(channel=_decode(keys["channel"]), result=_decode(keys["result"])),
    )


def _parse_object(data: bytes, size_max: int, keys: set[str]) -> dict[str, Json]:
    try:
        value = parse_json(data, size_max=size_max)
    except EncodingError as error:
        raise EvidenceError("Not strict JSON of bounded size.") from error
    if not isinstance(value, dict) or set(value) != keys:
        raise EvidenceError(f"A JSON object with {', '.join(sorted(keys))} is due.")
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise EvidenceError("A name in a challenge is not text.")
    return value


def _decode(value: Json) -> bytes:
    try:
        return decode_base64(_text(value))
    except EncodingError as error:
        raise EvidenceError("A part of a challenge or a key is not base64.") from error


def _check_size(name: str, data: bytes, size: int) -> None:
    if len(data) != size:
        raise EvidenceError(f"{name} has {size} bytes, not {len(data)}.")
