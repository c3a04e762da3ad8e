"""Our log, read by a Go program on golang.org/x/mod, which the guide shows."""

import shutil
from pathlib import Path

import pytest
from foreign_builds import GO_SOURCE, build_verifier_in_go, run
from notes import spoil_signature
from page_programs import read_block, read_commands

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def verify() -> Path:
    """The program, built."""
    return build_verifier_in_go()


def test_guide_shows_the_program() -> None:
    assert read_block("Go", "go") == (GO_SOURCE / "main.go").read_text()


def test_commands_of_the_guide_accept(grown, witness_keys, verify, tmp_path) -> None:
    shutil.copytree(grown.folder, tmp_path / "copy")
    shutil.copy(verify, tmp_path / "verify")
    (tmp_path / "witness.vkey").write_text(witness_keys[0] + "\n")
    commands = [it for it in read_commands("Go") if it.startswith("./verify")]
    assert len(commands) == 2
    for command in commands:
        done = run(["sh", "-c", command], folder=tmp_path)
        assert done.stdout == f"ok: 700 entries under {grown.root_at(700)}\n"


@pytest.mark.parametrize("place", [0, 2])
def test_wrong_signature_is_refused(
    grown, witness_keys, verify, tmp_path, place
) -> None:
    """Go's package knows Ed25519: the log's line and that of the first witness."""
    note = spoil_signature((grown.log / "checkpoint").read_bytes(), place)
    (tmp_path / "checkpoint").write_bytes(note)
    key = tmp_path / "witness.vkey"
    key.write_text(witness_keys[0] + "\n")
    done = run([verify, "-witness", key, tmp_path, grown.key_file])
    assert done.returncode == 1
    assert "signature" in done.stderr


def test_growth_is_accepted(grown, verify, tmp_path) -> None:
    old = tmp_path / "old"
    for note in grown.checkpoints.values():
        old.write_bytes(note)
        done = run([verify, "-old", old, grown.log, grown.key_file])
        assert done.returncode == 0, done.stderr


def test_damaged_copy_is_refused(damaged, verify) -> None:
    done = run([verify, damaged.log, damaged.key_file])
    assert done.returncode == 1
    assert not done.stdout


def test_fork_is_refused(grown, verify, forked) -> None:
    done = run([verify, "-old", forked, grown.log, grown.key_file])
    assert done.returncode == 1
    assert not done.stdout
