"""Runs jobs in worker processes that are replaced when they die or hang."""

import contextlib
import queue
from pathlib import Path
from types import TracebackType
from typing import Self

from enclave_sim.errors import (
    ProcessError,
    ProcessTimeoutError,
    RemoteError,
    RunnerError,
    SandboxError,
)
from enclave_sim.process import ChildProcess, ProcessLimits
from enclave_sim.sandbox.compiler import discard_code, load_code
from enclave_sim.sandbox.limits import Limits, verify_job
from enclave_sim.sandbox.outcome import FailureCode, Outcome

WORKER_LIMITS = ProcessLimits(cpu_s=None, address_space_bytes=10 * 2**30, open_files=32)
"""A linear memory reserves 4 GiB of addresses; the rest is for code and results."""

WORKERS_MAX = 256
"""Each holds 150 MB; a larger machine is better offered as several nodes."""

_LOAD_TIMEOUT_S = 60.0
_GRACE_S = 2.0


class SandboxWorker:
    """One worker process, started when it is first needed. One run at a time."""

    def __init__(self, runner_sha384: bytes, cache: Path) -> None:
        """Remember what to run; nothing is started yet.

        Args:
            runner_sha384: Digest of a stored runner, 48 bytes.
            cache: The folder of artefacts.
        """
        self._runner_sha384 = runner_sha384
        self._cache = cache
        self._child: ChildProcess | None = None

    def start(self) -> None:
        """Start the process, if it does not run, and load the runner into it.

        Raises:
            RunnerError: The runner is missing, altered or unusable.
            CodeCacheError: The cache's folder cannot be used.
        """
        if self._child is not None and self._child.is_alive:
            return
        self.close()
        try:
            self._child = self._spawn()
        except RunnerError:
            # The cache may hold code for another machine that shares the folder.
            discard_code(self._cache, self._runner_sha384)
            self._child = self._spawn()

    def run(
        self, source: str, entry: str, input_json: bytes, limits: Limits
    ) -> Outcome:
        """Run one function in the worker process; see :meth:`Runtime.run`.

        A process that dies or hangs makes a failed outcome, and is replaced before
        the next run.

        Raises:
            JobError: The job is larger than the sandbox takes.
            RunnerError: The runner is missing, altered or unusable.
            CodeCacheError: The cache's folder cannot be used.
        """
        verify_job(source, entry, input_json)
        self.start()
        assert self._child is not None
        try:
            reply = self._child.call(
                "run",
                {"entry": entry, "limits": limits.to_json()},
                source.encode("utf-8"),
                input_json,
                timeout_s=limits.time_ms / 1000 + _GRACE_S,
            )
            result, log = reply.payloads
            return Outcome.parse(reply.header, result=result, log=log)
        except ProcessTimeoutError:
            message = "The function took longer than its limit of time."
            return Outcome.failed(FailureCode.OUT_OF_TIME, message, fuel=0)
        except (ProcessError, SandboxError, ValueError) as error:
            if isinstance(error, RemoteError) and error.remote_code == RunnerError.code:
                raise RunnerError(str(error)) from error
            # It died, or it answers nonsense and is not trusted with another job.
            self.close()
            message = "The process that ran the function ended."
            return Outcome.failed(FailureCode.WORKER_DIED, message, fuel=0)

    def close(self) -> None:
        """End the process. The worker may be used again."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _spawn(self) -> ChildProcess:
        code = load_code(self._cache, self._runner_sha384)
        child = ChildProcess("enclave_sim.sandbox.worker", limits=WORKER_LIMITS)
        try:
            child.call("load", {}, code, timeout_s=_LOAD_TIMEOUT_S)
        except ProcessError as error:
            child.close()
            raise RunnerError(f"The runner does not start: {error}") from error
        return child


class SandboxPool:
    """Worker processes that take jobs from any thread.

    A call waits while all workers are busy. Runs share nothing but the machine.
    """

    def __init__(self, size: int, runner_sha384: bytes, cache: Path) -> None:
        """Start the workers.

        Args:
            size: How many jobs may run at once, 1 to 256.
            runner_sha384: Digest of a stored runner, 48 bytes.
            cache: The folder of artefacts.

        Raises:
            RunnerError: The runner is missing, altered or unusable.
            CodeCacheError: The cache's folder cannot be used.
        """
        assert 1 <= size <= WORKERS_MAX
        self._workers = [SandboxWorker(runner_sha384, cache) for _ in range(size)]
        self._idle: queue.SimpleQueue[SandboxWorker] = queue.SimpleQueue()
        with contextlib.ExitStack() as started:
            started.callback(self.close)
            for worker in self._workers:
                worker.start()
                self._idle.put(worker)
            started.pop_all()

    def run(
        self, source: str, entry: str, input_json: bytes, limits: Limits
    ) -> Outcome:
        """Run one function on the next free worker; see :meth:`SandboxWorker.run`.

        Raises:
            JobError: The job is larger than the sandbox takes.
            RunnerError: The runner is missing, altered or unusable.
            CodeCacheError: The cache's folder cannot be used.
        """
        worker = self._idle.get()
        try:
            return worker.run(source, entry, input_json, limits)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End all processes. No run may be under way or follow."""
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
