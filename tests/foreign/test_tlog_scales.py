"""Our log, read by tlog-scales, with the program of the guide."""

import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from foreign_builds import run
from notes import spoil_signature
from page_programs import load_program, read_commands
from tlog_scales.tlog import ConsistencyProofInvalid, InclusionProofInvalid

from ledger.log import LogKeys, parse_proof, verify_proof

PROGRAM = load_program("tlog-scales")
REFUSALS = (InclusionProofInvalid, InvalidSignature, ValueError)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Keep the output of the tests clean."""


def test_log_is_accepted(grown) -> None:
    assert PROGRAM.verify(str(grown.log), grown.vkeys) == 700


def test_cosignatures_are_accepted(grown, witness_keys) -> None:
    keys = grown.vkeys + witness_keys
    assert len(keys) == 4
    assert PROGRAM.verify(str(grown.log), keys) == 700


@pytest.mark.parametrize("place", range(4))
def test_wrong_signature_is_refused(grown, witness_keys, tmp_path, place) -> None:
    """Each of the four lines counts: Ed25519 and ML-DSA-44, log and witness."""
    note = spoil_signature((grown.log / "checkpoint").read_bytes(), place)
    (tmp_path / "checkpoint").write_bytes(note)
    with pytest.raises(InvalidSignature):
        PROGRAM.verify(str(tmp_path), grown.vkeys + witness_keys)


@pytest.mark.slow
def test_growth_is_accepted(grown) -> None:
    for note in grown.checkpoints.values():
        PROGRAM.verify(str(grown.log), grown.vkeys, note.decode())


@pytest.mark.slow
def test_served_folder_is_accepted(grown) -> None:
    """The folder is the layout: any server of static files will do."""
    handler = partial(QuietHandler, directory=grown.log)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert PROGRAM.verify(url, grown.vkeys) == 700
        server.shutdown()
        thread.join()


def test_damaged_copy_is_refused(damaged) -> None:
    with pytest.raises(REFUSALS):
        PROGRAM.verify(str(damaged.log), damaged.vkeys)


def test_fork_is_refused(grown, forked: Path) -> None:
    """A signed checkpoint that the log does not extend."""
    with pytest.raises(ConsistencyProofInvalid):
        PROGRAM.verify(str(grown.log), grown.vkeys, forked.read_text())


@pytest.mark.slow
def test_its_proof_is_one_of_ours(grown, tmp_path) -> None:
    (tmp_path / "copy").symlink_to(grown.folder)
    (command,) = read_commands("tlog-scales")
    bin_folder = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = run(["sh", "-c", command], folder=tmp_path, PATH=bin_folder)
    assert done.returncode == 0, done.stderr
    proof = parse_proof((tmp_path / "entry-3.tlog-proof").read_bytes())
    keys = LogKeys.parse(grown.key_file.read_text())
    assert verify_proof(proof, grown.entries[3], keys).checkpoint.size == 700
