"""Signed HTTP requests: one strict profile of RFC 9421, for both ends.

A request that verifies was made by the holder of the key it names, for exactly
this method, address, query and body, within the last minute. There is one way to
sign: one signature, Ed25519, these components and no others, a nonce, and the tag
`sixfold/v1`. All else is refused, so that nothing is left to choose or confuse.

Two things stay with the caller. Whether the key may do this: a key is an identity,
not a permission. And whether the request came before: see `ledger.replay`.

No web framework, clock or source of randomness is used here.

Source: RFC 9421 (signatures), RFC 9530 (Content-Digest).
"""

import datetime as dt
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Never

from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from ledger.encoding import encode_base64
from ledger.errors import RequestError, SignatureError
from ledger.signing import PrivateKey, PublicKey

TAG = "sixfold/v1"
"""Names this profile inside the signature, so that no other use can be passed off."""

LIFE_S = 60
"""Longest life of a signed request: enough for a slow link, short for a thief."""

SKEW_S = 30
"""How far the signer's clock may be off; a phone without NTP rarely drifts further."""

URL_BYTES_MAX = 8_192
"""What servers commonly accept as a request line."""

HEADER_BYTES_MAX = 2_048
"""A Signature-Input of this profile has about 260 bytes."""

_LABEL = "sixfold"
_NONCE = re.compile(r"[0-9a-f]{32}")
_COMPONENTS = ("@method", "@authority", "@target-uri", "content-digest")
_COMPONENTS_WITH_BODY = (*_COMPONENTS, "content-type")
_SIGNATURE_HEADERS = ("signature-input", "signature")
_HEADERS = frozenset({*_SIGNATURE_HEADERS, "content-digest", "content-type"})


class Refusal(StrEnum):
    """Why a request was refused. The values never change once released."""

    MISSING = "missing"
    """There is no signature."""
    MALFORMED = "malformed"
    """Something is not in the form of this profile."""
    MULTIPLE = "multiple"
    """More than one signature, or one of the headers that matter is repeated."""
    WRONG_TAG = "wrong_tag"
    """The signature was made for something else."""
    WRONG_ALGORITHM = "wrong_algorithm"
    """The signature names another algorithm than Ed25519."""
    WRONG_COMPONENTS = "wrong_components"
    """The signature does not cover exactly what this profile says."""
    FROM_FUTURE = "from_future"
    """Made later than the clock here shows; the signer's clock may be wrong."""
    EXPIRED = "expired"
    """Its life is over; the signer's clock may be wrong."""
    BAD_SIGNATURE = "bad_signature"
    """The key did not sign this request."""
    WRONG_DIGEST = "wrong_digest"
    """The body is not the one that was signed."""
    REPLAYED = "replayed"
    """This key has used this nonce before."""
    BEFORE_START = "before_start"
    """Made before the window opened, so a repeat could not be told; sign again."""
    WINDOW_FULL = "window_full"
    """No room to remember more requests; sign again later."""


