"""Runs jobs in this process: one fresh store and instance for each, then discarded.

Nothing of a run is left for the next: memory, tables and fuel belong to the store,
and the store is closed whether the run ended well or in a trap. The component has no
imports, so there is no host function that a job could call.
"""

import re
from typing import Any

import wasmtime
from wasmtime import component

from enclave_sim.errors import RunnerError
from enclave_sim.sandbox.engine import create_engine, has_large_stack
from enclave_sim.sandbox.limits import Limits, verify_job
from enclave_sim.sandbox.outcome import (
    LINE_MAX,
    LOG_BYTES_MAX,
    MESSAGE_LENGTH_MAX,
    FailureCode,
    Outcome,
)
from enclave_sim.sandbox.watchdog import Watchdog

INSTANCES_MAX = 64
"""Core instances; the runner's libraries and interpreter make 39."""

TABLES_MAX = 4
MEMORIES_MAX = 1
TABLE_ELEMENTS_MAX = 32_768
"""Function pointers; the runner has 5,670. Tables are not counted as memory."""

_PROBE_SOURCE = "def probe(number):\n    return number + 1\n"
_PROBE_FUEL = 10**8
_TRAP = "wasm trap: "
_TRAPS = {
    "all fuel consumed by WebAssembly": (
        FailureCode.OUT_OF_FUEL,
        "The function used all the fuel of its limit.",
    ),
    "interrupt": (
        FailureCode.OUT_OF_TIME,
        "The function took longer than its limit of time.",
    ),
    "call stack exhausted": (
        FailureCode.RECURSION,
        "Calls or data are nested too deep.",
    ),
}
_STUBS = {"clock": "a clock", "random": "randomness", "filesystem": "files"}


class Runtime:
    """A loaded runner. One run at a time, on a thread with a large stack.

    See :func:`engine.call_on_large_stack`; a child process does all its work there.
    """

    def __init__(self, code: bytes) -> None:
        """Load machine code and try it once.

        Args:
            code: From :func:`compiler.load_code`; it is trusted, since wasmtime
                would run anything.

        Raises:
            RunnerError: The code is for another processor or engine, or is not that
                of a runner.
        """
        self._engine = create_engine()
        self._watchdog = Watchdog(self._engine)
        self._linker: component.Linker = component.Linker(self._engine)
        try:
            self._component = component.Component.deserialize(self._engine, code)
        except wasmtime.WasmtimeError as error:
            raise RunnerError(
                "This machine cannot load the compiled runner."
            ) from error
        limits = Limits(fuel=_PROBE_FUEL)
        probe = self.run(_PROBE_SOURCE, "probe", b"[41]", limits)
        if probe.result != b"42":
            raise RunnerError("The runner does not compute what it should.")

    def run(
        self, source: str, entry: str, input_json: bytes, limits: Limits
    ) -> Outcome:
        """Run one function.

        Args:
            source: Python source of at most 256 KiB that defines the function.
            entry: The function's name.
            input_json: JSON array of positional arguments, at most 16 MiB.
            limits: What it may use.

        Raises:
            JobError: The job is larger than the sandbox takes.
            RunnerError: The component cannot be used as a runner. All that the
                function itself does wrong is an outcome.
        """
        assert has_large_stack(), "A guest's recursion would end this process."
        verify_job(source, entry, input_json)
        try:
            arguments = input_json.decode("utf-8")
        except UnicodeDecodeError:
            message = "The input is not text in UTF-8."
            return Outcome.failed(FailureCode.INPUT_INVALID, message, fuel=0)
        store = wasmtime.Store(self._engine)
        try:
            return self._run_in(store, limits, (source, entry, arguments))
        finally:
            store.close()

    def _run_in(
        self, store: wasmtime.Store, limits: Limits, job: tuple[str, str, str]
    ) -> Outcome:
        store.set_fuel(limits.fuel)
        store.set_limits(
            memory_size=limits.memory_bytes,
            table_elements=TABLE_ELEMENTS_MAX,
            instances=INSTANCES_MAX,
            tables=TABLES_MAX,
            memories=MEMORIES_MAX,
        )
        # The deadline is the next tick of the epoch, and only the watchdog ticks.
        store.set_epoch_deadline(1)
        try:
            with self._watchdog.watching(limits.time_ms):
                instance = self._linker.instantiate(store, self._component)
                run = instance.get_func(store, "run")
                if run is None:
                    raise RunnerError("The component exports no function run.")
                report = run(store, *job, limits.output_bytes)
        except wasmtime.WasmtimeError as error:
            return _explain_trap(str(error), limits, limits.fuel - store.get_fuel())
        except (TypeError, ValueError) as error:
            raise RunnerError("The component's run takes other arguments.") from error
        return _read_report(report, limits, fuel=limits.fuel - store.get_fuel())


def _explain_trap(text: str, limits: Limits, fuel: int) -> Outcome:
    """Tell from wasmtime's message why a run stopped: it gives components no code."""
    before, trap, reason = text.strip().rpartition(_TRAP)
    if reason in _TRAPS:
        code, message = _TRAPS[reason]
        if code == FailureCode.RECURSION:
            # How much fits on the host's stack is the one thing that depends on its
            # processor, so what is billed for filling it is the whole limit.
            fuel = limits.fuel
        return Outcome.failed(code, message, fuel=fuel)
    if not trap:
        if "exceeds memory limits" in text:
            message = "The runner does not fit into the limit of memory."
            return Outcome.failed(FailureCode.OUT_OF_MEMORY, message, fuel=fuel)
        raise RunnerError("The runner could not be started.")
    # The C library's function that met the component's missing surroundings.
    called = re.search(r"libc\.so!(\w+)", before)
    for part, name in _STUBS.items():
        if called and part in called[1]:
            message = f"The function asked for {name}; the sandbox has none."
            return Outcome.failed(FailureCode.NOT_OFFERED, message, fuel=fuel)
    message = "The interpreter inside the sandbox broke and was stopped."
    return Outcome.failed(FailureCode.TRAPPED, message, fuel=fuel)


def _read_report(report: object, limits: Limits, *, fuel: int) -> Outcome:
    """Check what the guest says, which the function may have tampered with."""
    match getattr(report, "__dict__", None):
        case {"outcome": str() as result, "log": str() as log}:
            return _read_result(result, log.encode(), limits, fuel=fuel)
        case {"outcome": outcome, "log": str() as log}:
            return _read_failure(vars(outcome), log.encode(), fuel=fuel)
    raise RunnerError("The component answers what is no report.")


def _read_failure(failure: dict[str, Any], log: bytes, *, fuel: int) -> Outcome:
    code = f"SANDBOX.{failure['code']}"
    message, line = failure["message"], failure["line"]
    if code not in set(FailureCode) or line > LINE_MAX:
        return _describe_tampering(fuel)
    return Outcome.failed(
        FailureCode(code),
        message[:MESSAGE_LENGTH_MAX],
        fuel=fuel,
        line=line or None,
        log=log[:LOG_BYTES_MAX],
    )


def _read_result(text: str, log: bytes, limits: Limits, *, fuel: int) -> Outcome:
    result = text.encode()
    if not 1 <= len(result) <= limits.output_bytes or len(log) > LOG_BYTES_MAX:
        return _describe_tampering(fuel)
    return Outcome(status="succeeded", result=result, log=log, fuel=fuel)


def _describe_tampering(fuel: int) -> Outcome:
    message = "The function tampered with the runner."
    return Outcome.failed(FailureCode.TRAPPED, message, fuel=fuel)
