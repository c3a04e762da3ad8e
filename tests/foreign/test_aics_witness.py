"""Our log before the witness of other authors, and their client before ours."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from foreign_builds import build_aics, run
from held_witness import HeldWitness
from page_programs import read_block, read_commands
from served_witness import serve_witness

from ledger.log import FolderTiles, TileTree, Verifier, parse_checkpoint
from ledger.log.errors import WitnessAlarmError
from ledger.log.log_keys import LogKeys, open_signed_checkpoint
from ledger.log.note import extend_note
from ledger.log.witness_client import WitnessClient, WitnessOutcome, WitnessPool

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of the programs."""
    return build_aics()


@contextmanager
def foreign_witness(programs: Path, folder: Path) -> Iterator[str]:
    """The witness of the guide, set up and running; gives its URL."""
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    *commands, serve = read_commands("aics-witness")
    for command in commands:
        done = run(["sh", "-c", command], folder=folder, PATH=path)
        assert done.returncode == 0, done.stderr
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = serve.replace("127.0.0.1:7380", address).split()
    process = subprocess.Popen(
        [programs / words[0], *words[1:]],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        while "listening" not in (line := process.stderr.readline()):
            assert line, "the witness did not start"
        yield f"http://{address}"
    finally:
        process.terminate()
        process.communicate()


def submit(url: str, verifier: Verifier, log: Path, note: bytes) -> WitnessOutcome:
    """What comes of bringing a checkpoint to a witness, which knows it or not."""
    checkpoint = parse_checkpoint(note.decode().rpartition("\n\n")[0] + "\n")
    tree = TileTree(FolderTiles(log), checkpoint.size)
    with WitnessPool([WitnessClient(url, [verifier])]) as pool:
        (outcome,) = pool.submit_to_all(note, consistency=tree.consistency_path)
    return outcome


def test_foreign_witness_cosigns_our_log(grown, programs, tmp_path) -> None:
    (tmp_path / "copy").symlink_to(grown.folder)
    keys = LogKeys.parse(grown.key_file.read_text())
    with foreign_witness(programs, tmp_path) as url:
        verifier = Verifier.parse((tmp_path / "witness.vkey").read_text().strip())
        for size in (8, 200, 700):
            note = grown.checkpoints[size]
            outcome = submit(url, verifier, grown.log, note)
            cosigned = extend_note(note, outcome.signatures)
            opened = open_signed_checkpoint(cosigned, keys, [verifier])
            assert opened.checkpoint.size == size
            assert len(opened.note.signatures) == 3


def test_foreign_witness_refuses_a_fork(grown, forked, programs, tmp_path) -> None:
    (tmp_path / "copy").symlink_to(grown.folder)
    with foreign_witness(programs, tmp_path) as url:
        verifier = Verifier.parse((tmp_path / "witness.vkey").read_text().strip())
        first = submit(url, verifier, grown.log, grown.checkpoints[8])
        assert first.error is None
        second = submit(url, verifier, forked.parent, forked.read_bytes())
        assert isinstance(second.error, WitnessAlarmError)
        assert not second.signatures


def test_foreign_client_is_cosigned_by_our_witness(grown, programs, tmp_path) -> None:
    program, key = tmp_path / "submit_with_aics.py", tmp_path / "witness.vkey"
    program.write_text(read_block("aics-witness", "python"))
    keys = LogKeys.parse(grown.key_file.read_text())
    held = HeldWitness(tmp_path, *keys.verifiers)
    held.now_s = int(time.time())  # noqa: TID251 - their client has a clock of its own
    key.write_text(held.keys[0].vkey + "\n")
    with serve_witness(held) as url:
        for size in (8, 700):
            note = grown.checkpoints[size]
            log = tmp_path / str(size)
            shutil.copytree(grown.log, log)
            (log / "checkpoint").write_bytes(note)
            done = run([programs / "python", program, log, url, key])
            assert done.returncode == 0, done.stderr
            opened = open_signed_checkpoint(
                note + done.stdout.encode(), keys, held.keys
            )
            assert opened.checkpoint.size == size
            assert len(opened.note.signatures) == 3
