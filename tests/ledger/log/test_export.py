"""An export is a folder that a plain host serves, to readers who never guess."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from ledger.errors import LogError, NoteError, TileError
from ledger.log import Signer, TilePath, TileTree, open_note
from ledger.log.checkpoint import parse_checkpoint
from ledger.log.export import Export, export_log
from ledger.log.log import Log
from ledger.log.tiles import TILE_WIDTH, FolderTiles
from ledger.signing import PrivateKey


class PlainHost:
    """Gives files by their exact names, as a static host does, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, path: str) -> bytes:
        try:
            return (self.folder / path).read_bytes()
        except OSError as error:
            raise TileError("404") from error


def make_entries(start: int, end: int) -> list[bytes]:
    return [b"entry-%d" % index for index in range(start, end)]


def export(written: Any, folder: Path) -> Export:
    with Session(written.engine) as session:
        return export_log(written.log, session, folder)


def check(written: Any, folder: Path, size: int, name: str = "checkpoint") -> None:
    """Read everything with exact names: tiles of all levels, and all entries."""
    host = PlainHost(folder)
    note = open_note(host.read(name), [written.signer.verifier])
    checkpoint = parse_checkpoint(note.text)
    tree = TileTree(host, checkpoint.size)
    assert checkpoint.size == size
    assert tree.root() == checkpoint.root
    assert list(tree.entries()) == make_entries(0, size)
    for level in range(8):
        count = size >> 8 * level
        for index in range(-(-count // TILE_WIDTH)):
            width = min(TILE_WIDTH, count - index * TILE_WIDTH)
            assert len(host.read(str(TilePath(level, index, width)))) == 32 * width


def files_of(folder: Path) -> dict[str, int]:
    """Files with the time at which they were written."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700])
def test_export_is_the_published_log(written, tmp_path, size) -> None:
    written.append(make_entries(0, size))
    written.publish()
    export(written, tmp_path / "out")
    check(written, tmp_path / "out", size)
    assert (tmp_path / "out/log.vkey").read_text() == written.log.keys.text
    for path in written.folder.rglob("*"):
        if path.is_file():
            copy = tmp_path / "out" / path.relative_to(written.folder)
            assert copy.read_bytes() == path.read_bytes()


def test_second_export_writes_what_is_new(written, tmp_path) -> None:
    folder = tmp_path / "out"
    written.append(make_entries(0, 600))
    written.publish()
    assert export(written, folder).files > 0
    before = files_of(folder)
    assert export(written, folder).files == 0
    assert files_of(folder) == before
    written.append(make_entries(600, 610))
    written.publish()
    # The last bundle and the last tile of hashes, at their new width, and the note.
    assert export(written, folder).files == 3
    after = files_of(folder)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"tile/entries/002.p/98", "tile/0/002.p/98", "checkpoint"}
    check(written, folder, 610)


@pytest.mark.parametrize("step", [90, 255, 256, 300])
def test_export_follows_a_growing_log(written, tmp_path, step) -> None:
    for size in range(0, 1000, step):
        written.append(make_entries(max(0, size - step), size))
        written.publish()
        if size % (3 * step) == 0:
            export(written, tmp_path / "out")
            check(written, tmp_path / "out", size)


def test_export_covers_what_is_published_only(written, tmp_path) -> None:
    written.append(make_entries(0, 300))
    written.publish()
    written.append(make_entries(300, 400))
    assert export(written, tmp_path / "out").checkpoint.size == 300
    check(written, tmp_path / "out", 300)


def test_export_needs_no_published_folder(written, tmp_path) -> None:
    written.append(make_entries(0, 300))
    written.publish()
    export(written, tmp_path / "out")
    shutil.rmtree(written.folder)
    written.append(make_entries(300, 600))
    assert export(written, tmp_path / "out").checkpoint.size == 600
    check(written, tmp_path / "out", 600)
    export(written, tmp_path / "anew")
    check(written, tmp_path / "anew", 600)
    assert not written.folder.exists()


def test_cosignatures_replace_the_note_alone(written, tmp_path) -> None:
    written.append(make_entries(0, 300))
    written.publish()
    export(written, tmp_path / "out")
    note = written.log.tiles.read("checkpoint")
    witness = Signer("witness.example", PrivateKey(b"w" * 32))
    cosigned = note + witness.sign(written.log.published().text).line.encode()
    (written.folder / "checkpoint").write_bytes(cosigned)
    assert export(written, tmp_path / "out").files == 1
    assert (tmp_path / "out/checkpoint").read_bytes() == cosigned


def test_witnessed_checkpoint_finds_its_own_partial_tiles(written, tmp_path) -> None:
    written.append(make_entries(0, 290))
    written.publish()
    written.log.keep_witnessed(written.log.tiles.read("checkpoint"))
    written.append(make_entries(290, 310))
    written.publish()
    export(written, tmp_path / "out")
    check(written, tmp_path / "out", 310)
    check(written, tmp_path / "out", 290, "checkpoint.witnessed")


def test_proofs_of_key_changes_go_along(written, tmp_path) -> None:
    written.append(make_entries(0, 10))
    written.publish()
    written.log.signers.add([Signer(written.log.origin, PrivateKey(b"n" * 32))])
    written.log.publish_key_change(2, b"a proof")
    export(written, tmp_path / "out")
    assert (tmp_path / "out/keys/2.tlog-proof").read_bytes() == b"a proof"
    assert export(written, tmp_path / "out").files == 0


def test_other_log_is_not_exported_over_this_one(written, tmp_path) -> None:
    written.append(make_entries(0, 10))
    written.publish()
    export(written, tmp_path / "out")
    before = files_of(tmp_path / "out")
    stranger = Log(tmp_path / "other", Signer("other.example", PrivateKey(b"o" * 32)))
    with Session(written.engine) as session, pytest.raises(NoteError):
        export_log(stranger, session, tmp_path / "out")
    assert files_of(tmp_path / "out") == before


def test_shorter_log_is_not_exported_over_a_longer_one(written, tmp_path) -> None:
    written.append(make_entries(0, 10))
    written.publish()
    old = (written.folder / "checkpoint").read_bytes()
    written.append(make_entries(10, 20))
    written.publish()
    export(written, tmp_path / "out")
    before = files_of(tmp_path / "out")
    (written.folder / "checkpoint").write_bytes(old)
    with pytest.raises(LogError, match="not extend"):
        export(written, tmp_path / "out")
    assert files_of(tmp_path / "out") == before


class CrashError(Exception):
    """The process stops here."""


@pytest.mark.parametrize("step", range(1, 30, 2))
def test_export_that_stops_leaves_a_log_and_goes_on(
    written, tmp_path, monkeypatch, step
) -> None:
    folder = tmp_path / "out"
    written.append(make_entries(0, 250))
    written.publish()
    export(written, folder)
    written.append(make_entries(250, 530))
    written.publish()
    syncs = iter(range(1, 1000))
    sync = os.fsync

    def crash(descriptor: int) -> None:
        if next(syncs) == step:
            raise CrashError
        sync(descriptor)

    with monkeypatch.context() as fault:
        fault.setattr(os, "fsync", crash)
        try:
            export(written, folder)
        except CrashError:
            note = open_note(
                (folder / "checkpoint").read_bytes(), [written.signer.verifier]
            )
            size = parse_checkpoint(note.text).size
            tree = TileTree(FolderTiles(folder), size)
            assert list(tree.entries()) == make_entries(0, size)
    export(written, folder)
    check(written, folder, 530)
