"""Signed requests: the true, garbage, and each near miss that RFC 9421 invites."""

import base64
import datetime as dt
import hashlib
import hmac
from typing import Any

import pytest
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
)
from hypothesis import given
from hypothesis import strategies as st

from ledger import request_signing
from ledger.errors import RequestError
from ledger.request_signing import (
    HEADER_BYTES_MAX,
    LIFE_S,
    SKEW_S,
    URL_BYTES_MAX,
    Refusal,
    RefusedRequestError,
    SignedRequest,
    sign_request,
    verify_request,
)
from ledger.signing import PrivateKey, PublicKey

NOW_S = 1_750_000_000
NOW_MS = NOW_S * 1000
KEY = PrivateKey(bytes(range(32)))
NONCE = "00112233445566778899aabbccddeeff"
URL = "https://market.example/jobs/v0.1/orders?b=2&a=%7Eone&c="
BODY = b'{"id":"job_1"}'
JSON = {"Content-Type": "application/json"}
WITH_BODY = ("@method", "@authority", "@target-uri", "content-digest", "content-type")


def make_headers(
    method: str = "POST", url: str = URL, body: bytes = BODY, now_ms: int = NOW_MS
) -> dict[str, str]:
    given_headers = JSON if body else {}
    added = sign_request(
        method, url, given_headers, body, key=KEY, now_ms=now_ms, nonce=NONCE
    )
    return {name.lower(): value for name, value in given_headers.items()} | added


def make_parameters(**changes: str | None) -> str:
    parameters: dict[str, str | None] = {
        "created": str(NOW_S),
        "expires": str(NOW_S + 60),
        "keyid": f'"{KEY.public.text}"',
        "alg": '"ed25519"',
        "nonce": f'"{NONCE}"',
        "tag": '"sixfold/v1"',
    }
    parameters |= changes
    return "".join(f";{k}={v}" for k, v in parameters.items() if v is not None)


def make_foreign_headers(
    components: tuple[str, ...] = WITH_BODY,
    parameters: str | None = None,
    mac_key: bytes | None = None,
) -> dict[str, str]:
    """Sign as somebody else's program would, from the RFC's text alone."""
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    values = {
        "@method": "POST",
        "@authority": "market.example",
        "@target-uri": URL,
        "content-digest": f"sha-256=:{digest}:",
        "content-type": "application/json",
        "x-correlator": "1",
    }
    names = [name if name.startswith('"') else f'"{name}"' for name in components]
    covered = f"({' '.join(names)}){parameters or make_parameters()}"
    lines = [f"{name}: {values[name.split(chr(34))[1]]}" for name in names]
    text = "\n".join([*lines, f'"@signature-params": {covered}']).encode()
    if mac_key is None:
        signature = KEY.sign(text)
    else:
        signature = hmac.digest(mac_key, text, "sha256")
    return {
        "content-type": values["content-type"],
        "content-digest": values["content-digest"],
        "x-correlator": "1",
        "signature-input": f"other={covered}",
        "signature": f"other=:{base64.b64encode(signature).decode()}:",
    }


def verify(
    headers: dict[str, str] | list[tuple[str, str]], **changes: Any
) -> SignedRequest:
    arguments: dict[str, Any] = {
        "method": "POST",
        "url": URL,
        "body": BODY,
        "now_ms": NOW_MS,
    }
    lines = list(headers.items()) if isinstance(headers, dict) else headers
    return verify_request(headers=lines, **(arguments | changes))


def refusal(headers: dict[str, str] | list[tuple[str, str]], **changes: Any) -> Refusal:
    with pytest.raises(RefusedRequestError) as caught:
        verify(headers, **changes)
    return caught.value.reason


class VectorRequest:
    """The request of RFC 9421, appendix B.2."""

    method = "POST"
    url = "https://example.com/foo?param=Value&Pet=dog"

    def __init__(self) -> None:
        self.headers = {
            "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
            "Content-Type": "application/json",
            "Content-Length": "18",
        }


class VectorVerifier(HTTPMessageVerifier):
    """Takes the vector of 2021 as of now."""

    def validate_created_and_expires(self, *_: Any, **__: Any) -> None:
        pass