class RefusedRequestError(RequestError):
    """A signed request is refused; `reason` says why, for machines."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class SignedRequest:
    """What a request that verified says of itself.

    Attributes:
        public_key: Who signed; `public_key.account_id` is the account.
        nonce: 32 lower-case hexadecimal digits, fresh for each attempt.
        created_s: When it was signed, in Unix seconds by the signer's clock.
        expires_s: When its life ends; at most 60 s later.
    """

    public_key: PublicKey
    nonce: str
    created_s: int
    expires_s: int

    @property
    def over_after_ms(self) -> int:
        """The last millisecond at which it counts, by a clock within the skew."""
        return (self.expires_s + SKEW_S) * 1000


def sign_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key: PrivateKey,
    now_ms: int,
    nonce: str,
) -> dict[str, str]:
    """Sign a request; returns the three headers to add to it.

    Args:
        method: Upper case, as it is sent.
        url: Absolute and percent-encoded, byte for byte as it is sent.
        headers: What is sent so far; names in any case. A request with a body
            needs `content-type`.
        body: All of it, as it is sent; empty if there is none.
        key: The signer's.
        now_ms: The time, in Unix milliseconds.
        nonce: 32 lower-case hexadecimal digits from a secure source, never reused.

    Raises:
        RefusedRequestError: The request cannot be signed in this profile.

    Source: RFC 9421, section 3.1.
    """
    if not _NONCE.fullmatch(nonce):
        _refuse(Refusal.MALFORMED, "A nonce has 32 lower-case hexadecimal digits.")
    fields = _pick_headers(list(headers.items()))
    _check_fields(url, fields, body)
    fields["content-digest"] = _content_digest(body)
    message = _Message(method, url, fields)
    created = dt.datetime.fromtimestamp(now_ms // 1000, tz=dt.UTC)
    signer = HTTPMessageSigner(signature_algorithm=_Ed25519)
    try:
        # `prepare` and `apply` would build the signed text twice.
        prepared = signer.prepare(
            message,
            key_id=key.public.text,
            created=created,
            expires=created + dt.timedelta(seconds=LIFE_S),
            nonce=nonce,
            tag=TAG,
            label=_LABEL,
            covered_component_ids=_COMPONENTS_WITH_BODY if body else _COMPONENTS,
            use_existing_digest=True,
        )
    except HTTPMessageSignaturesException as error:
        raise RefusedRequestError(Refusal.MALFORMED, str(error)) from error
    signature = encode_base64(key.sign(prepared.signature_base))
    return {
        "content-digest": fields["content-digest"],
        "signature-input": f"{_LABEL}={prepared.signature_params}",
        "signature": f"{_LABEL}=:{signature}:",
    }


def verify_request(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    now_ms: int,
) -> SignedRequest:
    """Check that the holder of a key made exactly this request, just now.

    Args:
        method: As it arrived.
        url: Absolute. Scheme and authority from the receiver's own settings, for
            behind a proxy what arrived proves nothing; path and query as they
            arrived, still percent-encoded.
        headers: All lines in order of arrival; names in any case.
        body: All of it, as it arrived.
        now_ms: The time, in Unix milliseconds.

    Raises:
        RefusedRequestError: Anything else. No other error leaves this function,
            whatever the input.

    Source: RFC 9421, section 3.2.
    """
    fields = _pick_headers(headers)
    for name in _SIGNATURE_HEADERS:
        if name not in fields:
            _refuse(Refusal.MISSING, f"There is no {name} header.")
        # No value of this profile holds a comma, so a comma parts two signatures.
        if "," in fields[name]:
            _refuse(Refusal.MULTIPLE, "There is more than one signature.")
    _check_fields(url, fields, body)
    if "content-digest" not in fields:
        _refuse(Refusal.WRONG_COMPONENTS, "There is no content-digest header.")
    message = _Message(method, url, fields)
    verifier = _Verifier(now_ms=now_ms, has_body=bool(body))
    try:
        verifier.verify(message)
    except (HTTPMessageSignaturesException, ValueError) as error:
        if isinstance(error.__cause__, SignatureError):
            _refuse(Refusal.BAD_SIGNATURE, "The signature does not verify.", error)
        _refuse(Refusal.MALFORMED, "The signature is not in form.", error)
    if fields["content-digest"] != _content_digest(body):
        _refuse(Refusal.WRONG_DIGEST, "The content-digest is not the body's SHA-256.")
    assert verifier.signed is not None
    return verifier.signed


class _Ed25519(HTTPSignatureAlgorithm):
    """Our own Ed25519 in the library's shape: there is no second crypto path."""

    algorithm_id = "ed25519"

    def __init__(self, public_key: PublicKey) -> None:
        self._public_key = public_key

    def verify(self, signature: bytes, message: bytes) -> None:
        self._public_key.verify(message, signature)


class _KeyIsIdentity(HTTPSignatureKeyResolver):
    """The key id is the public key itself."""

    def resolve_public_key(self, key_id: str) -> PublicKey:
        return PublicKey.from_text(key_id)


@dataclass
class _Message:
    """A request as the library reads it, with only the headers that matter."""

    method: str
    url: str
    headers: dict[str, str]


