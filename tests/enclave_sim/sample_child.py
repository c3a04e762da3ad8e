"""The child of the process tests: echoes, fails, hangs and dies on demand."""

import os
import resource
import sys

from enclave_sim.errors import ChannelError
from enclave_sim.process import serve
from ledger.encoding import Json

Answer = tuple[dict[str, Json], list[bytes]]


def echo(header: dict[str, Json], payloads: list[bytes]) -> Answer:
    print("noise on standard output")
    return header, payloads


def describe(_header: dict[str, Json], _payloads: list[bytes]) -> Answer:
    return {
        "arguments": list(sys.argv[1:]),
        "environment": sorted(os.environ),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "cpu_s": resource.getrlimit(resource.RLIMIT_CPU)[1],
        "address_space_bytes": resource.getrlimit(resource.RLIMIT_AS)[1],
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    }, [sys.stdin.buffer.read()]


def refuse(_header: dict[str, Json], _payloads: list[bytes]) -> Answer:
    raise ChannelError("Not today, \ud800.")


def stumble(_header: dict[str, Json], _payloads: list[bytes]) -> Answer:
    raise ValueError("a secret of the consumer")


def hang(_header: dict[str, Json], _payloads: list[bytes]) -> Answer:
    while True:
        pass


def exhaust(_header: dict[str, Json], _payloads: list[bytes]) -> Answer:
    return {}, [bytes(2**31)]


def die(_header: dict[str, Json], _payloads: list[bytes]) -> Answer:
    os._exit(3)


def lie(header: dict[str, Json], payloads: list[bytes]) -> Answer:
    """Write raw bytes where a frame is due, over any descriptor that is a socket."""
    for descriptor in range(3, 16):
        try:
            os.write(descriptor, payloads[0])
        except OSError:
            continue
    return header, []


if __name__ == "__main__":
    serve(
        {
            operation.__name__: operation
            for operation in (
                echo,
                describe,
                refuse,
                stumble,
                hang,
                exhaust,
                die,
                lie,
            )
        }
    )