VECTOR_SEED = "n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU="
VECTOR_KEY = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
VECTOR_INPUT = (
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
VECTOR_SIGNATURE = (
    "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WP"
    "pBKRCw=="
)


def test_algorithm_signs_the_rfc_vector() -> None:
    signer = HTTPMessageSigner(signature_algorithm=request_signing._Ed25519)
    created = dt.datetime.fromtimestamp(1618884473, tz=dt.UTC)
    prepared = signer.prepare(
        VectorRequest(),
        key_id="test-key-ed25519",
        created=created,
        include_alg=False,
        covered_component_ids=(
            *("date", "@method", "@path"),
            *("@authority", "content-type", "content-length"),
        ),
    )
    key = PrivateKey(base64.b64decode(VECTOR_SEED))
    assert key.public.text == VECTOR_KEY
    assert f"sig-b26={prepared.signature_params}" == VECTOR_INPUT
    signature = key.sign(prepared.signature_base)
    assert base64.b64encode(signature).decode() == VECTOR_SIGNATURE


@pytest.mark.parametrize("header", [None, "Date", "Content-Type", "Content-Length"])
def test_algorithm_verifies_the_rfc_vector_alone(header: str | None) -> None:
    keys = {"test-key-ed25519": PublicKey.from_text(VECTOR_KEY)}
    verifier = VectorVerifier(
        signature_algorithm=request_signing._Ed25519,
        key_resolver=MappingKeyResolver(public_keys=keys, private_keys={}),  # type: ignore[arg-type]
    )
    request = VectorRequest()
    request.headers["Signature-Input"] = VECTOR_INPUT
    request.headers["Signature"] = f"sig-b26=:{VECTOR_SIGNATURE}:"
    if header is None:
        verifier.verify(request)
        return
    request.headers[header] += "0"
    with pytest.raises(InvalidSignature):
        verifier.verify(request)


@pytest.mark.parametrize(("method", "body"), [("POST", BODY), ("GET", b"")])
def test_signed_request_verifies(method: str, body: bytes) -> None:
    headers = make_headers(method, body=body)
    signed = verify(headers, method=method, body=body)
    assert signed == SignedRequest(KEY.public, NONCE, NOW_S, NOW_S + LIFE_S)
    assert signed.public_key.account_id == KEY.account_id


def test_foreign_signature_verifies() -> None:
    headers = make_foreign_headers()
    shouted = [(name.upper(), value) for name, value in headers.items()]
    assert verify(shouted).public_key == KEY.public
    assert verify(make_foreign_headers(WITH_BODY[::-1])).nonce == NONCE


def test_refusal_is_one_error_with_a_reason() -> None:
    with pytest.raises(RequestError) as caught:
        verify({})
    assert caught.value.code == "LEDGER.REQUEST_SIGNATURE"
    assert isinstance(caught.value, RefusedRequestError)
    assert caught.value.reason == "missing"


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/jobs/v0.1/orders?b=2&a=%7Eone&c=",
        "https://market.example:8443/jobs/v0.1/orders?b=2&a=%7Eone&c=",
        "http://market.example/jobs/v0.1/orders?b=2&a=%7Eone&c=",
        "https://market.example/jobs/v0.1/orders?a=%7Eone&b=2&c=",
        "https://market.example/jobs/v0.1/orders?b=2&a=~one&c=",
        "https://market.example/jobs/v0.1/orders?b=2&a=%7eone&c=",
        "https://market.example/jobs/v0.1/orders?b=2&a=%7Eone&c",
        "https://market.example/jobs/v0.1/orders?b=2&a=%7Eone&c=&",
        "https://market.example/jobs/v0.1/orders",
        "https://market.example/jobs/v0%2E1/orders?b=2&a=%7Eone&c=",
        "https://market.example/jobs%2Fv0.1/orders?b=2&a=%7Eone&c=",
        "https://market.example/jobs/v0.1//orders?b=2&a=%7Eone&c=",
        "https://market.example/jobs/v0.1/./orders?b=2&a=%7Eone&c=",
    ],
)
def test_other_spelling_of_the_url_is_refused(url: str) -> None:
    assert refusal(make_headers(), url=url) is Refusal.BAD_SIGNATURE


def test_other_method_is_refused() -> None:
    assert refusal(make_headers(), method="PUT") is Refusal.BAD_SIGNATURE
    assert refusal(make_headers(), method="post") is Refusal.MALFORMED


def test_other_content_type_is_refused() -> None:
    headers = make_headers() | {"content-type": "text/plain"}
    assert refusal(headers) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("body", [BODY + b" ", BODY[:-1], b""])
def test_other_body_is_refused(body: bytes) -> None:
    """Also the empty one, for which less would have to be covered."""
    assert refusal(make_headers(), body=body) in {
        Refusal.WRONG_DIGEST,
        Refusal.WRONG_COMPONENTS,
    }


def test_body_added_to_an_empty_request_is_refused() -> None:
    headers = make_headers("POST", body=b"")
    assert refusal(headers) is Refusal.WRONG_COMPONENTS
    typed = headers | {"content-type": "application/json"}
    assert refusal(typed) is Refusal.WRONG_COMPONENTS


