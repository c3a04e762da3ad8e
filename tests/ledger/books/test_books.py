"""Transfers, holds, posts, voids, accounts, and what a batch remembers."""

from typing import Any

import pytest
from sqlmodel import Session

from ledger.books.account import Bound
from ledger.books.books import Books
from ledger.books.errors import (
    AccountDiffersError,
    AccountUnknownError,
    CreditClosedError,
    DebitClosedError,
    DebitUnknownError,
    FundsError,
    IdentifierError,
    PendingPostedError,
    PendingVoidedError,
    RoomError,
    TransferExistsError,
)
from ledger.books.models import BookTransfer
from ledger.books.transfer import Hold, Post, Transfer, TransferKind, Void

SOURCE, ALICE, BOB = "source", "alice", "bob"


def numbers(books: Books, account: str) -> tuple[int, int, int]:
    balance = books.balance(account)
    return (
        balance.posted_microcredits,
        balance.held_microcredits,
        balance.free_microcredits,
    )


def state(books: Books) -> list[dict[str, Any]]:
    return [account.model_dump() for account in books.accounts()]


def again(books: Books, session: Session, now_ms: int = 6) -> Books:
    """What another transaction sees."""
    books.flush()
    return Books(session, now_ms=now_ms)


def test_transfer_moves_money(books: Books) -> None:
    books.transfer("t1", debit=ALICE, credit=BOB, amount_microcredits=30)
    assert numbers(books, ALICE) == (70, 0, 70)
    assert numbers(books, BOB) == (30, 0, 30)
    assert numbers(books, SOURCE) == (-100, 0, -100)
    assert books.sum_posted_microcredits() == 0


def test_all_of_it_can_be_spent(books: Books) -> None:
    assert books.apply(Transfer("t1", ALICE, BOB, 100)) == 100
    assert numbers(books, ALICE) == (0, 0, 0)


def test_hold_reserves_money(books: Books) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=60)
    assert numbers(books, ALICE) == (100, 60, 40)
    # What is promised is not there yet.
    assert numbers(books, BOB) == (0, 0, 0)
    with pytest.raises(FundsError) as caught:
        books.transfer("t1", debit=ALICE, credit=BOB, amount_microcredits=41)
    assert caught.value.needed_microcredits == 41
    assert caught.value.free_microcredits == 40


def test_post_pays_a_part_and_frees_the_rest(books: Books) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=60)
    books.post("p1", hold_id="h1", amount_microcredits=25)
    assert numbers(books, ALICE) == (75, 0, 75)
    assert numbers(books, BOB) == (25, 0, 25)


@pytest.mark.parametrize("amount", [100, None])
def test_post_pays_the_whole(books: Books, amount: int | None) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=100)
    assert books.apply(Post("p1", "h1", amount)) == 100
    assert numbers(books, ALICE) == (0, 0, 0)


def test_void_gives_the_whole_back(books: Books) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=60)
    assert books.apply(Void("v1", "h1")) == 60
    assert numbers(books, ALICE) == (100, 0, 100)
    books.hold("h2", debit=ALICE, credit=BOB, amount_microcredits=100)
    books.void("h2")
    assert numbers(books, ALICE) == (100, 0, 100)


def test_transfers_are_kept(books: Books, session: Session) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=60)
    books.flush()
    books.post("p1", hold_id="h1", amount_microcredits=25)
    books.hold("h2", debit=ALICE, credit=BOB, amount_microcredits=7, timeout_ms=9)
    books.void("h2", transfer_id="v2")
    books.flush()
    rows = {name: session.get_one(BookTransfer, name) for name in ("h1", "p1", "v2")}
    assert rows["h1"].resolution is TransferKind.POST
    assert (rows["h1"].resolves, rows["h1"].held_microcredits) == (None, None)
    assert (rows["p1"].kind, rows["p1"].resolves) == (TransferKind.POST, "h1")
    assert (rows["p1"].amount_microcredits, rows["p1"].held_microcredits) == (25, 60)
    assert rows["p1"].created_at_ms == 5
    assert (rows["v2"].kind, rows["v2"].resolves) == (TransferKind.VOID, "h2")
    second = session.get_one(BookTransfer, "h2")
    assert (second.resolution, second.expires_at_ms) == (TransferKind.VOID, 14)


