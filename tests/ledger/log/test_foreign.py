"""A log that we wrote, read by an implementation of other authors (tlog-scales)."""

import itertools
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cryptography.exceptions
import pytest
from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash
from tlog_scales.tlog import InclusionProofInvalid

from ledger.log import Checkpoint


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Keep the output of the tests clean."""


def serve(folder: Path) -> ThreadingHTTPServer:
    handler = partial(QuietHandler, directory=folder)
    return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def check_log(location: Path | str, vkey: str) -> tuple[TilesReader, Any]:
    """Check as the foreign reader does: signature, all entries and their paths."""
    reader = TilesReader(make_backend(str(location)))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(vkey))
    for index in range(checkpoint.size):
        proof = reader.get_inclusion_proof(index, checkpoint.size)
        proof.check(leaf_hash(reader.get_entry(index)), checkpoint.root_hash)
    return reader, checkpoint


@pytest.fixture
def checkpoints(written: Any) -> list[Checkpoint]:
    """Checkpoints of a log that was published as it grew."""
    sizes = (0, 1, 200, 256, 700)
    result = []
    for start, end in itertools.pairwise(sizes):
        written.append(b"entry-%d" % index for index in range(start, end))
        result.append(written.publish())
    return result


def test_foreign_reader_accepts_folder(
    written: Any, checkpoints: list[Checkpoint]
) -> None:
    reader, newest = check_log(written.folder, written.signer.verifier.vkey)
    assert newest.size == 700
    assert newest.root_hash == reader.calculate_root_hash()
    for old in checkpoints:
        proof = reader.get_consistency_proof(old.size, newest.size)
        proof.check(old.root, newest.root_hash)


@pytest.mark.slow
def test_foreign_reader_accepts_served_folder(
    written: Any, checkpoints: list[Checkpoint]
) -> None:
    """The folder is the layout: any server of static files will do."""
    with serve(written.folder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        reader, newest = check_log(url, written.signer.verifier.vkey)
        reader.backend.session.close()
        server.shutdown()
        thread.join()
    assert newest.size == 700


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("checkpoint", cryptography.exceptions.InvalidSignature),
        ("tile/0/001", InclusionProofInvalid),
        ("tile/0/002.p/188", InclusionProofInvalid),
        ("tile/1/000.p/2", InclusionProofInvalid),
        ("tile/entries/000", InclusionProofInvalid),
        ("tile/entries/002.p/188", InclusionProofInvalid),
    ],
)
def test_foreign_reader_refuses_damaged_copy(
    written: Any,
    checkpoints: list[Checkpoint],
    tmp_path: Path,
    path: str,
    refusal: type[Exception],
) -> None:
    copy = shutil.copytree(written.folder, tmp_path / "copy")
    data = bytearray((copy / path).read_bytes())
    # The last byte of an entry or hash; in the checkpoint, a digit of its size.
    place = data.index(b"\n700\n") + 1 if path == "checkpoint" else -1
    data[place] ^= 1
    (copy / path).write_bytes(data)
    with pytest.raises(refusal):
        check_log(copy, written.signer.verifier.vkey)
