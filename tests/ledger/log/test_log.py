import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update
from sqlmodel import Session

from ledger.errors import LogError, NoteError
from ledger.log import Signer, TileTree, verify_proof
from ledger.log.log import Log
from ledger.log.models import LogEntry, LogHead
from ledger.signing import PrivateKey

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""Where a batch begins without waiting; on PostgreSQL the head is locked."""


def files_in(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def count_entries(written: Any) -> int:
    with Session(written.engine) as session:
        return session.execute(select(func.count(LogEntry.index))).scalar_one()


def test_own_log_has_frozen_files(written: Any, vectors: Any) -> None:
    own = vectors["own_log"]
    written.append(word.encode() for word in own["entries"])
    written.publish()
    folder = written.folder
    bundle = (folder / own["bundle_path"]).read_bytes()
    assert bundle == bytes.fromhex(own["bundle"])
    assert (folder / "checkpoint").read_text() == own["checkpoint"]
    tile = (folder / own["tile_path"]).read_bytes()
    begins = [tile[at : at + 4].hex() for at in range(0, len(tile), 32)]
    assert begins == own["tile_begins"]


def test_log_of_300_has_frozen_files(written: Any, vectors: Any) -> None:
    own = vectors["own_log_300"]
    written.append(b"entry-%d" % index for index in range(300))
    written.publish()
    folder = written.folder
    assert files_in(folder) == own["files"]
    root_of_first = base64.b64decode(own["root_of_first_256"])
    assert (folder / "tile/1/000.p/1").read_bytes() == root_of_first
    note = (folder / "checkpoint").read_text()
    assert note.splitlines()[2] == own["root"]
    assert note.endswith(own["signature_line"])


def test_log_grows_to_same_files_in_steps(written: Any, vectors: Any) -> None:
    for start in range(0, 300, 50):
        written.append(b"entry-%d" % index for index in range(start, start + 50))
        written.publish()
    partials = {"tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"}
    assert set(files_in(written.folder)) == partials | {
        "checkpoint",
        "tile/0/000",
        "tile/entries/000",
    }
    note = (written.folder / "checkpoint").read_text()
    assert note.endswith(vectors["own_log_300"]["signature_line"])


def test_empty_log_is_published(written: Any) -> None:
    written.publish()
    assert files_in(written.folder) == ["checkpoint"]
    assert written.log.published().size == 0


def test_publish_is_idempotent(written: Any) -> None:
    written.append([b"one"])
    written.publish()
    checkpoint = written.folder / "checkpoint"
    before = checkpoint.stat().st_mtime_ns
    written.publish()
    assert checkpoint.stat().st_mtime_ns == before
    assert written.publish() == written.log.published()


def test_batch_gives_final_indexes(written: Any) -> None:
    written.append([b"zero"])
    with Session(written.engine) as session:
        batch = written.log.begin(session)
        assert [batch.add(b"one"), batch.add(b"two")] == [1, 2]
        batch.finish(session)
        session.commit()
        rows = session.execute(select(LogEntry.index, LogEntry.data)).all()
    assert rows == [(0, b"zero"), (1, b"one"), (2, b"two")]


def test_batch_follows_savepoints(written: Any) -> None:
    with Session(written.engine) as session:
        batch = written.log.begin(session)
        batch.add(b"kept")
        mark = batch.mark()
        assert batch.add(b"dropped") == 1
        batch.rollback_to(mark)
        assert batch.add(b"instead") == 1
        batch.finish(session)
        session.commit()
        written.log.publish(session)
        data = session.execute(select(LogEntry.data)).scalars().all()
    assert data == [b"kept", b"instead"]


def test_batch_bounds_entries(written: Any) -> None:
    with Session(written.engine) as session:
        batch = written.log.begin(session)
        batch.add(b"x" * 65_535)
        with pytest.raises(LogError, match="65535"):
            batch.add(b"x" * 65_536)


@on_sqlite
def test_empty_batch_leaves_head(written: Any) -> None:
    with Session(written.engine) as session, Session(written.engine) as other:
        idle = written.log.begin(session)
        batch = written.log.begin(other)
        batch.add(b"one")
        batch.finish(other)
        other.commit()
        idle.finish(session)
        session.commit()


def test_rolled_back_transaction_leaves_nothing(written: Any) -> None:
    written.append([b"one"])
    with Session(written.engine) as session:
        batch = written.log.begin(session)
        batch.add(b"lost")
        batch.finish(session)
        session.rollback()
    written.append([b"two"])
    written.publish()
    assert written.log.published().size == count_entries(written) == 2


def append_from_one_head(written: Any) -> None:
    """Begin two batches from one head: the first commits, the second must not."""
    with Session(written.engine) as first, Session(written.engine) as second:
        winner, loser = written.log.begin(first), written.log.begin(second)
        assert winner.add(b"one") == loser.add(b"another") == 1
        winner.finish(first)
        first.commit()
        with pytest.raises(LogError, match="Another writer"):
            loser.finish(second)
        second.rollback()


@on_sqlite
def test_second_writer_cannot_fork(written: Any) -> None:
    written.append([b"zero"])
    append_from_one_head(written)
    assert written.publish().size == count_entries(written) == 2


@on_sqlite
def test_second_writer_cannot_fork_in_snapshot(written: Any) -> None:
    """As above, where the first read begins a transaction that sees no later write."""
    written.append([b"zero"])

    @event.listens_for(written.engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    append_from_one_head(written)
    assert written.publish().size == count_entries(written) == 2


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_second_writer_waits_for_the_first_and_goes_on(written: Any) -> None:
    written.append([b"zero"])
    with ThreadPoolExecutor(1) as pool, Session(written.engine) as first:
        batch = written.log.begin(first)
        assert batch.add(b"one") == 1
        waiting = pool.submit(written.append, [b"two"])
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        batch.finish(first)
        first.commit()
        waiting.result()
    written.publish()
    tree = TileTree(written.log.tiles, 3)
    assert list(tree.entries()) == [b"zero", b"one", b"two"]


def test_writers_in_threads_share_one_history(written: Any) -> None:
    """Four writers, each retrying what the head refuses: no entry lost or doubled."""

    def append(entry: bytes) -> None:
        while True:
            try:
                written.append([entry])
            except LogError:
                continue
            return

    def write(writer: int) -> None:
        for number in range(25):
            append(b"%d/%d" % (writer, number))
            written.publish()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written.check().size == count_entries(written) == 100
    entries = set(TileTree(written.log.tiles, 100).entries())
    assert entries == {b"%d/%d" % (w, n) for w in range(4) for n in range(25)}


def test_begin_needs_recover(written: Any) -> None:
    with Session(written.engine) as session:
        session.execute(delete(LogHead))
        with pytest.raises(LogError, match="recovered"):
            written.log.begin(session)


@pytest.mark.parametrize("peaks", [b"", b"x" * 32, b"x" * 33])
def test_damaged_head_is_refused(written: Any, peaks: bytes) -> None:
    written.append([b"one", b"two", b"three"])
    with Session(written.engine) as session:
        session.execute(update(LogHead).values(frontier=peaks))
        with pytest.raises(LogError, match="contradicts"):
            written.log.begin(session)


def test_prove_leads_to_checkpoint(written: Any) -> None:
    written.append(b"entry-%d" % index for index in range(300))
    written.publish()
    for index in (0, 255, 256, 299):
        proof = written.log.prove(index)
        verify_proof(proof, b"entry-%d" % index, written.signer.verifier)


def test_prove_follows_publication(written: Any) -> None:
    written.append([b"one"])
    with pytest.raises(LogError, match="not published"):
        written.log.prove(0)
    written.publish()
    assert written.log.prove(0).path == ()
    written.append([b"two"])
    with pytest.raises(LogError, match="not published"):
        written.log.prove(1)
    written.publish()
    for index in (0, 1):
        assert len(written.log.prove(index).path) == 1
    for index in (-1, 2):
        with pytest.raises(LogError):
            written.log.prove(index)


def test_published_refuses_foreign_checkpoint(written: Any) -> None:
    written.append([b"one"])
    written.publish()
    stranger = Log(written.folder, Signer(written.log.origin, PrivateKey(b"s" * 32)))
    with pytest.raises(NoteError):
        stranger.published()
    with Session(written.engine) as session, pytest.raises(NoteError):
        stranger.publish(session)


def test_missing_entries_are_not_signed(written: Any) -> None:
    written.append([b"one", b"two"])
    with Session(written.engine) as session:
        session.execute(delete(LogEntry).where(LogEntry.index == 0))
        session.commit()
    with pytest.raises(LogError, match="not all there"):
        written.publish()
    assert written.log.published() is None
