"""The database: one connection that writes, several that read.

SQLite in WAL mode with a full sync at each commit: what was answered is on disk.
Write transactions begin IMMEDIATE, so that a reader's snapshot can never turn into
a write that must fail.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlmodel import Session, SQLModel

BUSY_TIMEOUT_MS = 10_000
"""Longer than any batch of the writer; beyond it something is stuck."""
READERS_MAX = 16


class Database:
    """One SQLite file, opened once for writing and pooled for reading."""

    def __init__(self, path: Path) -> None:
        url = f"sqlite:///{path}"
        self.path = path
        self._writer = create_engine(url, pool_size=1, max_overflow=0)
        self._reader = create_engine(url, pool_size=READERS_MAX, max_overflow=0)
        _configure(self._writer, begin="BEGIN IMMEDIATE")
        _configure(self._reader, begin="BEGIN")

    def create_tables(self) -> None:
        """Create the tables that do not exist yet."""
        with self._writer.begin() as connection:
            SQLModel.metadata.create_all(connection)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """The one write transaction; commits on success, else rolls back."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent snapshot for reading."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Close all connections; the write-ahead log is folded in."""
        self._reader.dispose()
        self._writer.dispose()


def _configure(engine: Engine, *, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not open transactions by itself: ours begin explicitly.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
