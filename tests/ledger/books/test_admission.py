"""Every reason to refuse, and which of several is told."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import Session, col

from ledger.books import errors
from ledger.books.account import SUM_MICROCREDITS_MAX, Bound
from ledger.books.books import Books
from ledger.books.errors import PRECEDENCE, TransferError
from ledger.books.models import BookAccount
from ledger.books.transfer import (
    IDENTIFIER_CHARACTERS_MAX,
    TIMEOUT_MS_MAX,
    Hold,
    Post,
    Request,
    Transfer,
    Void,
)
from ledger.limits import AMOUNT_MICROCREDITS_MAX

SOURCE, ALICE, BOB = "source", "alice", "bob"
LONG = "x" * IDENTIFIER_CHARACTERS_MAX


def sums(books: Books) -> list[dict[str, Any]]:
    return [account.model_dump() for account in books.accounts()]


def refusal(books: Books, request: Request) -> type[TransferError]:
    """What is told; and nothing has changed."""
    before = sums(books)
    with pytest.raises(TransferError) as caught:
        books.apply(request)
    assert sums(books) == before
    return type(caught.value)


def test_precedence_has_each_reason_once() -> None:
    classes = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, TransferError)
    ]
    codes = [each.code for each in classes]
    assert len(set(codes)) == len(codes)
    assert all(code.startswith("BOOKS.") for code in codes)
    groups = {each for each in classes if each.__subclasses__()}
    of_accounts = {errors.AccountDiffersError}
    chain = {errors.ChainError}
    assert {*PRECEDENCE} == {*classes} - groups - of_accounts - chain
    assert len({*PRECEDENCE}) == len(PRECEDENCE)


@pytest.mark.parametrize("amount", [0, -1, True, 1.0, "1", AMOUNT_MICROCREDITS_MAX + 1])
@pytest.mark.parametrize(
    "make",
    [
        lambda amount: Transfer("t1", ALICE, BOB, amount),
        lambda amount: Hold("t1", ALICE, BOB, amount),
        lambda amount: Post("t1", "h1", amount),
    ],
)
def test_amount_that_is_none_is_refused(
    books: Books, make: Callable[[Any], Request], amount: Any
) -> None:
    books.apply(Hold("h1", ALICE, BOB, 10))
    assert refusal(books, make(amount)) is errors.AmountError


def test_largest_amount_is_taken(books: Books) -> None:
    books.apply(Transfer("t1", SOURCE, BOB, AMOUNT_MICROCREDITS_MAX))
    assert books.balance(BOB).posted_microcredits == AMOUNT_MICROCREDITS_MAX


@pytest.mark.parametrize("timeout", [0, -1, True, 1.0, "1", TIMEOUT_MS_MAX + 1])
def test_timeout_that_is_none_is_refused(books: Books, timeout: Any) -> None:
    request = Hold("h1", ALICE, BOB, 1, timeout_ms=timeout)
    assert refusal(books, request) is errors.HoldTimeoutError
    books.apply(Hold("h1", ALICE, BOB, 1, timeout_ms=TIMEOUT_MS_MAX))


@pytest.mark.parametrize("name", ["", LONG + "x", "a\0b", "a\nb", "\u00e9"])
@pytest.mark.parametrize(
    "make",
    [
        lambda name: Transfer(name, ALICE, BOB, 1),
        lambda name: Transfer("t1", name, BOB, 1),
        lambda name: Hold("t1", ALICE, name, 1),
        lambda name: Post(name, "h1"),
        lambda name: Post("t1", name),
        lambda name: Void("t1", name),
    ],
)
def test_name_that_is_none_is_refused(
    books: Books, make: Callable[[str], Request], name: str
) -> None:
    assert refusal(books, make(name)) is errors.IdentifierError
    books.apply(Transfer(LONG, ALICE, BOB, 1))


@pytest.mark.parametrize("kind", [Transfer, Hold])
def test_movement_has_its_precedence(
    books: Books, session: Session, kind: type[Transfer | Hold]
) -> None:
    """Each request mends what the one before was refused for, and nothing else."""
    fill_up(books, session)

    def told(name: str, debit: str, credit: str, amount: int) -> type[TransferError]:
        return refusal(books, kind(name, debit, credit, amount))

    assert told("\0", "one", "one", 0) is errors.IdentifierError
    assert told("t1", "one", "one", 0) is errors.AmountError
    assert told("t1", "one", "one", 99) is errors.SameAccountError
    assert told("t1", "one", "two", 99) is errors.DebitUnknownError
    books.open_account("one")
    books.close_account("one")
    assert told("t1", "one", "two", 99) is errors.CreditUnknownError
    books.open_account("two", bound=Bound.CREDITS_MUST_NOT_EXCEED_DEBITS)
    books.close_account("two")
    assert told("t1", "one", "two", 99) is errors.DebitClosedError
    assert told("t1", "full", "two", 99) is errors.CreditClosedError
    books.reopen_account("two")
    assert told("t1", "full", "brim", 99) is errors.DebitsOverflowError
    books.reopen_account("one")
    assert told("t1", "one", "brim", 99) is errors.CreditsOverflowError
    assert told("t1", "one", "two", 99) is errors.FundsError
    books.apply(Transfer("t2", SOURCE, "one", 99))
    assert told("t1", "one", "two", 99) is errors.RoomError
    books.apply(Transfer("t3", "two", ALICE, 99))
    assert books.apply(kind("t1", "one", "two", 99)) == 99


def fill_up(books: Books, session: Session) -> None:
    """Two accounts whose sums have room for 98, one of them without money."""
    for name in ("full", "brim"):
        books.open_account(name)
    books.flush()
    held = SUM_MICROCREDITS_MAX - 98
    for name in ("full", "brim"):
        session.execute(
            update(BookAccount)
            .where(col(BookAccount.account_id) == name)
            .values(debits_posted=held, credits_posted=held)
        )
    books.prefetch(["full", "brim"])
    for name in ("full", "brim"):
        del books._pages._accounts[name]


@pytest.mark.parametrize("kind", [Transfer, Hold])
def test_sums_are_filled_to_the_last(
    books: Books, session: Session, kind: type[Transfer | Hold]
) -> None:
    fill_up(books, session)
    books.apply(Hold("h1", SOURCE, "brim", 90))
    request = kind("t1", SOURCE, "brim", 9)
    assert refusal(books, request) is errors.CreditsOverflowError
    books.apply(kind("t1", SOURCE, "brim", 8))
    # What is posted was pending before, so there is room for it.
    books.post("p1", hold_id="h1", amount_microcredits=90)
    books.flush()
    again = Books(session, now_ms=5)
    request = Transfer("t2", SOURCE, "brim", 1)
    assert refusal(again, request) is errors.CreditsOverflowError


@pytest.mark.parametrize("flushed", [False, True])
def test_repetition_of_a_movement_has_its_precedence(
    books: Books, session: Session, *, flushed: bool
) -> None:
    books.apply(Hold("h1", ALICE, BOB, 10, timeout_ms=7))
    if flushed:
        books.flush()
        books = Books(session, now_ms=6)

    def told(request: Request) -> type[TransferError]:
        return refusal(books, request)

    assert told(Hold("h1", BOB, BOB, 11, timeout_ms=0)) is errors.HoldTimeoutError
    assert told(Hold("h1", BOB, BOB, 11, timeout_ms=8)) is errors.SameAccountError
    assert told(Transfer("h1", BOB, ALICE, 11)) is errors.KindDiffersError
    assert (
        told(Hold("h1", BOB, ALICE, 11, timeout_ms=8, balancing_debit=True))
        is errors.KindDiffersError
    )
    assert (
        told(Hold("h1", ALICE, BOB, 10, timeout_ms=7, balancing_credit=True))
        is errors.KindDiffersError
    )
    assert told(Post("h1", "h1")) is errors.KindDiffersError
    assert told(Void("h1", "nothing")) is errors.KindDiffersError
    assert told(Hold("h1", BOB, ALICE, 11, timeout_ms=8)) is errors.TimeoutDiffersError
    assert told(Hold("h1", BOB, ALICE, 11)) is errors.TimeoutDiffersError
    assert told(Hold("h1", BOB, "nobody", 11, timeout_ms=7)) is errors.DebitDiffersError
    assert (
        told(Hold("h1", ALICE, "nobody", 11, timeout_ms=7)) is errors.CreditDiffersError
    )
    assert told(Hold("h1", ALICE, BOB, 11, timeout_ms=7)) is errors.AmountDiffersError
    assert told(Hold("h1", ALICE, BOB, 9, timeout_ms=7)) is errors.AmountDiffersError
    assert told(Hold("h1", ALICE, BOB, 10, timeout_ms=7)) is errors.TransferExistsError


def test_repetition_is_told_whatever_happened_since(books: Books) -> None:
    books.apply(Hold("h1", ALICE, BOB, 100))
    books.apply(Post("p1", "h1"))
    books.close_account(ALICE)
    books.close_account(BOB)
    assert refusal(books, Hold("h1", ALICE, BOB, 100)) is errors.TransferExistsError
    assert refusal(books, Post("p1", "h1")) is errors.TransferExistsError
    assert refusal(books, Post("p1", "h1", 100)) is errors.TransferExistsError


def test_repetition_of_a_balancing_transfer_may_want_more(books: Books) -> None:
    def request(amount: int) -> Transfer:
        return Transfer("t1", ALICE, BOB, amount, balancing_debit=True)

    assert books.apply(request(150)) == 100
    assert refusal(books, request(150)) is errors.TransferExistsError
    assert refusal(books, request(100)) is errors.TransferExistsError
    assert refusal(books, request(99)) is errors.AmountDiffersError
    plain = Transfer("t1", ALICE, BOB, 100)
    assert refusal(books, plain) is errors.KindDiffersError


def test_repetition_of_a_resolution_has_its_precedence(books: Books) -> None:
    books.apply(Hold("h1", ALICE, BOB, 10))
    books.apply(Hold("h2", ALICE, BOB, 10))
    books.apply(Post("p1", "h1", 4))
    books.apply(Void("v2", "h2"))
    assert refusal(books, Void("p1", "h2")) is errors.KindDiffersError
    assert refusal(books, Transfer("p1", ALICE, BOB, 4)) is errors.KindDiffersError
    assert refusal(books, Post("p1", "h2", 5)) is errors.HoldDiffersError
    assert refusal(books, Post("p1", "nothing", 5)) is errors.HoldDiffersError
    assert refusal(books, Post("p1", "h1", 5)) is errors.AmountDiffersError
    assert refusal(books, Post("p1", "h1")) is errors.AmountDiffersError
    assert refusal(books, Post("p1", "h1", 4)) is errors.TransferExistsError
    assert refusal(books, Void("v2", "h1")) is errors.HoldDiffersError
    assert refusal(books, Void("v2", "h2")) is errors.TransferExistsError


def test_post_has_its_precedence(books: Books) -> None:
    books.apply(Hold("h1", ALICE, BOB, 10))
    books.close_account(ALICE)
    books.close_account(BOB)
    assert refusal(books, Post("\0", "t0", 0)) is errors.IdentifierError
    assert refusal(books, Post("p1", "\0", 0)) is errors.IdentifierError
    assert refusal(books, Post("p1", "t0", 0)) is errors.AmountError
    assert refusal(books, Post("p1", "h2", 999)) is errors.PendingUnknownError
    assert refusal(books, Post("p1", "p1", 999)) is errors.PendingUnknownError
    assert refusal(books, Post("p1", "t0", 999)) is errors.NotPendingError
    assert refusal(books, Post("p1", "h1", 11)) is errors.PendingExceededError
    assert refusal(books, Post("p1", "h1", 10)) is errors.DebitClosedError
    books.reopen_account(ALICE)
    assert refusal(books, Post("p1", "h1", 10)) is errors.CreditClosedError
    books.reopen_account(BOB)
    books.apply(Post("p1", "h1", 10))
    assert refusal(books, Post("p2", "h1", 11)) is errors.PendingExceededError
    assert refusal(books, Post("p2", "h1", 10)) is errors.PendingPostedError
    assert refusal(books, Post("p2", "p1", 1)) is errors.NotPendingError
    assert refusal(books, Void("v1", "h1")) is errors.PendingPostedError


def test_void_of_nothing_is_refused(books: Books) -> None:
    assert refusal(books, Void("v1", "h1")) is errors.PendingUnknownError
    assert refusal(books, Void("v1", "t0")) is errors.NotPendingError
