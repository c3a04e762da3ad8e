"""One limit for all of an exchange, whatever the server drips, floods or packs."""

import gzip
import socket
import threading
import time

import httpx
import pytest
from served_witness import serve_bytes

from ledger.audit import bounded_transport
from ledger.audit.bounded_transport import BoundedTransport


def get(url: str, **settings: float) -> httpx.Response:
    transport = BoundedTransport(**settings)
    with httpx.Client(transport=transport, trust_env=False) as client:
        return client.get(url)


def test_answer_is_carried_with_its_headers() -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 418 Teapot\r\nx-a: b\r\n\r\n" + b"x" * 10_000)

    with serve_bytes(speak) as url:
        answer = get(url)
    assert (answer.status_code, answer.headers["x-a"]) == (418, "b")
    assert answer.content == b"x" * 10_000


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_dripping_answer_is_given_up(start) -> None:
    done = threading.Event()

    def speak(connection: socket.socket) -> None:
        connection.sendall(start)
        while not done.wait(0.02):
            connection.sendall(b"H")

    with serve_bytes(speak) as url:
        begun = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            get(url, exchange_s=0.2)
        assert time.monotonic() - begun < 3
        done.set()


def test_endless_answer_is_cut_off(monkeypatch) -> None:
    monkeypatch.setattr(bounded_transport, "EXCHANGE_BYTES_MAX", 100_000)

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with serve_bytes(speak) as url, pytest.raises(httpx.ReadError):
        get(url)


def test_packed_answer_comes_in_small_pieces() -> None:
    """Its reader counts after each piece, so none may unpack to very much."""
    bomb = gzip.compress(bytes(50_000_000))
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n"

    def speak(connection: socket.socket) -> None:
        connection.sendall(head + bomb)

    transport = BoundedTransport()
    with (
        serve_bytes(speak) as url,
        httpx.Client(transport=transport, trust_env=False) as client,
        client.stream("GET", url) as answer,
    ):
        largest = max(len(piece) for piece in answer.iter_bytes())
    assert largest < 5_000_000


def test_nobody_there_is_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(httpx.ConnectError):
            get(f"http://127.0.0.1:{unused.getsockname()[1]}")
