"""A log asks witnesses: over real HTTP, and of witnesses that misbehave."""

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from grown_log import GrownLog
from held_witness import HeldWitness
from served_witness import serve_bytes, serve_witness

from ledger.errors import LedgerError, NoteError, TileError
from ledger.log import open_note
from ledger.log import witness_client as client_module
from ledger.log.errors import (
    WitnessAheadError,
    WitnessAlarmError,
    WitnessError,
    WitnessProtocolError,
    WitnessRefusedError,
    WitnessUnavailableError,
)
from ledger.log.note import NoteSignature
from ledger.log.witness_client import (
    ANSWER_BYTES_MAX,
    PAUSE_S_MAX,
    WitnessClient,
    WitnessPool,
)
from ledger.log.witness_protocol import parse_add_checkpoint

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def log() -> GrownLog:
    return GrownLog().grow(8)


@pytest.fixture
def held(tmp_path, log) -> Iterator[HeldWitness]:
    held = HeldWitness(tmp_path, log.signer.verifier)
    yield held
    held.store.close()


@pytest.fixture
def url(held) -> Iterator[str]:
    with serve_witness(held) as url:
        yield url


def reply(
    status: int, content: bytes = b"", headers: dict[str, str] | None = None
) -> httpx.Response:
    """As it comes from the network: not read yet."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


class Submitter:
    """One witness in a pool, asked about one log."""

    def __init__(self, held: HeldWitness, url: str, **settings: object) -> None:
        self.pool = WitnessPool(
            [WitnessClient(url, held.keys, **settings)],
            monotonic_s=lambda: self.monotonic_s,
        )
        self.monotonic_s = 0.0
        self.proofs_asked: list[int] = []

    def submit(
        self, log: GrownLog, size: int | None = None
    ) -> tuple[NoteSignature, ...] | LedgerError:
        """What came of it."""

        def consistency(old_size: int) -> tuple[bytes, ...]:
            self.proofs_asked.append(old_size)
            return log.proof(old_size, size)

        (outcome,) = self.pool.submit_to_all(log.note(size), consistency=consistency)
        assert (outcome.error is None) == bool(outcome.signatures)
        return outcome.error or outcome.signatures


@pytest.fixture
def submitter(held, url) -> Iterator[Submitter]:
    submitter = Submitter(held, url)
    yield submitter
    submitter.pool.close()


@pytest.fixture
def scripted(held) -> Iterator[Callable[[Handler], Submitter]]:
    made = []

    def script(handler: Handler) -> Submitter:
        transport = httpx.MockTransport(handler)
        made.append(Submitter(held, "http://witness.example/w1", http=transport))
        return made[-1]

    yield script
    for submitter in made:
        submitter.pool.close()


def test_each_checkpoint_is_cosigned(submitter, held, log) -> None:
    for size in (1, 3, 3, 8):
        lines = submitter.submit(log, size)
        assert [line.name for line in lines] == ["witness.example"] * 2
        cosigned = log.note(size) + "".join(line.line for line in lines).encode()
        keys = [log.signer.verifier, *held.keys]
        assert len(open_note(cosigned, keys).signatures) == 3
    # From memory: the witness never had to tell its size.
    assert submitter.proofs_asked == [1, 3]


def test_size_is_learned_from_the_witness(submitter, held, log) -> None:
    held.answer(log.request(0, 5))
    assert len(submitter.submit(log)) == 2
    assert submitter.proofs_asked == [5]


def test_size_is_learned_again_when_another_has_submitted(submitter, held, log) -> None:
    submitter.submit(log, 3)
    held.answer(log.request(3, 6))
    assert len(submitter.submit(log)) == 2
    assert submitter.proofs_asked == [3, 6]


def test_witness_that_has_seen_more_is_ahead(submitter, held, log) -> None:
    held.answer(log.request(0))
    error = submitter.submit(log, 5)
    assert isinstance(error, WitnessAheadError)
    assert error.size == 8
    assert len(submitter.submit(log)) == 2


def test_fork_raises_an_alarm_with_both_notes(submitter, held, log) -> None:
    submitter.submit(log, 5)
    fork = log.fork(4).grow(4, "other")
    error = submitter.submit(fork)
    assert isinstance(error, WitnessAlarmError)
    assert error.submitted == fork.note()
    assert error.cosigned is not None
    keys = [log.signer.verifier, *held.keys]
    assert open_note(error.cosigned, keys).text == log.checkpoint(5).text


def test_other_root_of_one_size_raises_an_alarm(submitter, log) -> None:
    submitter.submit(log)
    assert isinstance(submitter.submit(log.fork(7).grow(1, "x")), WitnessAlarmError)


def test_unknown_log_is_refused(submitter) -> None:
    error = submitter.submit(GrownLog(origin="other.example").grow(3))
    assert isinstance(error, WitnessRefusedError)
    assert error.status == 404
    assert "other.example is not a log of this witness" in str(error)


def test_wrong_key_is_refused(submitter, log) -> None:
    error = submitter.submit(GrownLog(log.entries, seed=b"x" * 32))
    assert isinstance(error, WitnessRefusedError)
    assert error.status == 403


def test_text_that_is_no_checkpoint_is_not_sent(submitter, log) -> None:
    (outcome,) = submitter.pool.submit_to_all(b"no note", consistency=log.proof)
    assert isinstance(outcome.error, NoteError)


def test_missing_tiles_are_the_outcome(submitter, held, log) -> None:
    held.answer(log.request(0, 5))

    def consistency(_old_size: int) -> tuple[bytes, ...]:
        raise TileError("no tile")

    (outcome,) = submitter.pool.submit_to_all(log.note(), consistency=consistency)
    assert isinstance(outcome.error, TileError)


def test_nobody_there_is_unavailable(held, log) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        submitter = Submitter(held, f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert isinstance(submitter.submit(log), WitnessUnavailableError)
        submitter.pool.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, WitnessRefusedError),
        (301, WitnessRefusedError),
        (400, WitnessRefusedError),
        (403, WitnessRefusedError),
        (404, WitnessRefusedError),
        (409, WitnessProtocolError),
        (418, WitnessRefusedError),
        (422, WitnessAlarmError),
        (429, WitnessUnavailableError),
        (500, WitnessUnavailableError),
        (503, WitnessUnavailableError),
    ],
)
def test_status_is_told_as_an_error(scripted, log, status, kind) -> None:
    submitter = scripted(
        lambda _: reply(status, headers={"location": "http://elsewhere/"})
    )
    assert isinstance(submitter.submit(log), kind)


def test_what_a_witness_says_is_shown_safely(scripted, log) -> None:
    said = b"\x1b[31mgo away\n" + b"x" * 1_000
    submitter = scripted(lambda _: reply(400, said))
    assert r"'\x1b[31mgo away'" in str(submitter.submit(log))


def conflict(size: bytes) -> httpx.Response:
    headers = {"content-type": "text/x.tlog.size"}
    return reply(409, size, headers=headers)


def test_conflict_is_retried_once(scripted, log) -> None:
    asked = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(parse_add_checkpoint(request.content).old_size)
        return conflict(b"%d\n" % len(asked))

    error = scripted(handle).submit(log)
    assert isinstance(error, WitnessRefusedError)
    assert error.status == 409
    assert asked == [0, 1]


@pytest.mark.parametrize("size", [b"", b"3", b"03\n", b"three\n", b"9" * 30 + b"\n"])
def test_conflict_with_a_malformed_size_is_told(scripted, log, size) -> None:
    error = scripted(lambda _: conflict(size)).submit(log)
    assert isinstance(error, WitnessProtocolError)


def test_conflict_of_roots_in_the_first_version_is_an_alarm(
    scripted, held, log
) -> None:
    """It told another root of one size with 409 and words."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return reply(404)
        status, body = held.answer(request.content)
        return reply(409 if status == 422 else status, body)

    submitter = scripted(handle)
    submitter.submit(log)
    error = submitter.submit(log.fork(7).grow(1, "x"))
    assert isinstance(error, WitnessAlarmError)
    assert error.cosigned == log.note()


