"""The transport against a market of a few lines, in memory and over loopback."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from ledger.encoding import canonical_json
from ledger.request_signing import SignedRequest, verify_request
from ledger.signing import PrivateKey
from sdk.errors import (
    AddressError,
    MarketAnswerError,
    MarketRefusedError,
    MarketUnavailableError,
    SdkError,
)
from sdk.transport import ATTEMPTS_MAX, CHUNK_BYTES, ERROR_BYTES_MAX, Transport

NOW_MS = 1_750_000_000_000
KEY = PrivateKey(bytes(range(32)))
BASE_URL = "https://market.example/v1"


class FakeMarket:
    """Answers in turn with what it was given, and keeps the requests it verified."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.signed: list[SignedRequest] = []
        self.requests: list[httpx.Request] = []
        self.waits_s: list[float] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        headers = request.headers.multi_items()
        body = request.read()
        url = str(request.url)
        self.signed.append(
            verify_request(request.method, url, headers, body, now_ms=NOW_MS)
        )
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def transport(self, base_url: str = BASE_URL) -> Transport:
        return Transport(
            base_url,
            KEY,
            now_ms=lambda: NOW_MS,
            pause=self.waits_s.append,
            http=httpx.MockTransport(self.answer),
        )


def make_answer(
    document: Any = None, *, status: int = 200, **headers: str
) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    content = b"" if document is None else canonical_json(document)
    return httpx.Response(status, content=content, headers=names)


def make_error(status: int, code: str = "ABORTED", **headers: str) -> httpx.Response:
    document = {"status": status, "code": code, "message": "It cannot be."}
    return make_answer(document, status=status, **headers)


def make_stream(*chunks: bytes) -> httpx.Response:
    """An answer that does not say how long it is."""
    return httpx.Response(200, content=iter(chunks))


def test_get_is_signed_and_parsed() -> None:
    market = FakeMarket(make_answer({"size": 1}))
    query: dict[str, str | int] = {"page": 2, "name": "a b&c/~é"}
    assert market.transport().get_json("/offers", query=query) == {"size": 1}
    assert market.signed[0].public_key == KEY.public
    request = market.requests[0]
    assert request.url.path == "/v1/offers"
    assert dict(request.url.params) == {"page": "2", "name": "a b&c/~é"}
    assert request.headers["x-correlator"].count("-") == 4


def test_post_sends_canonical_json() -> None:
    market = FakeMarket(make_answer({"id": "job_1"}, status=201), make_answer())
    transport = market.transport("https://market.example/")
    assert transport.post_json("/jobs", {"b": 1, "a": 2}) == {"id": "job_1"}
    assert market.requests[0].content == b'{"a":2,"b":1}'
    assert market.requests[0].headers["content-type"] == "application/json"
    assert transport.post_json("/jobs", {}) is None


def test_put_bytes_tells_its_progress() -> None:
    market = FakeMarket(make_answer(status=204), make_answer(status=204))
    data = bytes(2 * CHUNK_BYTES + 1)
    seen: list[tuple[int, int | None]] = []
    transport = market.transport()
    transport.put_bytes("/blobs/1", data, progress=lambda *step: seen.append(step))
    assert [done for done, _ in seen] == [CHUNK_BYTES, 2 * CHUNK_BYTES, len(data)]
    assert {total for _, total in seen} == {len(data)}
    request = market.requests[0]
    assert request.headers["content-length"] == str(len(data))
    assert "transfer-encoding" not in request.headers
    transport.put_bytes("/blobs/2", b"")


def test_get_bytes_tells_its_progress() -> None:
    market = FakeMarket(
        httpx.Response(200, content=b"\x00" * 10), make_stream(b"ab", b"cd")
    )
    seen: list[tuple[int, int | None]] = []
    transport = market.transport()
    data = transport.get_bytes(
        "/blobs/1", size_max=10, progress=lambda *step: seen.append(step)
    )
    assert (data, seen[-1]) == (b"\x00" * 10, (10, 10))
    data = transport.get_bytes(
        "/blobs/1", size_max=4, progress=lambda *step: seen.append(step)
    )
    assert (data, seen[-2:]) == (b"abcd", [(2, None), (4, None)])


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(200, content=b"12345"), make_stream(b"12", b"34", b"5", b"6")],
)
def test_answer_beyond_its_bound_is_refused(answer: httpx.Response) -> None:
    with pytest.raises(MarketAnswerError, match="more than 4 bytes"):
        FakeMarket(answer).transport().get_bytes("/blobs/1", size_max=4)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b'{"a":1,"a":2}'),
        httpx.Response(200, content=b"1.5"),
        httpx.Response(200, content=b"{}", headers={"content-encoding": "br"}),
        httpx.Response(302, headers={"location": "https://other.example/"}),
        httpx.Response(404, content=b"not found"),
        httpx.Response(404, content=b""),
        httpx.Response(404, content=b" " * (ERROR_BYTES_MAX + 1)),
        make_answer({"status": 403, "code": "X", "message": "y"}, status=404),
        make_answer({"status": 404, "code": "X"}, status=404),
        make_answer({"status": 404, "code": "X", "message": 1}, status=404),
        make_answer({"status": 404, "code": "X", "message": "\x1b[2J"}, status=404),
        make_answer({"status": 404, "code": "X", "message": "y" * 3000}, status=404),
    ],
)
def test_answer_out_of_form_is_refused(answer: httpx.Response) -> None:
    market = FakeMarket(answer)
    with pytest.raises(MarketAnswerError):
        market.transport().get_json("/offers")
    assert len(market.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 501])
