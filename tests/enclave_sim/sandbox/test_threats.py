"""Attacks on the host by a job, and what each of them comes to."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wasmtime

from enclave_sim.sandbox import FailureCode, Limits, Outcome
from enclave_sim.sandbox.engine import call_on_large_stack
from enclave_sim.sandbox.pool import SandboxPool, SandboxWorker
from enclave_sim.sandbox.runner import load_runner_artefact
from enclave_sim.sandbox.runtime import Runtime

MIB = 2**20
RESIDENT_BYTES_MAX = 800 * MIB
"""A worker with its code, a guest of 256 MiB, and the copies of a result."""


@pytest.fixture(scope="module")
def worker(runner_cache: Path, runner_sha384: bytes) -> Iterator[SandboxWorker]:
    worker = SandboxWorker(runner_sha384, runner_cache)
    worker.start()
    yield worker
    worker.close()


def attack(worker: SandboxWorker, source: str, **limits: int) -> Outcome:
    outcome = worker.run(source, "f", b"[]", Limits(**limits))
    # Whatever it was, the next job of another consumer runs as if nothing had been.
    innocent = worker.run("def f(): return 6 * 7", "f", b"[]", Limits())
    assert innocent.result == b"42"
    return outcome


def find_peak_bytes(worker: SandboxWorker) -> int:
    assert worker._child is not None
    status = Path(f"/proc/{worker._child.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n  while True: pass",
        "while True: pass",
        "class A:\n  while True: pass",
        "def f():\n  while True:\n    try:\n      f()\n    except BaseException: pass",
        "def f():\n  while True: print('x' * 1000)",
        "def f(): return 10 ** 10 ** 9",
        "import re\ndef f(): re.match('(a|a)*b', 'a' * 99)",
        "def f(): sum(iter(int, 1))",
    ],
)
def test_endless_work_ends_with_fuel(worker: SandboxWorker, source: str) -> None:
    outcome = attack(worker, source, fuel=10**9)
    assert outcome.error_code == FailureCode.OUT_OF_FUEL
    assert outcome.fuel == 10**9


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n  a = []\n  while True: a.append(bytes(10**6))",
        "a = 'x'\nwhile True: a += a",
        "def f(): return bytes(2**31 - 64)",
        "def f(): return [0] * 2**28",
        "def f():\n  a = {}\n  while True: a[len(a)] = bytes(10**5)",
        "def f():\n  import itertools\n  return list(itertools.repeat('x', 10**9))",
        "import zlib\nc = zlib.compress(bytes(10**8))\n[zlib.decompress(c) for _ in c]",
    ],
)
def test_memory_bomb_ends_at_its_limit(worker: SandboxWorker, source: str) -> None:
    outcome = attack(worker, source, fuel=10**11)
    assert outcome.error_code == FailureCode.OUT_OF_MEMORY
    assert find_peak_bytes(worker) < RESIDENT_BYTES_MAX


def test_huge_result_stays_in_the_guest(worker: SandboxWorker) -> None:
    outcome = attack(worker, "def f(): return 'x' * 10**8", fuel=10**11)
    assert outcome.error_code in {
        FailureCode.RESULT_TOO_LARGE,
        FailureCode.OUT_OF_MEMORY,
    }
    assert find_peak_bytes(worker) < RESIDENT_BYTES_MAX


@pytest.mark.parametrize(
    "source",
    [
        "def f(): return f()",
        "import sys\nsys.setrecursionlimit(10**8)\ndef f(): return f()",
        "class A:\n  def __repr__(self): return repr([self])\ndef f(): repr(A())",
        "def f(*_): return list(map(f, [1]))",
        "import json\ndef f(): json.loads('[' * 10**6)",
        "def f(): compile('+'.join('1' * 10**5), '', 'eval')",
        "def f():\n  a = []\n  for _ in range(10**6): a = [a]",
    ],
)
def test_deep_recursion_is_a_clean_failure(worker: SandboxWorker, source: str) -> None:
    outcome = attack(worker, source, fuel=10**11)
    assert outcome.error_code == FailureCode.RECURSION


@pytest.mark.parametrize(
    "source",
    [
        "import socket\ndef f(): socket.socket()",
        "import subprocess\ndef f(): subprocess.run(['id'])",
        "import ctypes\ndef f(): ctypes.CDLL(None)",
        "import os\ndef f(): os.system('id')",
        "import os\ndef f(): os.fork()",
        "import os\ndef f(): return os.listdir('/')",
        "import os\ndef f(): return open('/proc/self/environ').read()",
        "import os\ndef f(): os.write(3, b'x')",
        "import os\ndef f(): return os.urandom(8).hex()",
        "import time\ndef f(): return time.time_ns()",
        "import _thread\ndef f(): _thread.start_new_thread(print, ())",
        "import signal\ndef f(): signal.raise_signal(9)",
    ],
)
def test_job_reaches_nothing_outside(worker: SandboxWorker, source: str) -> None:
    outcome = attack(worker, source)
    assert outcome.status == "failed"
    assert outcome.error_code in {
        FailureCode.IMPORT_MISSING,
        FailureCode.NOT_OFFERED,
        FailureCode.RAISED,
        FailureCode.TRAPPED,
    }


def test_environment_of_the_host_is_not_inside(worker: SandboxWorker) -> None:
    source = "import os, sys\ndef f(): return [dict(os.environ), sys.argv, os.getcwd()]"
    assert attack(worker, source).result == b'[{},[],"/"]'


@pytest.mark.parametrize(
    "source",
    [
        "import builtins\ndef f():\n  builtins.left = 1\n  return 1",
        "import builtins\ndef f():\n  builtins.left = 1\n  raise ValueError",
        "import builtins, os\ndef f():\n  builtins.left = 1\n  os._exit(1)",
        "import builtins\ndef f():\n  builtins.left = 1\n  while True: pass",
    ],
)
def test_nothing_is_left_for_the_next_job(worker: SandboxWorker, source: str) -> None:
    attack(worker, source, fuel=10**8)
    look = "import builtins\ndef f(): return hasattr(builtins, 'left')"
    assert attack(worker, look).result == b"false"


DETERMINED: dict[str, str] = {
    "text": "def f(): return sorted({'a', 'b', 'c'}, key=hash) + [hash('x'), id(f)]",
    "sets": "def f(): return list({str(i) for i in range(999)})",
    "random": "import random\ndef f(): return [random.random(), random.choice('abc')]",
    "floats": "import math\ndef f(): return [math.sin(i) ** 0.1 for i in range(1, 3)]",
    "nans": "import struct\ndef f():\n  x = float('inf') - float('inf')\n"
    "  return [struct.pack('<d', y).hex() for y in (x, -x, x * 2, abs(-x))]",
    "garbage": "def f():\n  for i in range(10**4):\n    a = []\n    a.append(a)",
    "raises": "def f():\n  return {}['missing']",
    "memory": "a = []\nwhile True: a.append(bytes(10**6))",
    "recursion": "def f(): return f()",
    "depth": "def f():\n  a = []\n  for _ in range(10**6): a = [a]",
    "parsing": "import json\ndef f(): json.loads('[' * 10**6)",
    "mapping": "def f(*_): return list(map(f, [1]))",
    "clock": "import time\ndef f(): time.time()",
    "loop": "while True: pass",
}
REPEAT = """
import os, sys
from enclave_sim.sandbox import Limits
from enclave_sim.sandbox.pool import SandboxPool
from pathlib import Path
with SandboxPool(1, bytes.fromhex(sys.argv[1]), Path(sys.argv[2])) as pool:
    for source in sys.argv[3:]:
        print(repr(pool.run(source, "f", b"[]", Limits(fuel=3*10**9))))
