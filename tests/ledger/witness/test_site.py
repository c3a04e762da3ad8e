"""A witness over real HTTP: its routes, and bodies that are too large or too slow."""

import hashlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from served_witness import serve_witness

from ledger.log import open_note
from ledger.log.witness_protocol import REQUEST_BYTES_MAX
from ledger.witness import site
from ledger.witness.errors import WitnessStoreError


class Served:
    """A served witness, and what it has told of its decisions."""

    def __init__(self) -> None:
        self.url = ""
        self.told: list[tuple[int, str]] = []

    def post(self, body: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/add-checkpoint", content=body)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/{path}")

    def send_raw(self, data: bytes) -> bytes:
        """What comes back until the connection is closed, or the body is there."""
        parts = urlsplit(self.url)
        assert parts.hostname
        with socket.create_connection((parts.hostname, parts.port), 10) as connection:
            connection.sendall(data)
            return connection.recv(65_536)


@pytest.fixture
def served(held) -> Iterator[Served]:
    served = Served()
    with serve_witness(held, lambda *said: served.told.append(said)) as served.url:
        yield served


def test_checkpoint_is_cosigned(served, held, log) -> None:
    answer = served.post(log.request(0))
    assert answer.status_code == 200
    assert len(open_note(log.note() + answer.content, held.keys).signatures) == 2
    assert served.told == [(200, "log.example/main 0 -> 8: cosigned")]


def test_size_is_told_as_the_standard_says(served, log) -> None:
    served.post(log.request(0, 5))
    answer = served.post(log.request(3))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "text/x.tlog.size"
    assert answer.content == b"5\n"


def test_last_checkpoint_is_shown(served, held, log) -> None:
    digest = hashlib.sha256(log.origin.encode()).hexdigest()
    assert served.get(f"{digest}/checkpoint").status_code == 404
    served.post(log.request(0))
    shown = served.get(f"{digest}/checkpoint")
    assert shown.status_code == 200
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert open_note(shown.content, held.keys).text == log.checkpoint().text
    assert served.get(f"{digest.upper()}/checkpoint").status_code == 404
    assert served.get("../checkpoint").status_code == 404


def test_keys_are_shown(served, held) -> None:
    assert served.get("vkey").text.splitlines() == [key.vkey for key in held.keys]


def test_other_requests_are_not_known(served) -> None:
    assert served.get("").status_code == 404
    assert served.get("add-checkpoint").status_code == 405
    assert httpx.post(f"{served.url}/vkey").status_code == 405


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_body_that_is_too_large_is_refused(served, framing) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    body = chunks() if framing == "chunks" else b"x" * (REQUEST_BYTES_MAX + 1)
    try:
        answer = httpx.post(f"{served.url}/add-checkpoint", content=body)
    except httpx.WriteError:
        # It has answered and closed before all was sent.
        pass
    else:
        assert answer.status_code == 400
    assert [status for status, _ in served.told] == [400]


def test_body_that_does_not_come_is_given_up(monkeypatch, served) -> None:
    monkeypatch.setattr(site, "BODY_S_MAX", 0.1)
    head = b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 100\r\n\r\n"
    assert served.send_raw(head + b"old").startswith(b"HTTP/1.1 400 ")
    assert served.told == [(400, "The request did not arrive in time.")]


def test_sender_who_leaves_does_no_harm(served, log) -> None:
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(
            b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 9\r\n\r\nold"
        )
    assert served.post(log.request(0)).status_code == 200
    assert [status for status, _ in served.told] == [200]


@pytest.mark.parametrize("error", [WitnessStoreError("locked"), OSError("full")])
def test_witness_that_cannot_remember_answers_503(
    monkeypatch, served, held, log, error
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(held.store, "advance", fail)
    monkeypatch.setattr(held.store, "find_note", fail)
    answer = served.post(log.request(0))
    assert answer.status_code == 503
    # What is wrong with the disk is no business of the sender's.
    assert str(error) not in answer.text
    assert served.told == [(503, str(error))]


def test_unreadable_memory_is_not_shown(monkeypatch, served, held) -> None:
    def fail(_: str) -> None:
        raise WitnessStoreError("locked")

    monkeypatch.setattr(held.store, "find_note", fail)
    assert served.get("0/checkpoint").status_code == 503
