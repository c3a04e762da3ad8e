"""Child processes that do dangerous work: native code on untrusted bytes.

A child runs one of our modules in an isolated interpreter with an empty
environment, resource limits and no core dumps, and answers one call at a time
over a socket pair. The parent trusts no byte of an answer: a child that native
code has taken over can lie in its answer, and can do no more than that here.
What a child prints goes nowhere, since it may hold what the host must not read.

A frame is the length of its body (8 bytes), then in the body: the length of the
header (4), the count of payloads (1), the length of each payload (8), the header
as canonical JSON, the payloads. All integers are big-endian.
"""

import contextlib
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from enclave_sim.errors import (
    EnclaveError,
    ProcessDiedError,
    ProcessError,
    ProcessTimeoutError,
    RemoteError,
)
from ledger.encoding import Json, canonical_json, parse_json
from ledger.errors import EncodingError, LedgerError

FRAME_BYTES_MAX = 2**28
"""Compiled runner code is 41 MB and a large encrypted batch 100 MB."""

HEADER_BYTES_MAX = 2**20
"""A header carries names and numbers; what is large is a payload."""

PAYLOADS_MAX = 255
"""Their count is one byte."""

CODE_LENGTH_MAX = 64
"""Our longest error code has 30 characters."""

MESSAGE_LENGTH_MAX = 4096
"""A message is a sentence for a person; this is a page."""

_LENGTH = struct.Struct(">Q")
_PREAMBLE = struct.Struct(">IB")
_CLOSE_WAIT_S = 2.0