"""


def test_runs_are_equal_in_every_process(
    sandbox_pool: SandboxPool, runner_cache: Path, runner_sha384: bytes
) -> None:
    """Bytes, log and fuel are those of another process in another environment."""
    arguments = [runner_sha384.hex(), str(runner_cache), *DETERMINED.values()]
    other = subprocess.run(
        [sys.executable, "-c", REPEAT, *arguments],
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8"},
        check=True,
        capture_output=True,
        text=True,
    )
    limits = Limits(fuel=3 * 10**9)
    first, again = (
        [repr(sandbox_pool.run(s, "f", b"[]", limits)) for s in DETERMINED.values()]
        for _ in range(2)
    )
    assert first == again
    assert first == other.stdout.splitlines()


class Unoptimized(wasmtime.Config):
    """Settings for other machine code, with larger frames and other registers."""

    @property
    def cranelift_opt_level(self) -> str:
        return "none"

    @cranelift_opt_level.setter
    def cranelift_opt_level(self, _level: str) -> None:
        setter = type(self).__base__.cranelift_opt_level.fset  # type: ignore[union-attr]
        setter(self, "none")


@pytest.mark.slow
def test_runs_are_equal_on_other_machine_code(
    sandbox_pool: SandboxPool,
    runner_cache: Path,
    runner_sha384: bytes,
    compile_code: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in for another processor: same bytes and fuel from different code."""
    limits = Limits(fuel=3 * 10**9)
    expected = [sandbox_pool.run(s, "f", b"[]", limits) for s in DETERMINED.values()]
    artefact = load_runner_artefact(runner_cache, runner_sha384)
    monkeypatch.setattr(wasmtime, "Config", Unoptimized)
    code = compile_code(artefact)

    def run_all() -> list[Outcome]:
        runtime = Runtime(code)
        return [runtime.run(s, "f", b"[]", limits) for s in DETERMINED.values()]

    assert call_on_large_stack(run_all) == expected


def test_nans_have_one_form(run: Callable[..., Outcome]) -> None:
    assert run(DETERMINED["nans"]).result == (
        b'["000000000000f87f","000000000000f8ff","000000000000f87f","000000000000f87f"]'
    )
