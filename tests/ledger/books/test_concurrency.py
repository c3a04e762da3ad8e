"""Two transactions at once on PostgreSQL: the second waits, and sees the first."""

import threading
from collections.abc import Callable

import pytest
from books_database import books_database
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from ledger.books.account import Bound
from ledger.books.books import Books
from ledger.books.errors import FundsError, PendingPostedError, TransferError
from ledger.books.transfer import Hold, Post, Request, Transfer

ALICE, BOB = "alice", "bob"
POLLS_MAX = 10_000


@pytest.fixture
def shared(postgresql_books: URL):
    """Alice has 100, of which 60 are held; each session has its own connection."""
    with books_database(postgresql_books) as made:
        with Session(made) as session:
            books = Books(session, now_ms=5)
            books.open_account("source", bound=Bound.NONE)
            books.open_account(ALICE)
            books.open_account(BOB)
            books.apply(Transfer("t0", "source", ALICE, 100))
            books.apply(Hold("h1", ALICE, BOB, 60))
            books.flush()
            session.commit()
        engine = create_engine(postgresql_books, poolclass=NullPool)
        yield engine
        engine.dispose()


def is_waiting(engine: Engine) -> bool:
    """Whether, before long, some session waits for a lock."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with engine.connect() as connection:
        return any(connection.execute(query).scalar() for _ in range(POLLS_MAX))


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [
        (Post("p1", "h1"), Post("p2", "h1"), PendingPostedError),
        (Transfer("t1", ALICE, BOB, 40), Transfer("t2", ALICE, BOB, 1), FundsError),
        (Transfer("t1", ALICE, BOB, 40), Transfer("t2", BOB, ALICE, 40), None),
    ],
)
def test_second_waits_and_sees_the_first(
    shared: Engine,
    first: Request,
    second: Request,
    error: type[TransferError] | None,
) -> None:
    answers: list[object] = []

    def follow() -> None:
        with Session(shared) as session:
            books = Books(session, now_ms=5)
            try:
                answers.append(books.apply(second))
            except TransferError as refused:
                answers.append(type(refused))
            books.flush()
            session.commit()

    with Session(shared) as session:
        books = Books(session, now_ms=5)
        books.apply(first)
        thread = in_thread(follow)
        assert is_waiting(shared)
        assert answers == []
        books.flush()
        session.commit()
    thread.join(timeout=30)
    assert answers == [error or 40]


def test_readers_wait_for_nobody(shared: Engine) -> None:
    with Session(shared) as session, Session(shared) as reading:
        Books(session, now_ms=5).apply(Post("p1", "h1"))
        balance = Books(reading, now_ms=5, locking=False).balance(ALICE)
        assert balance.held_microcredits == 60