def test_no_is_said_once(status: int) -> None:
    market = FakeMarket(make_error(status))
    with pytest.raises(MarketRefusedError, match="It cannot be") as caught:
        market.transport().post_json("/jobs", {})
    error = caught.value
    assert (error.status, error.code) == (status, "ABORTED")
    assert error.message == "It cannot be."
    correlator = market.requests[0].headers["x-correlator"]
    assert error.__notes__ == [f"x-correlator: {correlator}"]


RETRIED = [
    make_error(502),
    make_error(503, "UNAVAILABLE"),
    make_error(504),
    make_error(429, retry_after="1"),
    httpx.Response(503, content=b"<html>"),
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.RemoteProtocolError("gone"),
]


@pytest.mark.parametrize("failure", RETRIED, ids=repr)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_failure_is_tried_again(
    method: str, failure: httpx.Response | Exception
) -> None:
    market = FakeMarket(failure, make_answer([1]))
    transport = market.transport()
    calls: dict[str, Callable[[], Any]] = {
        "GET": lambda: transport.get_json("/x"),
        "POST": lambda: transport.post_json("/x", {"a": 1}),
        "PUT": lambda: transport.put_bytes("/x", b"abc"),
    }
    assert calls[method]() == [1]
    assert len({signed.nonce for signed in market.signed}) == 2
    first, second = market.requests
    assert first.headers["x-correlator"] == second.headers["x-correlator"]
    assert first.content == second.content


def test_answer_that_breaks_off_is_tried_again() -> None:
    def broken() -> Iterator[bytes]:
        yield b"12"
        raise httpx.ReadError("reset")

    market = FakeMarket(httpx.Response(200, content=broken()), make_stream(b"1234"))
    assert market.transport().get_bytes("/blobs/1", size_max=4) == b"1234"


def test_waits_grow_and_end() -> None:
    market = FakeMarket(*[httpx.ConnectError("refused")] * ATTEMPTS_MAX)
    with pytest.raises(MarketUnavailableError, match="refused") as caught:
        market.transport().get_json("/offers")
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    bounds = [(0.125, 0.25), (0.25, 0.5), (0.5, 1), (1, 2)]
    assert len(market.waits_s) == len(bounds)
    for (low, high), wait_s in zip(bounds, market.waits_s, strict=True):
        assert low <= wait_s <= high


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, MarketUnavailableError), (429, MarketRefusedError)],
)
def test_retry_after_is_obeyed_within_bounds(status: int, kind: type[SdkError]) -> None:
    answers = [make_error(status, retry_after="7") for _ in range(ATTEMPTS_MAX)]
    market = FakeMarket(*answers)
    with pytest.raises(kind, match="It cannot be"):
        market.transport().get_json("/offers")
    assert market.waits_s == [7] * (ATTEMPTS_MAX - 1)
    market = FakeMarket(make_error(status, retry_after="31"))
    with pytest.raises(kind):
        market.transport().get_json("/offers")
    assert market.waits_s == []


@pytest.mark.parametrize(
    "failure", [httpx.LocalProtocolError("odd"), httpx.UnsupportedProtocol("odd")]
)
def test_failure_of_our_own_is_not_tried_again(failure: Exception) -> None:
    market = FakeMarket(failure)
    with pytest.raises(MarketUnavailableError, match="odd"):
        market.transport().get_json("/offers")
    assert market.waits_s == []


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "market.example",
        "ftp://market.example",
        "https://",
        "https://user:secret@market.example",
        "https://market.example/?a=1",
        "https://market.example/#a",
        "https://märket.example",
        "https://market.example:99999",
        "https://[::1",
    ],
)
def test_odd_address_is_refused(base_url: str) -> None:
    with pytest.raises(AddressError):
        Transport(base_url, KEY, now_ms=lambda: NOW_MS)


@pytest.mark.parametrize("path", ["/a\x00", "/" + "a" * 8192])
def test_odd_path_is_refused(path: str) -> None:
    market = FakeMarket()
    with pytest.raises(AddressError):
        market.transport().get_json(path)
    assert market.requests == []


class LoopbackHandler(BaseHTTPRequestHandler):
    """Checks each request as it came over the wire, and says who signed it."""

    protocol_version = "HTTP/1.1"
    peers: set[tuple[str, int]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        url = f"http://{self.headers['host']}{self.path}"
        lines = list(self.headers.items())
        signed = verify_request(self.command, url, lines, body, now_ms=NOW_MS)
        self.peers.add(self.client_address)
        answer = canonical_json({"account": signed.public_key.account_id})
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_POST  # noqa: N815  the server looks for this name

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def loopback_url() -> Iterator[str]:
    LoopbackHandler.peers = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), LoopbackHandler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_signature_holds_over_the_wire_on_one_connection(loopback_url: str) -> None:
    transport = Transport(loopback_url, KEY, now_ms=lambda: NOW_MS)
    expected = {"account": KEY.account_id}
    assert transport.post_json("/jobs/ä b%2f~'?x=%7e", {"é": 1}) == expected
    assert transport.put_bytes("/blobs/1", bytes(3 * CHUNK_BYTES)) == expected
    assert len(LoopbackHandler.peers) == 1
    transport.close()


def test_threads_may_share_a_transport(loopback_url: str) -> None:
    transport = Transport(loopback_url, KEY, now_ms=lambda: NOW_MS)
    expected = {"account": KEY.account_id}
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: transport.post_json("/jobs", {"n": n}), range(40))
        assert list(answers) == [expected] * 40
    transport.close()


def test_market_that_is_not_there_is_unavailable() -> None:
    """Port 1 of loopback, where nothing listens."""
    waits_s: list[float] = []
    transport = Transport(
        "http://127.0.0.1:1", KEY, now_ms=lambda: NOW_MS, pause=waits_s.append
    )
    with pytest.raises(MarketUnavailableError):
        transport.get_json("/offers")
    transport.close()
    assert len(waits_s) == ATTEMPTS_MAX - 1
