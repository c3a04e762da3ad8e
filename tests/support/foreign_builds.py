"""Builds programs of other people once, and keeps them; skips where it cannot."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from document_tables import ROOT

CACHE = ROOT / "build" / "foreign"
GO_SOURCE = ROOT / "tests" / "foreign" / "go"
AICS_REQUIREMENTS = ROOT / "tests" / "foreign" / "aics" / "requirements.txt"
AICS_NEEDS = ("cffi", "cryptography", "pycparser")
DOWNLOAD_TIMEOUT_S = 60


def run(
    command: Sequence[object], *, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said, whatever its exit code."""
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=DOWNLOAD_TIMEOUT_S,
        check=False,
    )


def build_verifier_in_go() -> Path:
    """The program of the guide, built; skips without Go or its module."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go on this machine")
    inputs = [path.read_bytes() for path in sorted(GO_SOURCE.iterdir())]

    def build(folder: Path) -> None:
        source = shutil.copytree(GO_SOURCE, folder / "source")
        _download([go, "mod", "download"], source, GOTOOLCHAIN="local")
        command = [go, "build", "-trimpath", "-buildvcs=false", "-o", folder / "verify"]
        done = run([*command, "."], folder=source, GOTOOLCHAIN="local")
        assert done.returncode == 0, done.stderr

    return _built("go", inputs, build) / "verify"


def build_aics() -> Path:
    """The folder of programs with aics-tlog and aics-witness, and their Python.

    Skips without Python 3.12 or the packages.
    """
    python = next(_pythons(), None)
    if python is None:
        pytest.skip("there is no Python 3.12 or newer on this machine")
    requirements = _pinned_requirements()

    def build(folder: Path) -> None:
        # A virtual environment cannot be moved, so it has its place from the start.
        _download([python, "-m", "venv", "--clear", folder], folder)
        wanted = folder / "requirements.txt"
        wanted.write_text(requirements)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        options = ["--require-hashes", "--only-binary=:all:", "--retries=0"]
        _download([*install, *options, "--requirement", wanted], folder)

    inputs = [requirements.encode(), python.encode()]
    return _built("aics", inputs, build) / "bin"


def _pinned_requirements() -> str:
    """Both packages, and what they need, as our own lock has it."""
    lock = (ROOT / "requirements.lock").read_text()
    needed = rf"^(?:{'|'.join(AICS_NEEDS)})==.*\n(?: +--hash.*\n)+"
    found = re.findall(needed, lock, re.MULTILINE)
    assert len(found) == len(AICS_NEEDS)
    return AICS_REQUIREMENTS.read_text() + "".join(found)


def _pythons() -> Iterator[str]:
    """Interpreters of version 3.12 or newer that start."""
    names = ["python3.12", "python3.13", "python3.14", "python3"]
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"]
    candidates = [sys.executable, *filter(None, map(shutil.which, names))]
    for root in roots:
        candidates += sorted(map(str, root.glob("3.1[2-9]*/bin/python")))
    check = "import sys, venv; sys.exit(sys.version_info < (3, 12))"
    for candidate in candidates:
        if run([candidate, "-c", check]).returncode == 0:
            yield candidate


def _download(command: Sequence[object], folder: Path, **environment: str) -> None:
    """Run what may need a network; skip the test if it fails."""
    try:
        done = run(command, folder=folder, **environment)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[0]} has waited too long for a download")
    if done.returncode != 0:
        pytest.skip(f"{command[0]} cannot get what it needs: code {done.returncode}")


def _built(name: str, inputs: Sequence[bytes], build: Callable[[Path], None]) -> Path:
    """The folder that was built from these inputs, now or in an earlier run."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(it).digest() for it in inputs))
    folder = CACHE / f"{name}-{digest.hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            (folder / "done").touch()
    return folder