Operation = Callable[
    [dict[str, Json], list[bytes]], tuple[dict[str, Json], Sequence[bytes]]
]
"""What a child does for a call: header and payloads in, header and payloads out."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a child may use of its machine, kept by the kernel.

    Attributes:
        cpu_s: Processor seconds over the child's whole life; None for a child
            whose calls are bounded one by one.
        address_space_bytes: Virtual memory; None for no limit. wasmtime reserves
            4 GiB for each linear memory without using it.
        open_files: Highest number of open files, at least 16.
    """

    cpu_s: int | None
    address_space_bytes: int | None
    open_files: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What a child answered: untrusted, but within the bounds of a frame."""

    header: dict[str, Json]
    payloads: list[bytes]


class ChildProcess:
    """One child process, owned by whoever made it, who also closes it.

    Calls from several threads wait for each other. After a time-out or a death
    the child stays dead and every further call raises `ProcessDiedError`.
    """

    def __init__(
        self, module: str, *, limits: ProcessLimits, arguments: Sequence[str] = ()
    ) -> None:
        """Start `module`, which must call :func:`serve`, in a process of its own.

        Args:
            module: Importable name of one of our modules.
            limits: Set in the child before it takes the first call.
            arguments: The child's `sys.argv[1:]`.
        """
        self._lock = threading.Lock()
        self._socket, child_socket = socket.socketpair()
        with child_socket:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-I", "-m", module, *arguments],
                stdin=child_socket.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8"},
                start_new_session=True,
            )
        header: dict[str, Json] = {
            "cpu_s": limits.cpu_s,
            "address_space_bytes": limits.address_space_bytes,
            "open_files": limits.open_files,
        }
        with contextlib.suppress(OSError):  # a child that died tells in the first call
            self._socket.sendall(_encode_frame(header, ()))

    @property
    def pid(self) -> int:
        """The number of the process, also after it ended."""
        pid: int = self._process.pid
        return pid

    @property
    def is_alive(self) -> bool:
        """Whether a call can still be answered."""
        return self._socket.fileno() >= 0 and self._process.poll() is None

    def call(
        self,
        operation: str,
        header: dict[str, Json],
        *payloads: bytes,
        timeout_s: float,
    ) -> Reply:
        """Have the child do one operation and wait for its answer.

        Args:
            operation: A name that the child's module serves.
            header: Small values; canonical JSON of at most 1 MiB.
            payloads: At most 255, together below 256 MiB.
            timeout_s: From the first byte sent to the last byte received.

        Raises:
            ProcessTimeoutError: No whole answer in time; the child was killed.
            ProcessDiedError: The child ended, or answered what is no frame.
            RemoteError: The operation failed in the child, which lives on.
        """
        request: dict[str, Json] = {"operation": operation, "header": header}
        frame = _encode_frame(request, payloads)
        with self._lock:
            try:
                reply, reply_payloads = self._exchange(frame, timeout_s)
            except BaseException:
                # Half a frame may be on its way: nothing later could be trusted.
                self._kill()
                raise
        return _read_reply(reply, reply_payloads)

    def close(self) -> None:
        """End the child: politely first, then not. May be called again."""
        self._socket.close()
        try:
            self._process.wait(timeout=_CLOSE_WAIT_S)
        except subprocess.TimeoutExpired:
            self._kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _exchange(
        self, frame: bytes, timeout_s: float
    ) -> tuple[dict[str, Json], list[bytes]]:
        deadline_s = time.monotonic() + timeout_s
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(frame)
            return _receive_frame(self._socket, deadline_s)
        except TimeoutError as error:
            raise ProcessTimeoutError(f"No answer within {timeout_s:g} s.") from error
        except (OSError, EOFError, EncodingError) as error:
            raise ProcessDiedError("The child process ended or lost step.") from error

    def _kill(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()


def serve(operations: Mapping[str, Operation]) -> None:
    """Answer the parent's calls until it closes the connection; the child's side.

    Standard input becomes private to this function; what the operations print is
    lost. An operation fails by raising: our errors travel with code and message,
    any other only with the name of its class, since its text may hold data.
    """
    with socket.socket(fileno=os.dup(0)) as parent:
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted
            os.dup2(nothing.fileno(), 0)
        try:
            limits, _ = _receive_frame(parent)
            _apply_limits(limits)
            while True:
                request, payloads = _receive_frame(parent)
                parent.sendall(_answer(operations, request, payloads))
        except (EOFError, ConnectionError):
            return  # the parent closed or is gone


def _answer(
    operations: Mapping[str, Operation],
    request: dict[str, Json],
    payloads: list[bytes],
) -> bytes:
    try:
        name, header = request["operation"], request["header"]
        assert isinstance(name, str)
        assert isinstance(header, dict)
        reply, reply_payloads = operations[name](header, payloads)
        return _encode_frame({"reply": reply}, reply_payloads)
    except (EnclaveError, LedgerError) as error:
        return _encode_failure(error.code, str(error))
    except Exception as error:  # noqa: BLE001 - the child lives on, the parent is told
        message = f"{type(error).__name__} in the child process."
        return _encode_failure(ProcessError.code, message)


def _encode_failure(code: str, message: str) -> bytes:
    printable = message.encode("utf-8", "replace").decode("utf-8")
    return _encode_frame({"code": code, "message": printable[:MESSAGE_LENGTH_MAX]}, ())


def _read_reply(header: dict[str, Json], payloads: list[bytes]) -> Reply:
    match header:
        case {"reply": dict() as reply}:
            return Reply(reply, payloads)
        case {"code": str() as code, "message": str() as message} if (
            len(code) <= CODE_LENGTH_MAX and len(message) <= MESSAGE_LENGTH_MAX
        ):
            raise RemoteError(code, message)
    raise ProcessDiedError("The child process answered what is no reply.")


def _apply_limits(limits: dict[str, Json]) -> None:
    _set_limit(resource.RLIMIT_CORE, 0)
    _set_limit(resource.RLIMIT_CPU, limits["cpu_s"])
    _set_limit(resource.RLIMIT_AS, limits["address_space_bytes"])
    _set_limit(resource.RLIMIT_NOFILE, limits["open_files"])


def _set_limit(kind: int, value: Json) -> None:
    if value is None:
        return
    assert isinstance(value, int)
    _, hard = resource.getrlimit(kind)
    bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bounded, bounded))


def _encode_frame(header: dict[str, Json], payloads: Sequence[bytes]) -> bytes:
    header_bytes = canonical_json(header)
    lengths = [len(payload) for payload in payloads]
    size = _PREAMBLE.size + 8 * len(lengths) + len(header_bytes) + sum(lengths)
    if len(header_bytes) > HEADER_BYTES_MAX or size > FRAME_BYTES_MAX:
        raise ProcessError(f"A message of {size} bytes is too large.")
    return b"".join(
        (
            _LENGTH.pack(size),
            _PREAMBLE.pack(len(header_bytes), len(lengths)),
            struct.pack(f">{len(lengths)}Q", *lengths),
            header_bytes,
            *payloads,
        )
    )


def _receive_frame(
    connection: socket.socket, deadline_s: float | None = None
) -> tuple[dict[str, Json], list[bytes]]:
    (size,) = _LENGTH.unpack(_receive(connection, _LENGTH.size, deadline_s))
    if not _PREAMBLE.size <= size <= FRAME_BYTES_MAX:
        raise EncodingError("A frame of impossible size.")
    body = memoryview(_receive(connection, size, deadline_s))
    header_size, count = _PREAMBLE.unpack_from(body)
    lengths_end = _PREAMBLE.size + count * _LENGTH.size
    if size < lengths_end + header_size:
        raise EncodingError("A frame shorter than its parts.")
    lengths = struct.unpack_from(f">{count}Q", body, _PREAMBLE.size)
    start = lengths_end + header_size
    if start + sum(lengths) != size:
        raise EncodingError("A frame whose parts do not add up.")
    header = parse_json(bytes(body[lengths_end:start]), size_max=HEADER_BYTES_MAX)
    if not isinstance(header, dict):
        raise EncodingError("A frame whose header is no object.")
    payloads = []
    for length in lengths:
        payloads.append(bytes(body[start : start + length]))
        start += length
    return header, payloads


def _receive(
    connection: socket.socket, size: int, deadline_s: float | None
) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        if deadline_s is not None:
            connection.settimeout(max(deadline_s - time.monotonic(), 1e-3))
        received = connection.recv_into(view)
        if not received:
            raise EOFError
        view = view[received:]
    return data
