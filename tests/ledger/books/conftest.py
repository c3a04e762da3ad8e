"""Books in a fresh database of both kinds, with some money in them."""

from collections.abc import Iterator

import pytest
from books_database import IN_MEMORY, books_database
from databases import PostgresqlServer
from sqlalchemy import URL, Engine
from sqlmodel import Session

from ledger.books.account import Bound
from ledger.books.books import Books

SOURCE, ALICE, BOB = "source", "alice", "bob"


@pytest.fixture(scope="session")
def postgresql_books(postgresql: PostgresqlServer) -> Iterator[URL]:
    """A PostgreSQL database without tables."""
    with postgresql.database("template1") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A database with empty tables of the books: the test runs on both kinds."""
    is_sqlite = request.param == "sqlite"
    url = IN_MEMORY if is_sqlite else request.getfixturevalue("postgresql_books")
    with books_database(url) as engine:
        yield engine


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Its one transaction."""
    with Session(engine) as session:
        yield session


@pytest.fixture
def books(session: Session) -> Books:
    """Alice has 100; money comes out of an account that takes no more than it gave."""
    books = Books(session, now_ms=5)
    books.open_account(SOURCE, bound=Bound.CREDITS_MUST_NOT_EXCEED_DEBITS)
    books.open_account(ALICE)
    books.open_account(BOB)
    books.transfer("t0", debit=SOURCE, credit=ALICE, amount_microcredits=100)
    return books
