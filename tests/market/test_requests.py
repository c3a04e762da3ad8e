"""What is not a signed request in form is refused, in one form, and tells nothing."""

import copy
import itertools
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from parties import (
    ENCLAVE,
    EVIDENCE,
    Cast,
    Consumer,
    Provider,
    RunningMarket,
    inline,
    now_ms,
    statement_json,
)

from ledger.encoding import canonical_json
from ledger.identifiers import new_identifier
from ledger.request_signing import sign_request
from ledger.signing import PrivateKey
from market import auth

CANARY = "canary 7f3a of a patient"
TOP_UPS = "/billing/v0.1/top-ups"
BALANCE = "/billing/v0.1/balance"
JSON = {"content-type": "application/json"}


@dataclass
class Sender:
    """Signs and sends requests by hand, so that a test can spoil them in between."""

    market: RunningMarket
    key: PrivateKey
    http: httpx.Client

    def sign(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        at_ms: int = 0,
        url: str = "",
    ) -> dict[str, str]:
        headers = JSON if body else {}
        return headers | sign_request(
            method,
            (url or self.market.url) + path,
            headers,
            body,
            key=self.key,
            now_ms=at_ms or now_ms(),
            nonce=PrivateKey.generate().seed.hex()[:32],
        )

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> httpx.Response:
        return self.http.request(
            method, self.market.url + path, headers=headers, content=body
        )

    def post(self, path: str, body: bytes) -> httpx.Response:
        return self.send("POST", path, self.sign("POST", path, body), body)


@pytest.fixture
def sender(shared_market: RunningMarket, shared_cast: Cast) -> Iterator[Sender]:
    key = shared_cast.consumer(funds=10**9).key
    with httpx.Client() as http:
        yield Sender(shared_market, key, http)


def assert_refused(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert set(response.json()) == {"status", "code", "message"}
    assert response.json()["status"] == status
    assert CANARY not in response.text


def top_up(amount: object = 5) -> bytes:
    wish = {"transferId": new_identifier("top"), "amountMicrocredits": amount}
    return json.dumps(wish).encode()


def test_signed_request_is_taken(sender) -> None:
    assert sender.post(TOP_UPS, top_up()).status_code == 200
    assert sender.send("GET", BALANCE, sender.sign("GET", BALANCE)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", BALANCE),
        ("POST", TOP_UPS),
        ("PUT", "/blobs/v0.1/blobs"),
        ("DELETE", "/catalog/v0.1/offers/offer_aaaaaaaaaaaaaaaaaaaa"),
        ("POST", "/node-agent/v0.1/leases"),
    ],
)
def test_unsigned_request_is_refused(sender, method, path) -> None:
    response = sender.send(method, path, JSON, CANARY.encode())
    assert_refused(response, 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("late_ms", [-100_000, 100_000])
def test_request_out_of_its_time_is_refused(sender, late_ms) -> None:
    headers = sender.sign("GET", BALANCE, at_ms=now_ms() + late_ms)
    assert_refused(sender.send("GET", BALANCE, headers), 401, "UNAUTHENTICATED")


def test_replayed_request_is_refused(sender) -> None:
    body = top_up()
    headers = sender.sign("POST", TOP_UPS, body)
    assert sender.send("POST", TOP_UPS, headers, body).status_code == 200
    response = sender.send("POST", TOP_UPS, headers, body)
    assert_refused(response, 401, "UNAUTHENTICATED")


def test_refused_request_does_not_use_up_its_nonce(sender) -> None:
    headers = sender.sign("GET", BALANCE)
    spoiled = headers | {"content-digest": "sha-256=:AAAA:"}
    assert_refused(sender.send("GET", BALANCE, spoiled), 401, "UNAUTHENTICATED")
    assert sender.send("GET", BALANCE, headers).status_code == 200


def test_request_that_cannot_be_remembered_is_too_many(sender, monkeypatch) -> None:
    monkeypatch.setattr(sender.market.context.replay, "_capacity", 0)
    response = sender.send("GET", BALANCE, sender.sign("GET", BALANCE))
    assert_refused(response, 429, "TOO_MANY_REQUESTS")


def test_altered_body_is_refused(sender) -> None:
    headers = sender.sign("POST", TOP_UPS, top_up())
    other = top_up(10**9)
    response = sender.send("POST", TOP_UPS, headers, other)
    assert_refused(response, 401, "UNAUTHENTICATED")
    digest = sender.sign("POST", TOP_UPS, other)["content-digest"]
    response = sender.send("POST", TOP_UPS, headers | {"content-digest": digest}, other)
    assert_refused(response, 401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ("/compute-jobs/v0.1/jobs?page=1", "/compute-jobs/v0.1/jobs?page=2"),
        ("/compute-jobs/v0.1/jobs?page=1", "/compute-jobs/v0.1/jobs"),
        ("/compute-jobs/v0.1/jobs", "/compute-jobs/v0.1/jobs?page=1"),
        (
            "/compute-jobs/v0.1/jobs?page=1&perPage=2",
            "/compute-jobs/v0.1/jobs?perPage=2&page=1",
        ),
        (BALANCE, "/billing/v0.1/invoice"),
        (BALANCE, "/billing/v0.1/%62alance"),
        (BALANCE, "/billing/v0.1/balance/"),
    ],
)
def test_altered_address_is_refused(sender, signed, sent) -> None:
    response = sender.send("GET", sent, sender.sign("GET", signed))
    assert response.status_code in {401, 404}
    assert_refused(response, response.status_code, response.json()["code"])


