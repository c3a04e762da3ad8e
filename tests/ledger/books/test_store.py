"""How often the database is asked, and what it is asked for."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.dialects import postgresql
from sqlmodel import Session

from ledger.books.books import Books
from ledger.books.errors import AccountUnknownError, PendingUnknownError
from ledger.books.store import (
    _RECORD_FIELDS,
    _TRANSFERS,
    KEYS_PER_QUERY_MAX,
    BookStore,
    _select_by_key,
)
from ledger.books.transfer import Hold, Post, Transfer

ALICE, BOB = "alice", "bob"


@pytest.fixture
def asked(engine: Engine) -> Iterator[list[str]]:
    """The statements that reached the database, by their first words."""
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _on_execute(
        _connection: object, _cursor: object, statement: str, *_rest: object
    ) -> None:
        statements.append(statement)

    yield statements
    event.remove(engine, "before_cursor_execute", _on_execute)


@pytest.fixture
def stored(books: Books, session: Session) -> Session:
    for place in range(20):
        books.apply(Hold(f"h{place}", ALICE, BOB, 1))
    books.flush()
    return session


def test_prefetch_asks_once_for_each_table(stored: Session, asked: list[str]) -> None:
    books = Books(stored, now_ms=6)
    holds = [f"h{place}" for place in range(20)]
    books.prefetch(["nobody"], [*holds, *(f"p{place}" for place in range(20))])
    assert len(asked) == 2
    books.prefetch([ALICE], holds)
    for place, hold in enumerate(holds):
        books.apply(Post(f"p{place}", hold))
    books.apply(Transfer(books.new_transfer_id("pay"), ALICE, BOB, 1))
    assert len(asked) == 2
    books.flush()
    # What was resolved, what resolved it and one more, and the sums.
    assert [text.split()[0] for text in asked[2:]] == ["UPDATE", "INSERT", "UPDATE"]


def test_without_it_rows_are_read_when_they_are_needed(
    stored: Session, asked: list[str]
) -> None:
    books = Books(stored, now_ms=6)
    books.apply(Post("p1", "h1"))
    books.apply(Post("p2", "h2"))
    # Two ids each, and the accounts of both together.
    assert len(asked) == 5


def test_prefetch_of_nobody_finds_nobody(stored: Session) -> None:
    books = Books(stored, now_ms=6)
    books.prefetch(["nobody"], ["nothing"])
    with pytest.raises(AccountUnknownError):
        books.balance("nobody")
    with pytest.raises(PendingUnknownError):
        books.apply(Post("p1", "nothing"))


def test_prefetch_keeps_what_moved_since(stored: Session) -> None:
    books = Books(stored, now_ms=6)
    books.apply(Transfer("t1", ALICE, BOB, 5))
    books.apply(Post("p1", "h1"))
    books.prefetch([ALICE, BOB], ["h1", "t1"])
    assert books.balance(BOB).posted_microcredits == 6


def test_nothing_is_written_that_did_not_change(
    stored: Session, asked: list[str]
) -> None:
    books = Books(stored, now_ms=6)
    books.balance(ALICE)
    mark = books.mark()
    books.apply(Transfer("t1", ALICE, BOB, 5))
    books.rollback_to(mark)
    asked.clear()
    books.flush()
    assert asked == []


def test_many_keys_take_several_queries(stored: Session, asked: list[str]) -> None:
    store = BookStore(stored, locking=True)
    keys = [f"x{place}" for place in range(2 * KEYS_PER_QUERY_MAX)]
    assert store.read_transfers(keys) == {}
    assert list(store.read_transfers([*keys, "h1"])) == ["h1"]
    assert len(asked) == 2 + 3


@pytest.mark.parametrize("locking", [True, False])
def test_rows_are_locked_in_order_where_they_can_be(*, locking: bool) -> None:
    query = _select_by_key(_TRANSFERS, _RECORD_FIELDS, locking=locking)
    text = str(query.compile(dialect=postgresql.dialect()))
    assert "ORDER BY book_transfer.transfer_id" in text
    assert text.endswith("FOR UPDATE") == locking