@pytest.mark.parametrize("resolve", ["post", "void"])
@pytest.mark.parametrize("flushed", [False, True])
def test_hold_is_resolved_once(
    books: Books, session: Session, resolve: str, *, flushed: bool
) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=60)
    books.apply(Post("p1", "h1") if resolve == "post" else Void("p1", "h1"))
    before = state(books)
    books = again(books, session) if flushed else books
    error = PendingPostedError if resolve == "post" else PendingVoidedError
    with pytest.raises(error):
        books.post("p2", hold_id="h1", amount_microcredits=1)
    with pytest.raises(error):
        books.void("h1")
    assert state(books) == before


def test_balancing_debit_takes_what_is_there(books: Books) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=30)
    assert books.apply(Transfer("t1", ALICE, BOB, 500, balancing_debit=True)) == 70
    assert numbers(books, ALICE) == (30, 30, 0)
    with pytest.raises(FundsError):
        books.apply(Transfer("t2", ALICE, BOB, 500, balancing_debit=True))
    # Of enough it takes no more than is wanted.
    assert books.apply(Transfer("t3", BOB, ALICE, 5, balancing_debit=True)) == 5


def test_balancing_debit_holds_for_any_bound(books: Books) -> None:
    with pytest.raises(FundsError):
        books.apply(Transfer("t1", SOURCE, ALICE, 5, balancing_debit=True))


def test_balancing_credit_fills_what_is_missing(books: Books) -> None:
    assert books.apply(Hold("h1", ALICE, SOURCE, 60)) == 60
    assert books.apply(Hold("h2", ALICE, SOURCE, 99, balancing_credit=True)) == 40
    assert numbers(books, ALICE) == (100, 100, 0)
    with pytest.raises(RoomError):
        books.apply(Transfer("t1", BOB, SOURCE, 1, balancing_credit=True))


def test_balancing_both_takes_the_smaller(books: Books) -> None:
    books.apply(Transfer("t1", ALICE, BOB, 70))
    request = Transfer(
        "t2", ALICE, SOURCE, 99, balancing_debit=True, balancing_credit=True
    )
    assert books.apply(request) == 30
    books.apply(Transfer("t3", SOURCE, BOB, 5))
    books.apply(Transfer("t4", BOB, SOURCE, 60))
    request = Transfer(
        "t5", BOB, SOURCE, 99, balancing_debit=True, balancing_credit=True
    )
    assert books.apply(request) == 15


def test_source_takes_back_what_it_gave(books: Books) -> None:
    books.open_account("mint", bound=Bound.NONE)
    books.transfer("t1", debit="mint", credit=ALICE, amount_microcredits=50)
    with pytest.raises(RoomError) as caught:
        books.transfer("t2", debit=ALICE, credit=SOURCE, amount_microcredits=101)
    assert caught.value.needed_microcredits == 101
    assert caught.value.room_microcredits == 100
    books.hold("h1", debit=ALICE, credit=SOURCE, amount_microcredits=60)
    with pytest.raises(RoomError):
        books.transfer("t3", debit=ALICE, credit=SOURCE, amount_microcredits=41)
    books.post("p1", hold_id="h1", amount_microcredits=60)
    books.transfer("t4", debit=ALICE, credit=SOURCE, amount_microcredits=40)
    assert numbers(books, SOURCE) == (0, 0, 0)


def test_closed_account_only_gives_back(books: Books, session: Session) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=20)
    books.hold("h2", debit=ALICE, credit=BOB, amount_microcredits=20)
    books.close_account(BOB)
    books = again(books, session)
    with pytest.raises(CreditClosedError):
        books.transfer("t1", debit=ALICE, credit=BOB, amount_microcredits=1)
    with pytest.raises(CreditClosedError):
        books.post("p1", hold_id="h1")
    books.close_account(ALICE)
    with pytest.raises(DebitClosedError):
        books.post("p1", hold_id="h1")
    books.void("h1")
    assert numbers(books, ALICE) == (100, 20, 80)
    books.reopen_account(ALICE)
    books.reopen_account(BOB)
    books = again(books, session)
    books.post("p2", hold_id="h2")
    assert numbers(books, BOB) == (20, 0, 20)


