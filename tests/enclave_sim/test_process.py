import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from enclave_sim.errors import (
    ChannelError,
    ProcessDiedError,
    ProcessError,
    ProcessTimeoutError,
    RemoteError,
)
from enclave_sim.process import (
    CODE_LENGTH_MAX,
    FRAME_BYTES_MAX,
    MESSAGE_LENGTH_MAX,
    PAYLOADS_MAX,
    ChildProcess,
    ProcessLimits,
    serve,
)

LIMITS = ProcessLimits(cpu_s=60, address_space_bytes=2**30, open_files=32)
SAMPLE = Path(__file__).with_name("sample_child.py")


def start_sample(*arguments: str, limits: ProcessLimits = LIMITS) -> ChildProcess:
    # An isolated interpreter sees no test folder; cProfile runs a file by its path.
    return ChildProcess("cProfile", limits=limits, arguments=(str(SAMPLE), *arguments))


@pytest.fixture
def child() -> Iterator[ChildProcess]:
    with start_sample("one", "two") as process:
        yield process


def test_call_returns_header_and_payloads(child: ChildProcess) -> None:
    reply = child.call("echo", {"n": 1, "é": [None]}, b"a", b"", b"b" * 9, timeout_s=9)
    assert reply.header == {"n": 1, "é": [None]}
    assert reply.payloads == [b"a", b"", b"b" * 9]


def test_call_carries_large_payloads(child: ChildProcess) -> None:
    payload = bytes(range(256)) * 2**14
    assert child.call("echo", {}, payload, timeout_s=9).payloads == [payload]


def test_call_carries_as_many_payloads_as_fit(child: ChildProcess) -> None:
    payloads = [bytes([index]) for index in range(PAYLOADS_MAX)]
    assert child.call("echo", {}, *payloads, timeout_s=9).payloads == payloads


def test_child_is_limited_and_isolated(
    child: ChildProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIXFOLD_SECRET", "x")
    reply = child.call("describe", {}, timeout_s=9)
    environment = reply.header.pop("environment")
    assert isinstance(environment, list)
    assert set(environment) <= {"LANG", "LC_CTYPE"}
    assert reply.header == {
        "arguments": ["one", "two"],
        "core": 0,
        "cpu_s": 60,
        "address_space_bytes": 2**30,
        "open_files": 32,
    }
    assert reply.payloads == [b""]


def test_error_of_ours_travels_with_code(child: ChildProcess) -> None:
    with pytest.raises(RemoteError, match=r"Not today, \?\.") as caught:
        child.call("refuse", {}, timeout_s=9)
    assert caught.value.remote_code == "CHANNEL.FAILED"
    assert child.is_alive


def test_foreign_error_travels_without_text(child: ChildProcess) -> None:
    with pytest.raises(RemoteError) as caught:
        child.call("stumble", {}, timeout_s=9)
    assert caught.value.remote_code == "PROCESS.FAILED"
    assert str(caught.value) == "ValueError in the child process."


def test_unknown_operation_is_refused(child: ChildProcess) -> None:
    with pytest.raises(RemoteError):
        child.call("no such thing", {}, timeout_s=9)
    assert child.call("echo", {}, timeout_s=9).header == {}


def test_memory_beyond_limit_is_refused(child: ChildProcess) -> None:
    with pytest.raises(RemoteError, match="MemoryError"):
        child.call("exhaust", {}, timeout_s=9)


def test_hanging_child_is_killed(child: ChildProcess) -> None:
    child.call("echo", {}, timeout_s=9)
    with pytest.raises(ProcessTimeoutError):
        child.call("hang", {}, timeout_s=0.05)
    assert not child.is_alive
    with pytest.raises(ProcessDiedError):
        child.call("echo", {}, timeout_s=9)


def test_child_that_reads_nothing_is_killed() -> None:
    with (
        ChildProcess("timeit", limits=LIMITS, arguments=["while 1: pass"]) as child,
        pytest.raises(ProcessTimeoutError),
    ):
        child.call("echo", {}, bytes(2**20), timeout_s=0.1)


@pytest.mark.slow
def test_processor_time_beyond_limit_kills() -> None:
    limits = ProcessLimits(cpu_s=1, address_space_bytes=None, open_files=32)
    with start_sample(limits=limits) as child, pytest.raises(ProcessDiedError):
        child.call("hang", {}, timeout_s=60)


def test_dying_child_is_reported(child: ChildProcess) -> None:
    with pytest.raises(ProcessDiedError):
        child.call("die", {}, timeout_s=9)
    assert not child.is_alive


def test_module_that_serves_nothing_is_reported() -> None:
    with (
        ChildProcess("no.such.module", limits=LIMITS) as child,
        pytest.raises(ProcessDiedError),
    ):
        child.call("echo", {}, timeout_s=9)


@pytest.mark.slow
def test_close_kills_child_that_stays() -> None:
    child = ChildProcess("timeit", limits=LIMITS, arguments=["while 1: pass"])
    child.close()
    assert not child.is_alive


def make_frame(body: bytes) -> bytes:
    return struct.pack(">Q", len(body)) + body


def make_body(header: bytes) -> bytes:
    return struct.pack(">IB", len(header), 0) + header


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack(">Q", FRAME_BYTES_MAX + 1),
        struct.pack(">Q", 0),
        make_frame(struct.pack(">IB", 99, 0) + b"{}"),
        make_frame(struct.pack(">IB", 2, 1) + b"{}"),
        make_frame(struct.pack(">IBQ", 2, 1, 2**60) + b"{}"),
        make_frame(make_body(b"{}") + b"more"),
        make_frame(make_body(b"[]")),
        make_frame(make_body(b"{}")),
        make_frame(make_body(b"{")),
        make_frame(make_body(b'{"reply":1}')),
        make_frame(make_body(b'{"reply":{"x":1.5}}')),
        make_frame(make_body(b'{"code":"C","message":1}')),
        make_frame(
            make_body(b'{"code":"%s","message":""}' % (b"C" * (CODE_LENGTH_MAX + 1)))
        ),
        make_frame(
            make_body(b'{"code":"","message":"%s"}' % (b"m" * (MESSAGE_LENGTH_MAX + 1)))
        ),
    ],
)
def test_answer_that_is_no_reply_is_refused(child: ChildProcess, answer: bytes) -> None:
    with pytest.raises(ProcessDiedError):
        child.call("lie", {}, answer, timeout_s=9)