def test_address_is_verified_as_it_was_sent(sender) -> None:
    path = "/compute-jobs/v0.1/jobs/a%20b"
    response = sender.send("GET", path, sender.sign("GET", path))
    assert_refused(response, 404, "NOT_FOUND")


def test_other_method_is_refused(sender) -> None:
    path = "/compute-jobs/v0.1/jobs"
    response = sender.send("POST", path, sender.sign("GET", path))
    assert_refused(response, 401, "UNAUTHENTICATED")


def test_request_for_another_host_is_refused(sender) -> None:
    headers = sender.sign("GET", BALANCE, url="http://other.example")
    assert_refused(sender.send("GET", BALANCE, headers), 401, "UNAUTHENTICATED")
    headers["host"] = "other.example"
    assert_refused(sender.send("GET", BALANCE, headers), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("host", ["other.example", "a#b", "a?b", "a/b"])
def test_host_header_does_not_decide_what_was_signed(sender, host) -> None:
    headers = sender.sign("GET", BALANCE) | {"host": host}
    assert sender.send("GET", BALANCE, headers).status_code == 200


def test_signature_of_another_key_is_refused(sender) -> None:
    headers = sender.sign("GET", BALANCE)
    sender.key = PrivateKey.generate()
    headers["signature"] = sender.sign("GET", BALANCE)["signature"]
    assert_refused(sender.send("GET", BALANCE, headers), 401, "UNAUTHENTICATED")


def test_too_large_body_is_refused(sender) -> None:
    body = b" " * (auth.JSON_BYTES_MAX + 1)
    assert_refused(sender.post(TOP_UPS, body), 413, "INVALID_ARGUMENT")
    assert_refused(sender.post(TOP_UPS, body * 4), 413, "INVALID_ARGUMENT")


def test_slow_body_is_refused(sender, monkeypatch) -> None:
    monkeypatch.setattr(auth, "BODY_READ_S_MAX", 0.05)
    host, port = sender.market.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {TOP_UPS} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        CANARY.encode(),
        b'{"transferId": "' + CANARY.encode() + b'"',
        b"\xff\xfe",
        b'{"amountMicrocredits": 1, "amountMicrocredits": 2}',
        top_up(1.5),
        top_up(1e3),
        top_up(float("nan")),
        top_up(2**53),
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b"[" * 100_000,
        b'{"' + CANARY.encode() + b'": "\\ud800"}',
    ],
)
def test_body_that_is_not_strict_json_is_refused(sender, body) -> None:
    response = sender.post(TOP_UPS, body)
    assert_refused(response, 400, "INVALID_ARGUMENT")
    assert "1.5" not in response.text


def make_documents(consumer: Consumer, provider: Provider) -> dict[str, Any]:
    """A document for every route that takes one; the place is its path."""
    job_id = "job_" + "a" * 20
    lease = {
        "jobId": job_id,
        "attempt": 1,
        "agreement": "A" * 43 + "=",
        "consumer": "psn_" + "a" * 26,
        "recordKey": "A" * 43 + "=",
        "ratingGroups": ["fuel"],
        "recipient": None,
        "input": {"digest": "A" * 43 + "="},
    }
    signature = statement_json(provider.make_offer())["signatures"][0]
    acceptance = {"jobId": job_id, "attempt": 1, "signature": signature}
    reference = {"jobId": job_id, "attempt": 1}
    orders = [consumer.make_order().item(), consumer.make_order(policy=ENCLAVE).item()]
    return {
        TOP_UPS: {"transferId": "top_" + "a" * 20, "amountMicrocredits": 1},
        "/accounts/v0.1/accounts": {"statement": {"kind": "account", "body": {}}},
        "/catalog/v0.1/offers": {"statement": statement_json(provider.make_offer())},
        "/catalog/v0.1/workloads": {"statement": {"kind": "workload"}, "content": ""},
        "/compute-jobs/v0.1/jobs": {"orders": orders},
        "/compute-jobs/v0.1/retrieve-outcomes": {"jobIds": [job_id], "waitMs": 0},
        "/compute-jobs/v0.1/acceptances": {"acceptances": [acceptance]},
        f"/compute-jobs/v0.1/jobs/{job_id}/input": {
            "attempt": 1,
            "input": inline(b"sealed"),
        },
        "/node-agent/v0.1/leases": {
            "commandId": "lease_" + "a" * 20,
            "limit": 1,
            "waitMs": 0,
        },
        "/node-agent/v0.1/heartbeats": {
            "commandId": "beat_" + "a" * 20,
            "leases": [reference],
        },
        f"/node-agent/v0.1/leases/{job_id}/evidence": {
            "attempt": 1,
            "evidence": inline(EVIDENCE),
        },
        "/node-agent/v0.1/slices": {"slices": [provider.make_slice(lease)]},
    }