class _Verifier(HTTPMessageVerifier):
    """Verifies one request: the library's steps, with our rules and our clock."""

    def __init__(self, *, now_ms: int, has_body: bool) -> None:
        super().__init__(signature_algorithm=_Ed25519, key_resolver=_KeyIsIdentity())
        self._now_ms = now_ms
        self._required = _COMPONENTS_WITH_BODY if has_body else _COMPONENTS
        self.signed: SignedRequest | None = None

    def validate_created_and_expires(
        self,
        sig_input: Any,  # noqa: ANN401  the library's InnerList
        max_age: object = None,  # noqa: ARG002  ours is in the profile
    ) -> None:
        """Apply the profile. The library calls this before it opens the signature."""
        parameters: dict[str, Any] = sig_input.params
        if parameters.get("tag") != TAG:
            _refuse(Refusal.WRONG_TAG, f"The signature's tag is not {TAG}.")
        if parameters.get("alg") != _Ed25519.algorithm_id:
            _refuse(Refusal.WRONG_ALGORITHM, "The signature's alg is not ed25519.")
        # Compared as serialised: `"content-digest";req` is another component.
        covered = sorted(str(component) for component in sig_input)
        if covered != sorted(f'"{name}"' for name in self._required):
            names = " ".join(self._required)
            _refuse(Refusal.WRONG_COMPONENTS, f"It must cover exactly: {names}.")
        self.signed = _read_parameters(parameters)
        self._check_time(self.signed)

    def _check_time(self, signed: SignedRequest) -> None:
        if signed.created_s * 1000 > self._now_ms + SKEW_S * 1000:
            _refuse(Refusal.FROM_FUTURE, "Signed in the future; is the clock right?")
        if self._now_ms > signed.over_after_ms:
            _refuse(Refusal.EXPIRED, "The signature has expired; is the clock right?")


def _read_parameters(parameters: dict[str, Any]) -> SignedRequest:
    """Read the parameters, whose types the library has checked where present."""
    created_s, expires_s = parameters.get("created"), parameters.get("expires")
    nonce, key_id = parameters.get("nonce"), parameters.get("keyid")
    if created_s is None or expires_s is None or nonce is None or key_id is None:
        _refuse(Refusal.MALFORMED, "It needs created, expires, nonce and keyid.")
    if not 0 < expires_s - created_s <= LIFE_S:
        _refuse(Refusal.MALFORMED, f"A signature lives for 1 to {LIFE_S} s.")
    if not _NONCE.fullmatch(nonce):
        _refuse(Refusal.MALFORMED, "A nonce has 32 lower-case hexadecimal digits.")
    try:
        public_key = PublicKey.from_text(key_id)
    except SignatureError as error:
        _refuse(Refusal.MALFORMED, "The keyid is not a public key.", error)
    return SignedRequest(public_key, nonce, created_s, expires_s)


def _pick_headers(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Take the headers that matter, each once, unfolded, in printable ASCII."""
    fields: dict[str, str] = {}
    for given_name, value in headers:
        name = given_name.lower()
        if name not in _HEADERS:
            continue
        if name in fields:
            _refuse(Refusal.MULTIPLE, f"The header {name} appears twice.")
        if len(value) > HEADER_BYTES_MAX:
            _refuse(Refusal.MALFORMED, f"The header {name} is too long.")
        if not (value.isascii() and value.isprintable()):
            _refuse(Refusal.MALFORMED, f"The header {name} is not printable ASCII.")
        fields[name] = value
    return fields


def _check_fields(url: str, fields: dict[str, str], body: bytes) -> None:
    if len(url) > URL_BYTES_MAX:
        _refuse(Refusal.MALFORMED, f"A URL has at most {URL_BYTES_MAX} bytes.")
    if body and not fields.get("content-type"):
        _refuse(Refusal.WRONG_COMPONENTS, "A body needs a content-type header.")


def _content_digest(body: bytes) -> str:
    return f"sha-256=:{encode_base64(hashlib.sha256(body).digest())}:"


def _refuse(reason: Refusal, message: str, cause: Exception | None = None) -> Never:
    raise RefusedRequestError(reason, message) from cause
