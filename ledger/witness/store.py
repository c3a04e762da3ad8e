"""What a witness remembers: for each log the checkpoint that it has cosigned last.

All of its promise rests on this file. What is decided is decided inside one
transaction that keeps every other one out, in this process and others, and it is on
the disk before anybody is told. So a witness that is killed at any time has either
cosigned and remembers, or has told nobody.

Source: C2SP tlog-witness (persist before answering, check and store at once).
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ledger.errors import NoteError
from ledger.log.checkpoint import Checkpoint
from ledger.log.witness_protocol import checkpoint_path
from ledger.witness.errors import WitnessStoreError

BUSY_S_MAX = 5.0
"""Other processes on the same folder hold the file for some milliseconds at a time."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS head (
    origin TEXT PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    note BLOB NOT NULL,
    cosigned_at_s INTEGER NOT NULL
) STRICT
"""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Head:
    """What was cosigned last for one log.

    `note` has the signatures of the log that were checked, and the witness's own.
    """

    checkpoint: Checkpoint
    note: bytes
    cosigned_at_s: int


Decision = Callable[[Head | None], tuple[Head | None, _Result]]
"""Given the last head of a log, returns the next one if there is one, and a result."""


class WitnessStore:
    """The file of one witness. May be used from several threads at once."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            WitnessStoreError: It cannot be opened, or is not such a file.
        """
        self._lock = threading.Lock()
        with _typed_errors():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_S_MAX, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def advance(self, origin: str, decide: Decision[_Result]) -> _Result:
        """Decide about a log and keep what follows, in one step.

        Args:
            origin: Of the log.
            decide: Called once with what is known. What it returns counts only if
                this function returns; if it raises, nothing changes.

        Returns:
            The result of `decide`. Its head is on the disk by then.

        Raises:
            WitnessStoreError: The file cannot be read or written.
        """
        with self._transaction():
            known = self._read_head(origin)
            head, result = decide(known)
            if head is not None:
                self._write_head(head)
        return result

    def heads(self) -> list[Head]:
        """Return what was cosigned last, log by log in the order of their origins.

        Raises:
            WitnessStoreError: The file cannot be read.
        """
        with self._lock, _typed_errors():
            rows = self._connection.execute(
                "SELECT origin, size, root, note, cosigned_at_s FROM head ORDER BY 1"
            ).fetchall()
        return [_parse_head(row) for row in rows]

    def find_note(self, path: str) -> bytes | None:
        """Return the last cosigned note of the log that is shown at a path, if any.

        Raises:
            WitnessStoreError: The file cannot be read.
        """
        with self._lock, _typed_errors():
            query = "SELECT note FROM head WHERE path = ?"
            row = self._connection.execute(query, (path,)).fetchone()
        return None if row is None else bytes(row[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Keep out all others, and commit durably unless something is raised."""
        with self._lock, _typed_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _read_head(self, origin: str) -> Head | None:
        query = (
            "SELECT origin, size, root, note, cosigned_at_s FROM head WHERE origin = ?"
        )
        row = self._connection.execute(query, (origin,)).fetchone()
        return None if row is None else _parse_head(row)

    def _write_head(self, head: Head) -> None:
        checkpoint = head.checkpoint
        self._connection.execute(
            "INSERT OR REPLACE INTO head"
            " (origin, path, size, root, note, cosigned_at_s)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                checkpoint.origin,
                checkpoint_path(checkpoint.origin),
                checkpoint.size,
                checkpoint.root,
                head.note,
                head.cosigned_at_s,
            ),
        )


def _parse_head(row: tuple[str, int, bytes, bytes, int]) -> Head:
    origin, size, root, note, cosigned_at_s = row
    try:
        return Head(Checkpoint(origin, size, root), note, cosigned_at_s)
    except NoteError as error:
        raise WitnessStoreError("What the witness remembers is damaged.") from error


@contextlib.contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise WitnessStoreError(f"The witness cannot remember: {error}.") from error