def test_closing_is_taken_back(books: Books) -> None:
    mark = books.mark()
    books.close_account(ALICE)
    books.rollback_to(mark)
    books.transfer("t1", debit=ALICE, credit=BOB, amount_microcredits=1)


def test_opening_again_changes_nothing(books: Books) -> None:
    books.open_account(ALICE)
    with pytest.raises(AccountDiffersError):
        books.open_account(ALICE, bound=Bound.NONE)
    assert numbers(books, ALICE) == (100, 0, 100)
    with pytest.raises(FundsError):
        books.transfer("t1", debit=ALICE, credit=BOB, amount_microcredits=101)


def test_opening_is_taken_back(books: Books) -> None:
    mark = books.mark()
    books.open_account("carol")
    books.transfer("t1", debit=ALICE, credit="carol", amount_microcredits=1)
    books.rollback_to(mark)
    with pytest.raises(AccountUnknownError):
        books.balance("carol")
    books.open_account("carol", bound=Bound.NONE)
    books.transfer("t1", debit="carol", credit=ALICE, amount_microcredits=1)
    assert [account.account_id for account in books.accounts()] == sorted(
        [ALICE, BOB, SOURCE, "carol"]
    )
    assert numbers(books, ALICE) == (101, 0, 101)


@pytest.mark.parametrize(
    "name", ["", "x" * 129, "a\0b", "caf\N{LATIN SMALL LETTER E}\n"]
)
def test_account_needs_a_plain_name(books: Books, name: str) -> None:
    with pytest.raises(IdentifierError):
        books.open_account(name)


def test_nobody_is_refused(books: Books) -> None:
    with pytest.raises(AccountUnknownError):
        books.balance("nobody")
    with pytest.raises(AccountUnknownError):
        books.close_account("nobody")
    with pytest.raises(AccountUnknownError):
        books.reopen_account("nobody")


def test_rollback_takes_everything_back(books: Books, session: Session) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=60)
    before = numbers(books, ALICE)
    mark = books.mark()
    books.post("p1", hold_id="h1", amount_microcredits=25)
    books.transfer("t1", debit=ALICE, credit=BOB, amount_microcredits=10)
    books.rollback_to(mark)
    assert numbers(books, ALICE) == before
    books.flush()
    assert session.get(BookTransfer, "p1") is None
    books.void("h1")
    assert numbers(books, ALICE) == (100, 0, 100)


def test_rollback_opens_a_stored_hold_again(books: Books, session: Session) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=60)
    books = again(books, session)
    mark = books.mark()
    books.post("p1", hold_id="h1")
    books.rollback_to(mark)
    books.flush()
    assert session.get_one(BookTransfer, "h1").resolution is None
    books.post("p1", hold_id="h1")
    assert numbers(again(books, session), BOB) == (60, 0, 60)


def test_rollback_does_not_reach_behind_a_flush(books: Books) -> None:
    mark = books.mark()
    books.transfer("t1", debit=ALICE, credit=BOB, amount_microcredits=10)
    books.flush()
    assert books.mark() > mark
    with pytest.raises(AssertionError):
        books.rollback_to(mark)


def test_flush_keeps_what_moved(books: Books, session: Session) -> None:
    books.hold("h1", debit=ALICE, credit=BOB, amount_microcredits=60)
    books.post("p1", hold_id="h1", amount_microcredits=25)
    assert numbers(again(books, session), ALICE) == (75, 0, 75)
    assert numbers(books, ALICE) == (75, 0, 75)


def test_fresh_id_is_recorded_once(books: Books) -> None:
    fresh = books.new_transfer_id("pay")
    books.transfer(fresh, debit=ALICE, credit=BOB, amount_microcredits=1)
    with pytest.raises(TransferExistsError):
        books.transfer(fresh, debit=ALICE, credit=BOB, amount_microcredits=1)


def test_refused_id_can_be_used_later(books: Books) -> None:
    with pytest.raises(FundsError):
        books.transfer("t1", debit=BOB, credit=ALICE, amount_microcredits=1)
    with pytest.raises(DebitUnknownError):
        books.transfer("t1", debit="nobody", credit=ALICE, amount_microcredits=1)
    books.transfer("t1", debit=ALICE, credit=BOB, amount_microcredits=1)