def spoil(document: Any) -> Iterator[Any]:
    """The document with one thing missing, added, or of another type, for each."""
    others = itertools.cycle((CANARY, [CANARY], None, 0.125, {"a": CANARY}, True, -1))
    for place in _places(document):
        for spoiled in (next(others), next(others), None):
            changed = copy.deepcopy(document)
            target = changed
            for part in place[:-1]:
                target = target[part]
            if spoiled is None and isinstance(target, dict):
                del target[place[-1]]
                target["unknown"] = CANARY
            else:
                target[place[-1]] = spoiled
            yield changed


def _places(value: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        yield (*above, name)
        if isinstance(item, dict | list):
            yield from _places(item, *above, name)


@pytest.mark.slow
def test_spoiled_documents_are_refused_without_an_echo(shared_cast, sender) -> None:
    provider = shared_cast.provider()
    consumer = shared_cast.consumer(provider.node.key)
    sender.key = provider.node.key
    refused: set[str] = set()
    for path, document in make_documents(consumer, provider).items():
        for changed in spoil(document):
            response = sender.post(path, json.dumps(changed).encode())
            answer = response.json()
            assert response.status_code in {200, 400, 403, 404, 409}, (path, answer)
            assert CANARY not in response.text, (path, answer)
            assert "0.125" not in response.text, (path, answer)
            if response.status_code != 200:
                assert set(answer) == {"status", "code", "message"}
                refused.add(path)
    assert refused == set(make_documents(consumer, provider))


@pytest.mark.parametrize("query", ["page=0", "page=x", "perPage=101", f"page={CANARY}"])
def test_query_out_of_bounds_is_refused(sender, query) -> None:
    path = f"/compute-jobs/v0.1/jobs?{query.replace(' ', '%20')}"
    response = sender.send("GET", path, sender.sign("GET", path))
    assert_refused(response, 400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "path", ["/", "/canary", "/billing/v0.2/balance", "/log/log.key"]
)
def test_unknown_path_is_answered_in_form(sender, path) -> None:
    assert_refused(sender.send("GET", path, {}), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path", ["/log/tile/../checkpoint", "/log/tile/%2e%2e/%2e%2e/market.key"]
)
def test_log_serves_nothing_but_the_log(sender, path) -> None:
    host, port = sender.market.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nhost: a\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_wrong_method_is_answered_in_form(sender) -> None:
    response = sender.send("DELETE", TOP_UPS, {})
    assert_refused(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("status", [200, 401, 404, 405])
def test_correlator_comes_back(sender, status) -> None:
    path = "/nowhere" if status == 404 else BALANCE
    headers = sender.sign("GET", path) if status == 200 else {}
    method = "DELETE" if status == 405 else "GET"
    correlator = {"x-correlator": "b4333c46-49c0-4f62-80d7-f0ef930f1c46"}
    response = sender.send(method, path, headers | correlator)
    assert response.status_code == status
    assert response.headers["x-correlator"] == correlator["x-correlator"]


@pytest.mark.parametrize("correlator", ["a" * 257, "a b", "ä", "a\tb", "<script>'"])
def test_malformed_correlator_is_refused_and_not_repeated(sender, correlator) -> None:
    headers = {"x-correlator": correlator.encode("latin-1")}
    response = sender.send("GET", BALANCE, headers)
    assert_refused(response, 400, "INVALID_ARGUMENT")
    assert "x-correlator" not in response.headers
    assert correlator not in response.text


def test_fault_of_the_market_is_told_in_form(sender, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr("market.billing.routes.invoice", fail)
    path = "/billing/v0.1/invoice"
    headers = sender.sign("GET", path) | {"x-correlator": "abc"}
    response = sender.send("GET", path, headers)
    assert_refused(response, 500, "INTERNAL")
    assert response.headers["x-correlator"] == "abc"


def test_canonical_form_is_not_demanded_of_requests(sender) -> None:
    body = top_up()
    assert body != canonical_json(json.loads(body))
    assert sender.post(TOP_UPS, body).status_code == 200
