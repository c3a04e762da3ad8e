"""Books in a fresh database in memory, with some money in them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine
from sqlmodel import Session, SQLModel

from ledger.books.books import Books

SOURCE, ALICE, BOB = "source", "alice", "bob"


@pytest.fixture
def books() -> Iterator[Books]:
    """Alice has 100; money comes out of an account that may overdraw."""
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        books = Books(session, now_ms=5)
        books.open_account(SOURCE, may_overdraw=True)
        books.open_account(ALICE)
        books.open_account(BOB)
        books.transfer("t0", debit=SOURCE, credit=ALICE, amount_microcredits=100)
        yield books
    engine.dispose()
