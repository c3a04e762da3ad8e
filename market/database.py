"""The database: one connection that writes, several that read.

A SQLite file for one process, or PostgreSQL for one or several. On both, a commit is
on the disk before anybody is told of it.

On SQLite that is WAL mode with a full sync at each commit; write transactions begin
IMMEDIATE, so that a reader's snapshot can never turn into a write that must fail.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import Session

from market import postgresql
from market.errors import DatabaseError, InvalidError, SchemaError
from market.schema import Migration, migrate, read_version, require_newest

BUSY_TIMEOUT_MS = 10_000
"""Longer than any batch of the writer; beyond it something is stuck."""
READERS_MAX = 16
"""Connections that read: one for each thread that may wait for the disk."""

_POSTGRESQL = frozenset({"postgres", "postgresql", "postgresql+psycopg"})

logger = logging.getLogger(__name__)


class Database:
    """One database, opened once for writing and pooled for reading."""

    def __init__(self, address: Path | URL) -> None:
        """Name the database. Nothing is opened before it is used.

        Args:
            address: A SQLite file, which is made if it is not there; or the URL of a
                PostgreSQL database, from `parse_database_url`.
        """
        self.address = address
        self.is_shared = not isinstance(address, Path)
        """Whether other processes may use it at the same time."""
        if isinstance(address, Path):
            self._writer = _open_sqlite(address, begin="BEGIN IMMEDIATE", size=1)
            self._reader = _open_sqlite(address, begin="BEGIN", size=READERS_MAX)
        else:
            self._writer = postgresql.open_writer(address)
            self._reader = postgresql.open_reader(address, size=READERS_MAX)

    def prepare(self) -> None:
        """Make the tables if there are none.

        Raises:
            SchemaError: There are tables of another version, or of something else.
            DatabaseError: It cannot be reached.
        """
        with self._changing_tables() as connection:
            if read_version(connection) is None:
                migrate(connection)
            else:
                require_newest(connection)

    def migrate(self) -> Migration:
        """Move the tables to this program's version, all of them or none.

        No process of the market may run meanwhile. On PostgreSQL that is checked.

        Raises:
            SchemaError: They cannot be moved.
            DatabaseError: It cannot be reached.
        """
        with self._changing_tables() as connection:
            if not isinstance(self.address, Path):
                postgresql.require_no_market(connection)
            return migrate(connection)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """The one write transaction; commits on success, else rolls back."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent snapshot for reading.

        Raises:
            DatabaseError: It cannot be reached, or does not answer in time.
            InvalidError: It was asked for what no row can hold.
        """
        with (
            _translating(),
            Session(self._reader, expire_on_commit=False) as session,
        ):
            yield session

    @property
    def url(self) -> URL:
        """The address of a shared database."""
        assert not isinstance(self.address, Path)
        return self.address

    def close(self) -> None:
        """Close all connections; SQLite's write-ahead log is folded in."""
        self._reader.dispose()
        self._writer.dispose()

    @contextmanager
    def _changing_tables(self) -> Iterator[Connection]:
        with _translating():
            if isinstance(self.address, Path):
                with _changing_sqlite(self.address) as connection:
                    yield connection
                return
            with self._writer.begin() as connection:
                postgresql.begin_changing_tables(connection)
                yield connection


def parse_database_url(address: str) -> URL:
    """Read the URL of a PostgreSQL database.

    Raises:
        InvalidError: It is none. The message repeats nothing of it: it may hold a
            password.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise InvalidError("The URL of the database cannot be read.") from None
    if url.drivername not in _POSTGRESQL:
        raise InvalidError("The URL of the database must begin with postgresql://")
    return url.set(drivername="postgresql+psycopg")


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise InvalidError("A value is out of form.") from error
    except PoolTimeoutError as error:
        raise DatabaseError("The database is busy; try again.") from error
    except DBAPIError as error:
        if not postgresql.is_unanswered(error):
            raise
        logger.warning("The database does not answer: %s", error)
        raise DatabaseError("The database does not answer; try again.") from error


def _open_sqlite(path: Path, *, begin: str, size: int) -> Engine:
    url = URL.create("sqlite", database=str(path))
    # Parameters are other people's data, and errors are logged.
    engine = create_engine(url, pool_size=size, max_overflow=0, hide_parameters=True)
    _configure_sqlite(engine, begin=begin, foreign_keys=True)
    return engine


@contextmanager
def _changing_sqlite(path: Path) -> Iterator[Connection]:
    # While a table is replaced by another one of its name, others refer to neither.
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, poolclass=NullPool)
    _configure_sqlite(engine, begin="BEGIN IMMEDIATE", foreign_keys=False)
    with engine.begin() as connection:
        yield connection
        if connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
            raise SchemaError("Rows would refer to others that are not there.")


def _configure_sqlite(engine: Engine, *, begin: str, foreign_keys: bool) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # The driver must not open transactions by itself: ours begin explicitly.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
