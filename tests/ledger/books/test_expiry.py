"""Holds that run out of time."""

import pytest
from sqlmodel import Session

from ledger.books.books import Books
from ledger.books.errors import (
    FundsError,
    KindDiffersError,
    NotPendingError,
    PendingExpiredError,
    PendingPostedError,
    TransferExistsError,
)
from ledger.books.models import BookTransfer
from ledger.books.transfer import Hold, Post, Transfer, TransferKind, Void

ALICE, BOB = "alice", "bob"


def later(books: Books, session: Session, now_ms: int) -> Books:
    books.flush()
    return Books(session, now_ms=now_ms)


@pytest.fixture
def holds(books: Books) -> Books:
    """Five holds from time 5 on; three of them end at 15, 25 and 25."""
    books.apply(Hold("h3", ALICE, BOB, 3, timeout_ms=20))
    books.apply(Hold("h2", ALICE, BOB, 2, timeout_ms=20))
    books.apply(Hold("h1", ALICE, BOB, 1, timeout_ms=10))
    books.apply(Hold("h4", ALICE, BOB, 40, timeout_ms=1000))
    books.apply(Hold("h5", ALICE, BOB, 50))
    return books


def test_hold_is_good_until_its_time(holds: Books, session: Session) -> None:
    books = later(holds, session, 14)
    assert books.expire() == []
    books.post("p1", hold_id="h1")
    assert books.balance(BOB).posted_microcredits == 1


def test_hold_past_its_time_is_refused_before_the_pass(
    holds: Books, session: Session
) -> None:
    books = later(holds, session, 15)
    with pytest.raises(PendingExpiredError):
        books.apply(Post("p1", "h1"))
    with pytest.raises(PendingExpiredError):
        books.apply(Void("v1", "h1"))
    # Its money is not free before the pass.
    assert books.balance(ALICE).held_microcredits == 96
    with pytest.raises(FundsError):
        books.apply(Transfer("t1", ALICE, BOB, 5))


def test_pass_gives_back_the_longest_overdue_first(
    holds: Books, session: Session
) -> None:
    books = later(holds, session, 25)
    expired = books.expire(count_max=2)
    assert [(each.hold_id, each.amount_microcredits) for each in expired] == [
        ("h1", 1),
        ("h2", 2),
    ]
    assert {(each.debit, each.credit) for each in expired} == {(ALICE, BOB)}
    assert books.balance(ALICE).held_microcredits == 93
    assert [each.hold_id for each in books.expire(count_max=2)] == ["h3"]
    assert books.expire(count_max=2) == []
    books = later(books, session, 26)
    assert books.expire() == []
    assert books.balance(ALICE).held_microcredits == 90
    books.apply(Transfer("t1", ALICE, BOB, 10))


def test_expired_hold_stays_so(holds: Books, session: Session) -> None:
    books = later(holds, session, 15)
    (expired,) = books.expire()
    for each in (books, later(books, session, 5)):
        # Even if the clock goes back.
        with pytest.raises(PendingExpiredError):
            each.apply(Post("p1", "h1"))
        with pytest.raises(PendingExpiredError):
            each.apply(Void("v1", "h1"))
        with pytest.raises(NotPendingError):
            each.apply(Void("v1", expired.transfer_id))
        with pytest.raises(KindDiffersError):
            each.apply(Void(expired.transfer_id, "h1"))
        with pytest.raises(TransferExistsError):
            each.apply(Hold("h1", ALICE, BOB, 1, timeout_ms=10))
    row = session.get_one(BookTransfer, expired.transfer_id)
    assert (row.kind, row.resolves, row.created_at_ms) == (
        TransferKind.EXPIRE,
        "h1",
        15,
    )
    assert session.get_one(BookTransfer, "h1").resolution is TransferKind.EXPIRE


def test_resolved_hold_does_not_expire(holds: Books, session: Session) -> None:
    books = later(holds, session, 14)
    books.apply(Post("p1", "h1"))
    books = later(books, session, 24)
    books.apply(Void("v2", "h2"))
    books = later(books, session, 99)
    assert [each.hold_id for each in books.expire()] == ["h3"]
    with pytest.raises(PendingPostedError):
        books.apply(Post("p2", "h1"))


def test_hold_resolved_in_this_batch_does_not_expire(
    holds: Books, session: Session
) -> None:
    books = later(holds, session, 14)
    books.apply(Post("p1", "h1"))
    # The same transaction, and the clock of the next.
    books._now_ms = 25
    assert [each.hold_id for each in books.expire(count_max=1)] == ["h2"]


def test_expiry_is_taken_back(holds: Books, session: Session) -> None:
    books = later(holds, session, 15)
    mark = books.mark()
    assert len(books.expire()) == 1
    books.rollback_to(mark)
    assert books.balance(ALICE).held_microcredits == 96
    assert len(books.expire()) == 1
