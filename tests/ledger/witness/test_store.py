"""What a witness remembers: at once, durable, and one after the other."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from grown_log import GrownLog

from ledger.log.witness_protocol import checkpoint_path
from ledger.witness import store as store_module
from ledger.witness.errors import WitnessStoreError
from ledger.witness.store import Head, WitnessStore


@pytest.fixture
def store(tmp_path) -> Iterator[WitnessStore]:
    store = WitnessStore(tmp_path / "witness.db")
    yield store
    store.close()


def head(log: GrownLog, size: int | None = None, *, at_s: int = 1) -> Head:
    return Head(log.checkpoint(size), log.note(size), at_s)


def test_head_is_kept_and_replaced(tmp_path, store, log) -> None:
    assert store.advance(log.origin, lambda known: (head(log, 3), known)) is None
    first = store.advance(log.origin, lambda known: (head(log, 5), known))
    assert first == head(log, 3)
    again = WitnessStore(tmp_path / "witness.db")
    assert again.heads() == [head(log, 5)]
    assert again.find_note(checkpoint_path(log.origin)) == log.note(5)
    again.close()


def test_nothing_is_kept_if_nothing_is_decided(store, log) -> None:
    assert store.advance(log.origin, lambda _: (None, "refused")) == "refused"

    def fail(_: Head | None) -> tuple[Head | None, None]:
        raise LookupError

    with pytest.raises(LookupError):
        store.advance(log.origin, fail)
    assert store.heads() == []
    assert store.advance(log.origin, lambda _: (head(log), 1)) == 1


def test_every_commit_is_synced(store) -> None:
    ((level,),) = store._connection.execute("PRAGMA synchronous").fetchall()
    assert level == 2  # FULL


def test_decisions_come_one_after_the_other(tmp_path, store, log) -> None:
    """Two connections, four threads: each decides on what the one before has kept."""
    other = WitnessStore(tmp_path / "witness.db")
    inside = threading.Lock()

    def decide(known: Head | None) -> tuple[Head, int]:
        with inside:
            size = known.checkpoint.size if known else 0
        return head(log, size + 1), size

    def grow(at: int) -> list[int]:
        mine = (store, other)[at % 2]
        return [mine.advance(log.origin, decide) for _ in range(10)]

    log.grow(40)
    with ThreadPoolExecutor(4) as threads:
        sizes = [size for result in threads.map(grow, range(4)) for size in result]
    assert sorted(sizes) == list(range(40))
    other.close()


def test_locked_file_is_told(tmp_path, monkeypatch, log) -> None:
    monkeypatch.setattr(store_module, "BUSY_S_MAX", 0.05)
    store = WitnessStore(tmp_path / "witness.db")
    holder = sqlite3.connect(tmp_path / "witness.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(WitnessStoreError, match="locked"):
        store.advance(log.origin, lambda _: (head(log), None))
    holder.execute("ROLLBACK")
    store.advance(log.origin, lambda _: (head(log), None))
    holder.close()
    store.close()


def test_file_that_is_none_of_ours_is_refused(tmp_path) -> None:
    (tmp_path / "text").write_bytes(b"x" * 10_000)
    (tmp_path / "folder").mkdir()
    for name in ("text", "folder", "missing/witness.db"):
        with pytest.raises(WitnessStoreError):
            WitnessStore(tmp_path / name)


def test_damaged_head_is_told(store, log) -> None:
    store.advance(log.origin, lambda _: (head(log), None))
    store._connection.execute("UPDATE head SET size = 0")
    with pytest.raises(WitnessStoreError, match="damaged"):
        store.heads()
    with pytest.raises(WitnessStoreError, match="damaged"):
        store.advance(log.origin, lambda _: (head(log), None))
