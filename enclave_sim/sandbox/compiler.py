"""From a runner artefact to machine code that a worker can load.

Compiling is not metered and its cost is the artefact's to decide, so it happens in a
child process with limits. Code is cached under runner, engine and processor, with a
MAC; see `cache`.
"""

import platform
from pathlib import Path

from enclave_sim.errors import ProcessError, RunnerError
from enclave_sim.process import ChildProcess, ProcessLimits
from enclave_sim.sandbox.cache import locked, read_sealed, remove_sealed, write_sealed
from enclave_sim.sandbox.engine_identity import ENGINE_ID
from enclave_sim.sandbox.progress import Progress, ignore_progress, shown
from enclave_sim.sandbox.runner import load_runner_artefact

COMPILE_LIMITS = ProcessLimits(cpu_s=300, address_space_bytes=16 * 2**30, open_files=64)
"""Ours takes 12 s of processor time and 600 MB; each further thread reserves 70 MB."""

_COMPILE_TIMEOUT_S = 300.0
_COMPILE_USUAL_S = 8.0


def load_code(
    cache: Path, runner_sha384: bytes, progress: Progress = ignore_progress
) -> bytes:
    """The machine code of a runner, from the cache or compiled now.

    Several processes may call at the same time: one compiles, the others wait.

    Args:
        cache: The folder of artefacts.
        runner_sha384: The runner's digest, 48 bytes.
        progress: Told about the step "compile runner", if there is one.

    Returns:
        About 42 MB that were verified as they are returned.

    Raises:
        RunnerError: The runner is not stored, was altered, or does not compile.
        CodeCacheError: The folder cannot be used.
    """
    name = _name(runner_sha384)
    code = read_sealed(cache, name)
    if code is not None:
        return code
    with locked(cache, "compile"):
        code = read_sealed(cache, name)
        if code is None:
            artefact = load_runner_artefact(cache, runner_sha384)
            with shown(progress, "compile runner", usual_s=_COMPILE_USUAL_S):
                code = compile_artefact(artefact)
                write_sealed(cache, name, code)
        return code


def discard_code(cache: Path, runner_sha384: bytes) -> None:
    """Forget the machine code of a runner, for one that this machine cannot load."""
    remove_sealed(cache, _name(runner_sha384))


def compile_artefact(artefact: bytes, limits: ProcessLimits = COMPILE_LIMITS) -> bytes:
    """Compile a component in a limited process of its own.

    Raises:
        RunnerError: It is no component that exports `run` and imports nothing, or
            compiling it takes more than the limits.
    """
    module = "enclave_sim.sandbox.compile_worker"
    with ChildProcess(module, limits=limits) as child:
        try:
            reply = child.call("compile", {}, artefact, timeout_s=_COMPILE_TIMEOUT_S)
            (code,) = reply.payloads
        except (ProcessError, ValueError) as error:
            raise RunnerError(f"The runner does not compile: {error}") from error
    return code


def _name(runner_sha384: bytes) -> str:
    return f"code of {runner_sha384.hex()} for {ENGINE_ID} on {platform.machine()}"
