"""Transfers, holds, posts and voids, and every reason to refuse one."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from ledger.books.books import Books
from ledger.books.errors import (
    AccountUnknownError,
    AmountError,
    FundsError,
    PendingExceededError,
    PendingResolvedError,
    PendingUnknownError,
    SameAccountError,
    TransferError,
    TransferExistsError,
)
from ledger.books.models import BookAccount, BookTransfer, TransferState
from ledger.limits import AMOUNT_MICROCREDITS_MAX

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


def transfer(books: Books, amount: Any, name: str = "t1", **sides: str) -> None:
    sides = {"debit": ALICE, "credit": BOB, **sides}
    books.transfer(name, amount_microcredits=amount, **sides)


def hold(books: Books, amount: Any, name: str = "h1", **sides: str) -> None:
    sides = {"debit": ALICE, "credit": BOB, **sides}
    books.hold(name, amount_microcredits=amount, **sides)


def test_transfer_moves_money(books: Books) -> None:
    transfer(books, 30)
    assert numbers(books, ALICE) == (70, 0, 70)
    assert numbers(books, BOB) == (30, 0, 30)
    assert numbers(books, SOURCE) == (-100, 0, -100)
    assert books.sum_posted_microcredits() == 0


def test_all_of_it_can_be_spent(books: Books) -> None:
    transfer(books, 100)
    assert numbers(books, ALICE) == (0, 0, 0)


def test_hold_reserves_money(books: Books) -> None:
    hold(books, 60)
    assert numbers(books, ALICE) == (100, 60, 40)
    # What is promised is not there yet.
    assert numbers(books, BOB) == (0, 0, 0)
    with pytest.raises(FundsError) as caught:
        transfer(books, 41)
    assert caught.value.needed_microcredits == 41
    assert caught.value.free_microcredits == 40


def test_post_pays_a_part_and_frees_the_rest(books: Books) -> None:
    hold(books, 60)
    books.post("p1", hold_id="h1", amount_microcredits=25)
    assert numbers(books, ALICE) == (75, 0, 75)
    assert numbers(books, BOB) == (25, 0, 25)


def test_post_pays_the_whole(books: Books) -> None:
    hold(books, 100)
    books.post("p1", hold_id="h1", amount_microcredits=100)
    assert numbers(books, ALICE) == (0, 0, 0)


def test_void_gives_the_whole_back(books: Books) -> None:
    hold(books, 60)
    books.void("h1")
    assert numbers(books, ALICE) == (100, 0, 100)


def test_transfers_are_kept(books: Books) -> None:
    hold(books, 60)
    books.post("p1", hold_id="h1", amount_microcredits=25)
    books.flush()
    held = books._session.get(BookTransfer, "h1")
    posted = books._session.get(BookTransfer, "p1")
    assert held is not None
    assert posted is not None
    assert held.state is TransferState.PENDING_POSTED
    assert (posted.resolves, posted.amount_microcredits) == ("h1", 25)
    assert posted.created_at_ms == 5


def test_opening_again_changes_nothing(books: Books) -> None:
    books.open_account(ALICE, may_overdraw=True)
    with pytest.raises(FundsError):
        transfer(books, 101)


@pytest.mark.parametrize("amount", [0, -1, True, 1.0, "1", None])
@pytest.mark.parametrize("operation", [transfer, hold])
def test_amount_that_is_none_is_refused(
    books: Books, operation: Callable[[Books, Any], None], amount: Any
) -> None:
    before = state(books)
    with pytest.raises(AmountError):
        operation(books, amount)
    hold(books, 10, "h9")
    with pytest.raises(AmountError):
        books.post("p9", hold_id="h9", amount_microcredits=amount)
    books.void("h9")
    assert state(books) == before


def test_amount_beyond_exact_json_is_refused(books: Books) -> None:
    transfer(books, AMOUNT_MICROCREDITS_MAX, debit=SOURCE)
    with pytest.raises(AmountError):
        transfer(books, AMOUNT_MICROCREDITS_MAX + 1, "t2", debit=SOURCE)


@pytest.mark.parametrize("operation", [transfer, hold])
def test_refused_operation_changes_nothing(
    books: Books, operation: Callable[..., None]
) -> None:
    before = state(books)
    with pytest.raises(FundsError):
        operation(books, 101)
    with pytest.raises(SameAccountError):
        operation(books, 1, credit=ALICE)
    with pytest.raises(AccountUnknownError):
        operation(books, 1, credit="nobody")
    with pytest.raises(AccountUnknownError):
        operation(books, 1, debit="nobody")
    with pytest.raises(TransferExistsError):
        operation(books, 1, "t0")
    assert state(books) == before


def test_post_is_refused_for_each_reason(books: Books) -> None:
    hold(books, 60)
    before = state(books)

    def post(name: str, hold_id: str, amount: int) -> type[TransferError]:
        with pytest.raises(TransferError) as caught:
            books.post(name, hold_id=hold_id, amount_microcredits=amount)
        return type(caught.value)

    assert post("p1", "h2", 1) is PendingUnknownError
    assert post("p1", "t0", 1) is PendingUnknownError
    assert post("p1", "h1", 61) is PendingExceededError
    assert post("t0", "h1", 1) is TransferExistsError
    assert state(books) == before


@pytest.mark.parametrize("resolve", ["post", "void"])
def test_hold_is_resolved_once(books: Books, resolve: str) -> None:
    hold(books, 60)
    if resolve == "post":
        books.post("p1", hold_id="h1", amount_microcredits=60)
    else:
        books.void("h1")
    before = state(books)
    with pytest.raises(PendingResolvedError):
        books.post("p2", hold_id="h1", amount_microcredits=1)
    with pytest.raises(PendingResolvedError):
        books.void("h1")
    assert state(books) == before


def test_void_of_nothing_is_refused(books: Books) -> None:
    with pytest.raises(PendingUnknownError):
        books.void("h1")
    with pytest.raises(PendingUnknownError):
        books.void("t0")


def test_reasons_have_their_precedence(books: Books) -> None:
    """The first of the list in `ledger.books.errors` that applies is told."""
    with pytest.raises(AmountError):
        transfer(books, 0, "t0", debit="nobody", credit="nobody")
    with pytest.raises(SameAccountError):
        transfer(books, 999, "t0", debit="nobody", credit="nobody")
    with pytest.raises(AccountUnknownError):
        transfer(books, 999, "t0", debit="nobody")
    with pytest.raises(TransferExistsError):
        transfer(books, 999, "t0")


def test_balance_of_nobody_is_refused(books: Books) -> None:
    with pytest.raises(AccountUnknownError):
        books.balance("nobody")


def test_each_reason_has_its_code() -> None:
    errors = TransferError.__subclasses__()
    codes = {error.code for error in errors}
    assert len(codes) == len(errors) == 8
    assert all(code.startswith("BOOKS.") for code in codes)


@pytest.mark.parametrize(
    "values",
    [
        {"debits_posted": 101},
        {"debits_pending": 101},
        {"debits_pending": -1},
        {"credits_posted": -1},
    ],
)
def test_database_refuses_what_must_not_be(
    books: Books, values: dict[str, int]
) -> None:
    """Even a fault of ours leaves no balance out of its bounds."""
    with pytest.raises(IntegrityError):
        books._session.execute(
            update(BookAccount)
            .where(col(BookAccount.account_id) == ALICE)
            .values(**values)
        )


def test_rollback_takes_everything_back(books: Books) -> None:
    hold(books, 60)
    before = numbers(books, ALICE)
    mark = books.mark()
    books.post("p1", hold_id="h1", amount_microcredits=25)
    transfer(books, 10)
    books.rollback_to(mark)
    assert numbers(books, ALICE) == before
    books.flush()
    assert books._session.get(BookTransfer, "p1") is None
    books.void("h1")
    assert numbers(books, ALICE) == (100, 0, 100)


def test_flush_keeps_what_moved(books: Books) -> None:
    hold(books, 60)
    books.post("p1", hold_id="h1", amount_microcredits=25)
    books.flush()
    again = Books(books._session, now_ms=6)
    assert numbers(again, ALICE) == numbers(books, ALICE) == (75, 0, 75)


def test_fresh_id_is_recorded_once(books: Books) -> None:
    fresh = books.new_transfer_id("pay")
    books.transfer(fresh, debit=ALICE, credit=BOB, amount_microcredits=1)
    with pytest.raises(TransferExistsError):
        books.transfer(fresh, debit=ALICE, credit=BOB, amount_microcredits=1)