def test_digest_made_to_fit_another_body_is_refused() -> None:
    digest = base64.b64encode(hashlib.sha256(b"{}").digest()).decode()
    headers = make_headers() | {"content-digest": f"sha-256=:{digest}:"}
    assert refusal(headers, body=b"{}") is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize(
    "components",
    [
        ("@method",),
        WITH_BODY[:-1],
        WITH_BODY[1:],
        (*WITH_BODY, "x-correlator"),
        (*WITH_BODY, "@method"),
        (*WITH_BODY[:3], '"content-digest";req', "content-type"),
        (*WITH_BODY[:3], '"content-digest";bs', "content-type"),
        (*WITH_BODY[:3], '"content-digest";key="sha-256"', "content-type"),
        (),
    ],
)
def test_other_coverage_is_refused(components: tuple[str, ...]) -> None:
    assert refusal(make_foreign_headers(components)) is Refusal.WRONG_COMPONENTS


def test_public_key_as_mac_key_is_refused() -> None:
    """Algorithm confusion: anyone can compute a MAC with a public key."""
    mac = make_parameters(alg='"hmac-sha256"')
    headers = make_foreign_headers(parameters=mac, mac_key=KEY.public.data)
    assert refusal(headers) is Refusal.WRONG_ALGORITHM
    headers = make_foreign_headers(mac_key=KEY.public.data)
    assert refusal(headers) is Refusal.BAD_SIGNATURE


def test_key_of_small_order_is_refused() -> None:
    """Under the neutral point as a key, one signature fits every message."""
    neutral = PublicKey(b"\x01" + bytes(31))
    headers = make_foreign_headers(
        parameters=make_parameters(keyid=f'"{neutral.text}"')
    )
    signature = base64.b64encode(neutral.data + bytes(32)).decode()
    headers["signature"] = f"other=:{signature}:"
    assert refusal(headers) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tag": '"sixfold/v2"'}, Refusal.WRONG_TAG),
        ({"tag": None}, Refusal.WRONG_TAG),
        ({"alg": None}, Refusal.WRONG_ALGORITHM),
        ({"alg": '"Ed25519"'}, Refusal.WRONG_ALGORITHM),
        ({"created": None}, Refusal.MALFORMED),
        ({"created": f'"{NOW_S}"'}, Refusal.MALFORMED),
        ({"created": f"{NOW_S}.0"}, Refusal.MALFORMED),
        ({"created": f"@{NOW_S}"}, Refusal.MALFORMED),
        ({"expires": None}, Refusal.MALFORMED),
        ({"expires": str(NOW_S + LIFE_S + 1)}, Refusal.MALFORMED),
        ({"expires": str(NOW_S)}, Refusal.MALFORMED),
        ({"nonce": None}, Refusal.MALFORMED),
        ({"nonce": '""'}, Refusal.MALFORMED),
        ({"nonce": f'"{NONCE.upper()}"'}, Refusal.MALFORMED),
        ({"nonce": f'"{NONCE}00"'}, Refusal.MALFORMED),
        ({"keyid": None}, Refusal.MALFORMED),
        ({"keyid": '"test-key-ed25519"'}, Refusal.MALFORMED),
        ({"keyid": f'"{KEY.public.text[:-1]}"'}, Refusal.MALFORMED),
        ({"keyid": f'"{VECTOR_KEY}"'}, Refusal.BAD_SIGNATURE),
        ({"other": "1"}, Refusal.MALFORMED),
    ],
)
def test_other_parameter_is_refused(
    changes: dict[str, str | None], reason: Refusal
) -> None:
    headers = make_foreign_headers(parameters=make_parameters(**changes))
    assert refusal(headers) is reason


def test_parameter_changed_afterwards_is_refused() -> None:
    headers = make_headers()
    longer = headers["signature-input"].replace(str(NOW_S), str(NOW_S + 1))
    assert refusal(headers | {"signature-input": longer}) is Refusal.BAD_SIGNATURE


def test_clocks_may_differ_by_the_skew() -> None:
    headers = make_headers()
    last_ms = (NOW_S + LIFE_S + SKEW_S) * 1000
    assert verify(headers, now_ms=last_ms).over_after_ms == last_ms
    assert refusal(headers, now_ms=last_ms + 1) is Refusal.EXPIRED
    first_ms = (NOW_S - SKEW_S) * 1000
    verify(headers, now_ms=first_ms)
    assert refusal(headers, now_ms=first_ms - 1) is Refusal.FROM_FUTURE


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_missing_signature_is_refused(name: str) -> None:
    headers = make_headers()
    del headers[name]
    assert refusal(headers) is Refusal.MISSING


@pytest.mark.parametrize("name", ["content-digest", "content-type"])
def test_missing_covered_header_is_refused(name: str) -> None:
    headers = make_headers()
    del headers[name]
    assert refusal(headers) is Refusal.WRONG_COMPONENTS