@pytest.mark.parametrize(
    "body", [b"", b"fine\n", b"\xff\n", b"x" * (ANSWER_BYTES_MAX + 1)]
)
def test_answer_that_does_not_cosign_is_told(scripted, log, body) -> None:
    error = scripted(lambda _: reply(200, body)).submit(log)
    assert isinstance(error, WitnessProtocolError)


def test_answer_over_another_checkpoint_is_told(scripted, held, log) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return reply(200, held.answer(log.request(0, 5))[1])

    assert isinstance(scripted(handle).submit(log), WitnessProtocolError)


def test_endless_answer_is_cut_off(held, log) -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with serve_bytes(speak) as url:
        submitter = Submitter(held, url)
        assert isinstance(submitter.submit(log), WitnessProtocolError)
        submitter.pool.close()


def test_packed_answer_is_not_unpacked(held, log) -> None:
    bomb = gzip.compress(bytes(30_000_000))
    assert len(bomb) < ANSWER_BYTES_MAX

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + bomb)

    with serve_bytes(speak) as url:
        submitter = Submitter(held, url)
        assert isinstance(submitter.submit(log), WitnessProtocolError)
        submitter.pool.close()


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nx-slow: "])
def test_dripping_answer_is_given_up(monkeypatch, held, log, start) -> None:
    """Each byte comes in time, and the whole never would."""
    monkeypatch.setattr(client_module, "SUBMISSION_S_MAX", 0.3)
    done = threading.Event()

    def speak(connection: socket.socket) -> None:
        connection.sendall(start)
        while not done.wait(0.02):
            connection.sendall(b"H" if not start else b"x")

    with serve_bytes(speak) as url:
        submitter = Submitter(held, url)
        begun = time.monotonic()
        error = submitter.submit(log)
        assert time.monotonic() - begun < 3
        done.set()
        assert isinstance(error, WitnessUnavailableError)
        submitter.pool.close()


