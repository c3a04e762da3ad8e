"""The runner: one WebAssembly component that holds CPython and runs any function.

Two builds of the same sources differ in their bytes (a hash seed is baked in), so a
runner is known by its SHA-384, and all who want equal results use the same artefact:
one party builds and publishes it, the others fetch and store it.
"""

import hashlib
import importlib.metadata
import importlib.resources
import subprocess
import sys
import tempfile
from pathlib import Path

from enclave_sim.errors import RunnerError
from enclave_sim.sandbox.cache import (
    locked,
    read_bounded,
    read_sealed,
    write_sealed,
    write_whole,
)
from enclave_sim.sandbox.progress import Progress, ignore_progress, shown

RUNNER_BYTES_MAX = 32 * 2**20
"""Ours has 20 MB; compiling costs memory and time that grow with the size."""

SHA384_BYTES = 48

COMPONENT_PREAMBLE = b"\0asm\x0d\x00\x01\x00"
"""Source: WebAssembly component model, Binary.md, version 0xd, layer 1."""

_BUILD_TIMEOUT_S = 600
_BUILD_USUAL_S = 8.0
_BUILDER = "componentize-py"
_GUEST = "enclave_sim.sandbox.guest"
_WIT = "runner.wit"


def build_runner(cache: Path, progress: Progress = ignore_progress) -> bytes:
    """Build the runner from its sources, once; later calls find it again.

    Several processes may call at the same time: one builds, the others wait for it.

    Args:
        cache: The folder of artefacts, see :func:`cache.default_cache`.
        progress: Told about the step "build runner", if there is one.

    Returns:
        The runner's SHA-384, 48 bytes.

    Raises:
        RunnerError: componentize-py is not installed, or fails.
        CodeCacheError: The folder cannot be used.
    """
    sources = _read_sources()
    record = f"runner built from {_digest_recipe(sources)}"
    with locked(cache, "build"):
        known = read_sealed(cache, record)
        if known is not None and _is_stored(cache, known):
            return known
        with shown(progress, "build runner", usual_s=_BUILD_USUAL_S):
            digest = store_runner(cache, _componentize(sources))
            write_sealed(cache, record, digest)
        return digest


def store_runner(cache: Path, artefact: bytes) -> bytes:
    """Keep a runner that somebody else built, under its digest.

    It is not run here, and need not be trusted: code is compiled in a limited
    process and runs in the sandbox, and whether it is the right one is what its
    digest says.

    Args:
        cache: The folder of artefacts.
        artefact: The component, at most 32 MiB.

    Returns:
        Its SHA-384, 48 bytes; compare it with the one that was asked for.

    Raises:
        RunnerError: It is too large, or no component.
    """
    if len(artefact) > RUNNER_BYTES_MAX or not artefact.startswith(COMPONENT_PREAMBLE):
        raise RunnerError(f"No WebAssembly component below {RUNNER_BYTES_MAX} bytes.")
    digest = hashlib.sha384(artefact).digest()
    write_whole(_artefact_path(cache, digest), artefact)
    return digest


def load_runner_artefact(cache: Path, runner_sha384: bytes) -> bytes:
    """The component with this digest, checked against it.

    Raises:
        RunnerError: There is none, or the file was altered.
    """
    if len(runner_sha384) != SHA384_BYTES:
        raise RunnerError("The digest of a runner has 48 bytes.")
    try:
        artefact = read_bounded(_artefact_path(cache, runner_sha384), RUNNER_BYTES_MAX)
    except OSError as error:
        name = runner_sha384.hex()[:16]
        raise RunnerError(f"There is no runner {name} on this machine.") from error
    if hashlib.sha384(artefact).digest() != runner_sha384:
        raise RunnerError("The stored runner was altered; fetch or build it again.")
    return artefact


def _is_stored(cache: Path, digest: bytes) -> bool:
    try:
        load_runner_artefact(cache, digest)
    except RunnerError:
        return False
    return True


def _artefact_path(cache: Path, digest: bytes) -> Path:
    return cache / "runners" / f"{digest.hex()}.wasm"


def _read_sources() -> dict[str, bytes]:
    files = importlib.resources.files(_GUEST).iterdir()
    return {
        file.name: file.read_bytes()
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith((".py", ".wit"))
    }


def _digest_recipe(sources: dict[str, bytes]) -> str:
    try:
        version = importlib.metadata.version(_BUILDER)
    except importlib.metadata.PackageNotFoundError as error:
        message = "Building the runner needs componentize-py: sixfold[provider]."
        raise RunnerError(message) from error
    recipe = hashlib.sha384(version.encode())
    for name, data in sources.items():
        recipe.update(
            b"".join(hashlib.sha384(d).digest() for d in (name.encode(), data))
        )
    return recipe.hexdigest()


def _componentize(sources: dict[str, bytes]) -> bytes:
    """Build in an empty folder, so that nothing else gets into the component."""
    with tempfile.TemporaryDirectory(prefix="sixfold-runner-") as name:
        folder = Path(name)
        package = folder.joinpath("app", *_GUEST.split("."))
        package.mkdir(parents=True)
        for file_name, data in sources.items():
            (package / file_name).write_bytes(data)
        output = folder / "runner.wasm"
        _run_builder(folder, package / _WIT, output)
        return read_bounded(output, RUNNER_BYTES_MAX)


def _run_builder(folder: Path, wit: Path, output: Path) -> None:
    start = "import sys, componentize_py; sys.exit(componentize_py.script())"
    command = [sys.executable, "-I", "-c", start]
    command += ["--wit-path", str(wit), "--world", "runner"]
    command += ["componentize", "--stub-wasi", f"{_GUEST}.app"]
    command += ["--python-path", str(folder / "app"), "--output", str(output)]
    done = subprocess.run(  # noqa: S603 - our own interpreter and files
        command,
        cwd=folder,
        # An empty environment named as the virtual one keeps ours out of the component.
        env={"LANG": "C.UTF-8", "VIRTUAL_ENV": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0 or not output.exists():
        reason = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise RunnerError(f"componentize-py could not build the runner: {reason}")
