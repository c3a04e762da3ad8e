"""Crashes and damage: what is left is a log that verifies, or nothing is signed."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import Session

from ledger.errors import LogError, TileError
from ledger.log import Frontier, TileTree, leaf_hash
from ledger.log.log import Log
from ledger.log.models import LogEntry, LogHead


class CrashError(Exception):
    """The process stops here."""


def make_entries(start: int, end: int) -> list[bytes]:
    return [b"entry-%d" % index for index in range(start, end)]


def test_crash_before_publish_is_repaired(written: Any) -> None:
    written.append(make_entries(0, 300))
    written.publish()
    written.append(make_entries(300, 700))
    assert written.check().size == 300
    written.start()
    written.publish()
    assert written.check().size == 700


@pytest.mark.parametrize("step", range(1, 40))
def test_crash_at_each_write_is_repaired(
    written: Any, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Stop before the nth time that a file or folder is made durable."""
    written.append(make_entries(0, 250))
    written.publish()
    written.append(make_entries(250, 530))
    steps = 0
    sync = os.fsync

    def crash(descriptor: int) -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            raise CrashError
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", crash)
    try:
        written.publish()
    except CrashError:
        assert written.check().size in {250, 530}
    else:
        assert steps < step
    monkeypatch.undo()
    assert written.check().size in {250, 530}
    written.start()
    written.publish()
    assert written.check().size == 530


def test_crash_is_repaired_without_restart(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.append(make_entries(0, 10))

    def crash(_descriptor: int) -> None:
        raise CrashError

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(CrashError):
        written.publish()
    monkeypatch.undo()
    assert written.log.published() is None
    written.append(make_entries(10, 300))
    written.publish()
    assert written.check().size == 300


def test_old_checkpoint_stays_readable(written: Any) -> None:
    """A reader with an older checkpoint finds all its tiles after many publications."""
    written.append(make_entries(0, 44))
    old = written.publish()
    for start in (44, 200, 256, 300, 600):
        written.append(make_entries(start, start + 100))
        written.publish()
        assert TileTree(written.log.tiles, old.size).root() == old.root
        assert len(list(TileTree(written.log.tiles, old.size).entries())) == old.size


def test_publish_costs_new_entries_only(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.append(make_entries(0, 2000))
    written.publish()
    written.append([b"one more"])
    names = []
    replace = Path.replace

    def note_replaced(path: Path, target: Path) -> None:
        names.append(str(target.relative_to(written.folder)))
        replace(path, target)

    monkeypatch.setattr(Path, "replace", note_replaced)
    written.publish()
    assert names == ["tile/entries/007.p/209", "tile/0/007.p/209", "checkpoint"]


@pytest.mark.slow
def test_layout_of_70_000_entries(written: Any, vectors: Any) -> None:
    """In two steps, so that a tile of level 1 fills and level 2 begins."""
    layout = vectors["tile_layout"]
    for start, end in ((0, 65_500), (65_500, layout["size"])):
        written.append(make_entries(start, end))
        written.publish()
    assert written.check().size == layout["size"]
    for level, full in layout["full"].items():
        folder = written.folder / "tile" / level
        tiles = [path for path in folder.rglob("*") if path.is_file()]
        partial = [path.name for path in tiles if path.parent.suffix == ".p"]
        assert partial == [str(layout["partial"][level])]
        assert len(tiles) == full + 1


@pytest.mark.parametrize(
    "damaged", ["tile/0/001.p/44", "tile/1/000.p/1", "tile", "tile/0/001.p"]
)
@pytest.mark.parametrize("more", [[], [b"one more"]])
def test_recover_rebuilds_damaged_edge(
    written: Any, damaged: str, more: list[bytes]
) -> None:
    written.append(make_entries(0, 300))
    written.publish()
    written.append(more)
    target = written.folder / damaged
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.write_bytes(b"x" * target.stat().st_size)
    written.start()
    written.publish()
    assert written.check().size == 300 + len(more)


def test_recover_rebuilds_lost_folder(written: Any) -> None:
    written.append(make_entries(0, 300))
    before = written.publish()
    shutil.rmtree(written.folder)
    written.start()
    written.publish()
    assert written.check() == before


def test_publish_refuses_missing_tile(written: Any) -> None:
    written.append(make_entries(0, 300))
    written.publish()
    shutil.rmtree(written.folder / "tile/1")
    written.append([b"one more"])
    with pytest.raises(TileError):
        written.publish()


def test_publish_refuses_damaged_tile(written: Any) -> None:
    written.append(make_entries(0, 300))
    before = written.publish()
    (written.folder / "tile/1/000.p/1").write_bytes(b"x" * 32)
    written.append([b"one more"])
    with pytest.raises(LogError, match="do not lead"):
        written.publish()
    assert written.log.published() == before


def test_old_database_is_refused(written: Any) -> None:
    """A database restored from a backup lacks what was signed since."""
    written.append(make_entries(0, 10))
    signed = written.publish()
    old = Frontier()
    old.extend(map(leaf_hash, make_entries(0, 5)))
    with Session(written.engine) as session:
        session.execute(delete(LogEntry).where(LogEntry.index >= 5))
        session.execute(update(LogHead).values(size=5, frontier=b"".join(old.peaks)))
        session.commit()
    with Session(written.engine) as session, pytest.raises(LogError, match="lacks"):
        written.log.recover(session)
    with pytest.raises(LogError, match="not extend"):
        written.publish()
    written.append(b"other-%d" % index for index in range(20))
    with pytest.raises(LogError, match="not extend"):
        written.publish()
    assert written.log.published() == signed


def test_other_history_is_not_rebuilt(written: Any) -> None:
    written.append(make_entries(0, 10))
    written.publish()
    other = Frontier()
    other.extend([leaf_hash(b"other")] * 10)
    with Session(written.engine) as session:
        session.execute(update(LogEntry).values(data=b"other"))
        session.execute(update(LogHead).values(frontier=b"".join(other.peaks)))
        session.commit()
    with pytest.raises(LogError, match="not extend"):
        written.publish()
    shutil.rmtree(written.folder / "tile")
    with (
        Session(written.engine) as session,
        pytest.raises(LogError, match="Other entries"),
    ):
        written.log.recover(session)
    assert not (written.folder / "tile").exists()


def test_head_that_contradicts_entries_is_refused(written: Any) -> None:
    written.append(make_entries(0, 10))
    with Session(written.engine) as session:
        session.execute(delete(LogEntry).where(LogEntry.index == 9))
        with pytest.raises(LogError, match="where its entries end"):
            written.log.recover(session)


def test_publishing_twice_at_once_is_serial(written: Any) -> None:
    """The second publisher waits, then sees what the first has signed."""
    written.append(make_entries(0, 10))
    other = Log(written.folder, written.signer)
    with Session(written.engine) as first, Session(written.engine) as second:
        assert written.log.publish(first) == other.publish(second)
    assert written.check().size == 10