def test_second_signature_is_refused() -> None:
    """One good and one bad, in one header or two, whatever the order."""
    good, other = make_headers(), make_foreign_headers(("@method",))
    for first, second in [(good, other), (other, good), (good, good)]:
        combined = good | {
            name: f"{first[name]}, {second[name]}"
            for name in ("signature-input", "signature")
        }
        assert refusal(combined) is Refusal.MULTIPLE
        lines = [*first.items(), *second.items()]
        assert refusal(lines) is Refusal.MULTIPLE


@pytest.mark.parametrize(
    "name", ["signature", "signature-input", "content-digest", "content-type"]
)
def test_repeated_header_is_refused(name: str) -> None:
    headers = make_headers()
    lines = [*headers.items(), (name.title(), headers[name])]
    assert refusal(lines) is Refusal.MULTIPLE


def test_label_of_another_signature_is_refused() -> None:
    headers = make_headers()
    relabelled = headers["signature"].replace("sixfold", "other")
    assert refusal(headers | {"signature": relabelled}) is Refusal.MALFORMED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-type", "application/json;\r\n charset=utf-8"),
        ("content-type", "application/json\n"),
        ("content-type", "application/json\x00"),
        ("content-type", "application/jsön"),
        ("content-type", "x" * (HEADER_BYTES_MAX + 1)),
        ("signature", ""),
        ("signature", "sixfold"),
        ("signature", "sixfold=1"),
        ("signature", "sixfold=:AAAA"),
        ("signature-input", "sixfold=()"),
        ("signature-input", "sixfold=1"),
        ("signature-input", "sixfold=("),
        ("signature-input", "sixfold=:AAAA:"),
    ],
)
def test_folded_or_malformed_header_is_refused(name: str, value: str) -> None:
    reason = refusal(make_headers() | {name: value})
    assert reason in {Refusal.MALFORMED, Refusal.WRONG_TAG}


@pytest.mark.parametrize(
    "url", ["", "/orders", "https:///orders", "https://a b/", "https://a/%zz", "x" * 9]
)
def test_url_out_of_form_is_refused(url: str) -> None:
    assert refusal(make_headers(), url=url) is Refusal.MALFORMED


def test_long_url_is_refused() -> None:
    url = "https://market.example/" + "a" * URL_BYTES_MAX
    assert refusal(make_headers(), url=url) is Refusal.MALFORMED


@pytest.mark.parametrize(
    ("method", "url", "headers", "nonce"),
    [
        ("post", URL, JSON, NONCE),
        ("POST", "/orders", JSON, NONCE),
        ("POST", URL, {}, NONCE),
        ("POST", URL, {"content-type": ""}, NONCE),
        ("POST", URL, {"content-type": "a\r\nb: c"}, NONCE),
        ("POST", URL, JSON, ""),
    ],
)
def test_request_out_of_profile_is_not_signed(
    method: str, url: str, headers: dict[str, str], nonce: str
) -> None:
    with pytest.raises(RefusedRequestError):
        sign_request(method, url, headers, BODY, key=KEY, now_ms=NOW_MS, nonce=nonce)


header_names = st.sampled_from(
    ["Signature", "signature-input", "content-digest", "Content-Type", "host", ""]
)
structured_text = st.text(st.sampled_from('"():;=,@*?%.0123-abqre_\\ \t'), max_size=40)


@given(
    st.text(max_size=10),
    st.text(max_size=30),
    st.lists(st.tuples(st.text() | header_names, st.text() | structured_text)),
    st.binary(max_size=20),
    st.integers(),
)
def test_garbage_is_refused_with_one_error(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes, now_ms: int
) -> None:
    with pytest.raises(RefusedRequestError):
        verify_request(method, url, headers, body, now_ms=now_ms)


@given(
    st.sampled_from(sorted(make_headers())),
    st.integers(0, 400),
    st.integers(0, 400),
    st.text(max_size=5) | structured_text,
)
def test_any_other_header_is_refused(
    name: str, start: int, length: int, text: str
) -> None:
    """The law: only what was signed verifies, whichever part is replaced."""
    headers = make_headers()
    value = headers[name][:start] + text + headers[name][start + length :]
    try:
        signed = verify(headers | {name: value})
    except RefusedRequestError:
        return
    # Another label, or spaces where RFC 8941 allows them, change nothing signed.
    assert signed == verify(headers)
    in_signature = name in {"signature", "signature-input"}
    assert in_signature or value.strip(" ") == headers[name]


@given(st.sampled_from(["tag", "alg", "keyid", "nonce", "created"]), structured_text)
def test_structured_garbage_is_refused_with_one_error(name: str, text: str) -> None:
    parameters = make_parameters() + f";{name}={text}"
    headers = make_headers() | {
        "signature-input": f'sixfold=("@method" {text}){parameters}'
    }
    with pytest.raises(RefusedRequestError):
        verify(headers)