def test_proxy_of_the_environment_is_not_used(monkeypatch, submitter, log) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert len(submitter.submit(log)) == 2


def test_silent_witness_is_left_alone_for_a_while(scripted, log) -> None:
    asked = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return reply(503)

    submitter = scripted(handle)
    for at_s, count in ((0.0, 1), (0.9, 1), (1.1, 2), (3.0, 2), (3.2, 3)):
        submitter.monotonic_s = at_s
        assert isinstance(submitter.submit(log), WitnessUnavailableError)
        assert len(asked) == count
    for _ in range(20):
        submitter.monotonic_s += PAUSE_S_MAX
        submitter.submit(log)
    assert len(asked) == 23


def test_witness_that_is_back_is_asked_at_once(scripted, held, log) -> None:
    answers = iter([503, 200, 503])

    def handle(request: httpx.Request) -> httpx.Response:
        status = next(answers)
        is_well = status == 200
        return reply(status, held.answer(request.content)[1] if is_well else b"")

    submitter = scripted(handle)
    assert isinstance(submitter.submit(log), WitnessUnavailableError)
    submitter.monotonic_s = 1.0
    assert len(submitter.submit(log)) == 2
    assert isinstance(submitter.submit(log), WitnessUnavailableError)
    assert "left alone for 1 s" in str(submitter.submit(log))


def test_pool_asks_all_at_once_and_tells_of_each(held, log, url) -> None:
    """Each of two waits until the other has been asked."""
    together = asyncio.Barrier(2)

    async def handle(request: httpx.Request) -> httpx.Response:
        await together.wait()
        return reply(503 if request.url.host == "b.example" else 403)

    transport = httpx.MockTransport(handle)
    clients = [
        WitnessClient("http://a.example", held.keys, http=transport),
        WitnessClient("http://b.example", held.keys, http=transport),
        WitnessClient(url, held.keys),
    ]
    with WitnessPool(clients) as pool:
        outcomes = pool.submit_to_all(log.note(), consistency=log.proof)
    assert [outcome.url for outcome in outcomes] == [item.url for item in clients]
    assert isinstance(outcomes[0].error, WitnessRefusedError)
    assert isinstance(outcomes[1].error, WitnessUnavailableError)
    assert len(outcomes[2].signatures) == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "witness.example",
        "ftp://witness.example",
        "http://user:word@witness.example/",
        "http://witness.example/?query",
        "http://witness.example/a b",
        "http://",
    ],
)
def test_other_addresses_are_refused(held, url) -> None:
    with pytest.raises(WitnessError):
        WitnessClient(url, held.keys)
