"""An empty database with the tables of the books, for one test."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel

from ledger.books.models import BookAccount, BookTransfer

IN_MEMORY = make_url("sqlite://")
TABLES = [
    SQLModel.metadata.tables[table.__tablename__]
    for table in (BookAccount, BookTransfer)
]


@contextmanager
def books_database(url: URL = IN_MEMORY) -> Iterator[Engine]:
    """The database of this address, with these tables as long as it is open."""
    engine = create_engine(url, poolclass=StaticPool)
    if url == IN_MEMORY:
        event.listen(engine, "connect", _enforce_foreign_keys)
    SQLModel.metadata.create_all(engine, TABLES, checkfirst=False)
    try:
        yield engine
    finally:
        SQLModel.metadata.drop_all(engine, TABLES, checkfirst=False)
        engine.dispose()


def _enforce_foreign_keys(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