def test_message_too_large_is_refused_before_sending(child: ChildProcess) -> None:
    with pytest.raises(ProcessError, match="too large"):
        child.call("echo", {"text": "x" * 2**20}, timeout_s=9)
    assert child.is_alive


def test_calls_of_several_threads_wait_for_each_other(child: ChildProcess) -> None:
    answers: list[bool] = []

    def work(number: int) -> None:
        payload = bytes([number]) * 100_000
        for _ in range(10):
            reply = child.call("echo", {"n": number}, payload, timeout_s=30)
            answers.append(reply.header == {"n": number})
            answers.append(reply.payloads == [payload])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 80


def test_close_ends_child_and_may_repeat(child: ChildProcess) -> None:
    child.call("echo", {}, timeout_s=9)
    child.close()
    child.close()
    assert not child.is_alive
    with pytest.raises(ProcessDiedError):
        child.call("echo", {}, timeout_s=9)


@pytest.fixture
def standard_input() -> Iterator[socket.socket]:
    """The parent's end of a connection whose other end is standard input."""
    parent, child = socket.socketpair()
    kept = os.dup(0)
    os.dup2(child.fileno(), 0)
    child.close()
    with parent:
        yield parent
    os.dup2(kept, 0)
    os.close(kept)


def test_serve_ends_with_its_parent(standard_input: socket.socket) -> None:
    limits = make_body(b'{"address_space_bytes":null,"cpu_s":null,"open_files":4096}')
    calls = [
        limits,
        make_body(b'{"header":{"n":1},"operation":"echo"}'),
        make_body(b'{"header":{},"operation":"refuse"}'),
        make_body(b'{"header":{},"operation":"stumble"}'),
    ]
    standard_input.sendall(b"".join(make_frame(call) for call in calls))
    standard_input.shutdown(socket.SHUT_WR)

    def refuse(*_arguments: object) -> NoReturn:
        raise ChannelError("no")

    serve({"echo": lambda header, payloads: (header, payloads), "refuse": refuse})
    answers = [
        make_body(b'{"reply":{"n":1}}'),
        make_body(b'{"code":"CHANNEL.FAILED","message":"no"}'),
        make_body(
            b'{"code":"PROCESS.FAILED","message":"KeyError in the child process."}'
        ),
    ]
    expected = b"".join(make_frame(answer) for answer in answers)
    assert standard_input.recv(4096) == expected
