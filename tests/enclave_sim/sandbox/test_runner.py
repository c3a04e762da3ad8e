import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from enclave_sim.errors import RunnerError
from enclave_sim.sandbox.runner import (
    RUNNER_BYTES_MAX,
    build_runner,
    load_runner_artefact,
    store_runner,
)

BUILD = """
import sys
from pathlib import Path
from enclave_sim.sandbox.runner import build_runner
steps = set()
digest = build_runner(Path(sys.argv[1]), lambda step, part: steps.add(step))
print(digest.hex(), sorted(steps))
"""


def test_runner_is_stored_under_its_digest(tmp_path: Path, tiny_runner: bytes) -> None:
    digest = store_runner(tmp_path, tiny_runner)
    assert digest == hashlib.sha384(tiny_runner).digest()
    assert load_runner_artefact(tmp_path, digest) == tiny_runner


def test_altered_runner_is_refused(tmp_path: Path, tiny_runner: bytes) -> None:
    digest = store_runner(tmp_path, tiny_runner)
    (path,) = (tmp_path / "runners").iterdir()
    path.write_bytes(tiny_runner[:-1] + bytes([tiny_runner[-1] ^ 1]))
    with pytest.raises(RunnerError, match="altered"):
        load_runner_artefact(tmp_path, digest)
    path.write_bytes(tiny_runner + b"more")
    with pytest.raises(RunnerError, match="altered"):
        load_runner_artefact(tmp_path, digest)


def test_unknown_runner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="no runner"):
        load_runner_artefact(tmp_path, bytes(48))
    with pytest.raises(RunnerError, match="48 bytes"):
        load_runner_artefact(tmp_path, b"../../etc/passwd")


@pytest.mark.parametrize(
    "artefact",
    [
        b"",
        b"garbage",
        b"\0asm\x01\0\0\0",
        b"(component)",
        b"\0asm\x0d\0\x01\0" + bytes(RUNNER_BYTES_MAX),
    ],
)
def test_what_is_no_component_is_not_stored(tmp_path: Path, artefact: bytes) -> None:
    with pytest.raises(RunnerError):
        store_runner(tmp_path, artefact)
    assert list(tmp_path.iterdir()) == []


def test_runner_is_built_only_once(runner_cache: Path, runner_sha384: bytes) -> None:
    steps: list[str] = []
    digest = build_runner(runner_cache, lambda step, _: steps.append(step))
    assert digest == runner_sha384
    assert steps == []


def test_builder_that_is_not_installed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enclave_sim.sandbox.runner._BUILDER", "no-such-package")
    with pytest.raises(RunnerError, match="needs componentize-py"):
        build_runner(tmp_path)


def test_runner_that_cannot_be_built_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enclave_sim.sandbox.runner._WIT", "absent.wit")
    with pytest.raises(RunnerError, match="could not build"):
        build_runner(tmp_path)


@pytest.mark.slow
def test_two_processes_build_one_sound_runner(tmp_path: Path) -> None:
    """Both start at once in an empty folder: one builds, the other waits for it."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(tmp_path)], stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    answers = sorted(process.communicate()[0].decode() for process in processes)
    (first, first_steps), (second, second_steps) = (
        answer.strip().split(" ", 1) for answer in answers
    )
    assert first == second
    assert sorted([first_steps, second_steps]) == ["['build runner']", "[]"]
    assert len(list((tmp_path / "runners").iterdir())) == 1

    # An artefact that was damaged meanwhile is of no use to anyone, and made anew.
    (path,) = (tmp_path / "runners").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    digest = build_runner(tmp_path)
    assert hashlib.sha384(load_runner_artefact(tmp_path, digest)).digest() == digest
