"""Our log, read by aics-tlog, with the commands and the program of the guide."""

import json
import os
import shutil
from pathlib import Path

import pytest
from foreign_builds import build_aics, run
from notes import spoil_signature
from page_programs import read_block, read_commands

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of the programs."""
    return build_aics()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of the guide, in a file."""
    path = tmp_path_factory.mktemp("aics") / "verify_with_aics.py"
    path.write_text(read_block("aics-tlog", "python"))
    return path


def test_commands_of_the_guide_accept(grown, witness_keys, programs, tmp_path) -> None:
    shutil.copytree(grown.folder, tmp_path / "copy")
    (tmp_path / "witness.vkey").write_text(witness_keys[0] + "\n")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    for command in read_commands("aics-tlog"):
        done = run(["sh", "-c", command], folder=tmp_path, PATH=path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not done.stdout or json.loads(done.stdout)["ok"] is True


def test_wrong_cosignature_is_refused(grown, witness_keys, programs, tmp_path) -> None:
    note = spoil_signature((grown.log / "checkpoint").read_bytes(), 2)
    (tmp_path / "checkpoint").write_bytes(note)
    keys = ["--log-key", grown.vkeys[0], "--witness-key", witness_keys[0]]
    command = [programs / "aics-tlog", "verify-checkpoint", *keys]
    for quorum in ("0", "1"):
        done = run([*command, "--note", tmp_path / "checkpoint", "--quorum", quorum])
        assert done.returncode == 1


def test_program_of_the_guide_accepts(grown, programs, program) -> None:
    done = run([programs / "python", program, grown.log, grown.key_file])
    assert done.stdout == "ok: 700 entries\n", done.stderr


def test_damaged_copy_is_refused(damaged, programs, program) -> None:
    done = run([programs / "python", program, damaged.log, damaged.key_file])
    assert done.returncode == 1
    assert "Error" in done.stderr


def test_fork_is_refused(grown, programs, forked) -> None:
    known = ["--tiles", grown.log, "--log-key", grown.vkeys[0]]
    command = [programs / "aics-tlog", "verify-consistency", *known]
    done = run([*command, "--old-checkpoint", forked])
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
