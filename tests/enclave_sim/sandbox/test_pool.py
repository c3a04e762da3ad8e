import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from enclave_sim.errors import JobError, LimitsError, RunnerError, SandboxError
from enclave_sim.process import Reply
from enclave_sim.sandbox import FailureCode, Limits
from enclave_sim.sandbox.compiler import load_code
from enclave_sim.sandbox.engine import call_on_large_stack
from enclave_sim.sandbox.pool import SandboxPool, SandboxWorker
from enclave_sim.sandbox.runner import store_runner
from enclave_sim.sandbox.worker import Worker
from ledger.encoding import Json

IDENTITY = "def f(x): return x"
FOREVER = "def f(x):\n  while True: pass"


@pytest.fixture
def worker(runner_cache: Path, runner_sha384: bytes) -> Iterator[SandboxWorker]:
    worker = SandboxWorker(runner_sha384, runner_cache)
    worker.start()
    yield worker
    worker.close()


def find_pid(worker: SandboxWorker) -> int:
    assert worker._child is not None
    return worker._child.pid


def test_pool_runs_functions(sandbox_pool: SandboxPool) -> None:
    outcome = sandbox_pool.run(IDENTITY, "f", b'["\xc3\xa9"]', Limits())
    assert outcome.status == "succeeded"
    assert outcome.result == '"é"'.encode()
    assert outcome.log == b""


def test_pool_tells_failures_as_outcomes(sandbox_pool: SandboxPool) -> None:
    outcome = sandbox_pool.run("def f(x):\n  print(x)\n  1/0", "f", b"[7]", Limits())
    assert outcome.status == "failed"
    assert outcome.error_code == FailureCode.RAISED
    assert outcome.error_line == 3
    assert outcome.log.startswith(b"7\nTraceback")


def test_pool_serves_many_threads(runner_cache: Path, runner_sha384: bytes) -> None:
    results: dict[int, bytes] = {}
    with SandboxPool(2, runner_sha384, runner_cache) as pool:

        def work(number: int) -> None:
            outcome = pool.run(IDENTITY, "f", b"[%d]" % number, Limits())
            results[number] = outcome.result

        threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {n: b"%d" % n for n in range(12)}


def test_job_too_large_is_refused(sandbox_pool: SandboxPool) -> None:
    with pytest.raises(JobError):
        sandbox_pool.run("#" * 2**20, "f", b"[]", Limits())


def test_slow_job_ends_at_time_limit(sandbox_pool: SandboxPool) -> None:
    limits = Limits(fuel=10**13, time_ms=50)
    outcome = sandbox_pool.run(FOREVER, "f", b"[1]", limits)
    assert outcome.error_code == FailureCode.OUT_OF_TIME
    assert 0 < outcome.fuel < 10**12
    assert sandbox_pool.run(IDENTITY, "f", b"[1]", Limits()).result == b"1"


def test_worker_killed_during_run_is_replaced(worker: SandboxWorker) -> None:
    pid = find_pid(worker)
    killer = threading.Timer(0.1, os.kill, (pid, signal.SIGKILL))
    killer.start()
    outcome = worker.run(FOREVER, "f", b"[1]", Limits(fuel=10**13))
    killer.join()
    assert outcome.error_code == FailureCode.WORKER_DIED
    assert outcome.fuel == 0
    assert worker.run(IDENTITY, "f", b"[1]", Limits()).result == b"1"
    assert find_pid(worker) != pid


def test_worker_killed_between_runs_is_replaced(worker: SandboxWorker) -> None:
    assert worker._child is not None
    os.kill(find_pid(worker), signal.SIGKILL)
    worker._child._process.wait()
    assert worker.run(IDENTITY, "f", b"[1]", Limits()).result == b"1"


@pytest.mark.slow
def test_worker_that_hangs_is_replaced(worker: SandboxWorker) -> None:
    pid = find_pid(worker)
    os.kill(pid, signal.SIGSTOP)
    outcome = worker.run(IDENTITY, "f", b"[1]", Limits(time_ms=1))
    assert outcome.error_code == FailureCode.OUT_OF_TIME
    assert worker.run(IDENTITY, "f", b"[1]", Limits()).result == b"1"
    assert find_pid(worker) != pid


class LyingChild:
    """A child process that something else has taken over."""

    is_alive = True

    def __init__(self, header: dict[str, Json], payloads: list[bytes]) -> None:
        self._reply = Reply(header, payloads)
        self.is_closed = False

    def call(self, *_arguments: object, **_options: object) -> Reply:
        return self._reply

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("header", "payloads"),
    [
        ({}, [b"", b""]),
        ({"status": "succeeded", "fuel": 1}, [b"1", b""]),
        ({}, []),
        ({}, [b"", b"", b""]),
    ],
)
def test_worker_that_lies_is_replaced(
    worker: SandboxWorker, header: dict[str, Json], payloads: list[bytes]
) -> None:
    worker.close()
    child = LyingChild(header, payloads)
    worker._child = child  # type: ignore[assignment]
    outcome = worker.run(IDENTITY, "f", b"[1]", Limits())
    assert outcome.error_code == FailureCode.WORKER_DIED
    assert child.is_closed
    assert worker.run(IDENTITY, "f", b"[1]", Limits()).result == b"1"


def test_runner_that_is_not_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="no runner"):
        SandboxPool(1, bytes(48), tmp_path)


def test_component_that_is_no_runner_is_refused(
    tmp_path: Path, tiny_runner: bytes
) -> None:
    digest = store_runner(tmp_path, tiny_runner)
    with pytest.raises(RunnerError, match="does not start"):
        SandboxPool(1, digest, tmp_path)


def test_code_that_does_not_load_is_compiled_again(
    tmp_path: Path, tiny_runner: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such code is sound, but of another machine that shares the folder."""
    digest = store_runner(tmp_path, tiny_runner)
    true_code = load_code(tmp_path, digest)
    with monkeypatch.context() as patch:
        patch.setattr("enclave_sim.sandbox.compiler.read_sealed", lambda *_: b"foreign")
        assert load_code(tmp_path, digest) == b"foreign"
        with pytest.raises(RunnerError):
            SandboxWorker(digest, tmp_path).start()
    assert list((tmp_path / "sealed").iterdir()) == []
    assert load_code(tmp_path, digest) == true_code


def test_worker_serves_after_loading_only(
    runner_cache: Path, runner_sha384: bytes
) -> None:
    def serve() -> None:
        operations = Worker().operations()
        header: dict[str, Json] = {"entry": "f", "limits": Limits().to_json()}
        job = [IDENTITY.encode(), b"[3]"]
        with pytest.raises(SandboxError, match="loaded"):
            operations["run"](header, job)
        assert operations["load"]({}, [load_code(runner_cache, runner_sha384)])
        reply, payloads = operations["run"](header, job)
        assert reply["status"] == "succeeded"
        assert payloads == [b"3", b""]
        with pytest.raises(LimitsError):
            operations["run"](header | {"limits": {}}, job)

    call_on_large_stack(serve)
