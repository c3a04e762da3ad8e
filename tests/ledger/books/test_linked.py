"""Chains of linked transfers: all of them or none."""

import pytest
from sqlmodel import Session

from ledger.books.books import CHAIN_LENGTH_MAX, Books
from ledger.books.errors import (
    ChainError,
    ChainLengthError,
    FundsError,
    LinkedFailedError,
    TransferExistsError,
)
from ledger.books.models import BookTransfer
from ledger.books.transfer import Hold, Post, Request, Transfer, Void

SOURCE, ALICE, BOB = "source", "alice", "bob"


def refused(books: Books, chain: list[Request]) -> ChainError:
    before = [account.model_dump() for account in books.accounts()]
    with pytest.raises(ChainError) as caught:
        books.apply_linked(chain)
    assert [account.model_dump() for account in books.accounts()] == before
    assert caught.value.__cause__ is caught.value.refusals[caught.value.place]
    return caught.value


def test_chain_is_done_in_order(books: Books, session: Session) -> None:
    chain: list[Request] = [
        Hold("h1", ALICE, BOB, 100),
        Post("p1", "h1", 60),
        # What the one before it paid.
        Transfer("t1", BOB, ALICE, 55),
        Transfer("t2", BOB, ALICE, 99, balancing_debit=True),
    ]
    assert books.apply_linked(chain) == [100, 60, 55, 5]
    books.flush()
    names = [session.get_one(BookTransfer, name) for name in ("h1", "p1", "t1", "t2")]
    assert len(names) == 4
    assert books.balance(ALICE).free_microcredits == 100


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_refusal_is_the_refusal_of_all(books: Books, place: int) -> None:
    chain: list[Request] = [
        Transfer("t1", ALICE, BOB, 10),
        Transfer("t2", ALICE, BOB, 10),
    ]
    chain.insert(place, Transfer("t3", ALICE, BOB, 101))
    error = refused(books, chain)
    assert error.place == place
    assert [type(each) for each in error.refusals] == [
        FundsError if each == place else LinkedFailedError for each in range(3)
    ]
    assert str(place) in str(error)
    # None of the ids is used up.
    assert books.apply_linked([chain[place - 1], chain[place - 2]])


def test_what_follows_a_refusal_is_not_looked_at(books: Books) -> None:
    error = refused(books, [Transfer("t1", BOB, ALICE, 1), Transfer("\0", "", "", 0)])
    assert [type(each) for each in error.refusals] == [FundsError, LinkedFailedError]


def test_chain_opens_its_hold_again(books: Books) -> None:
    books.apply(Hold("h1", ALICE, BOB, 100))
    refused(books, [Void("v1", "h1"), Transfer("t1", ALICE, BOB, 101)])
    books.apply(Post("p1", "h1"))


def test_repeated_chain_is_refused_at_its_first(books: Books) -> None:
    chain: list[Request] = [
        Transfer("t1", ALICE, BOB, 1),
        Transfer("t2", BOB, ALICE, 1),
    ]
    books.apply_linked(chain)
    error = refused(books, chain)
    assert [type(each) for each in error.refusals] == [
        TransferExistsError,
        LinkedFailedError,
    ]


def test_chain_in_a_savepoint_is_taken_back(books: Books) -> None:
    mark = books.mark()
    books.apply_linked([Hold("h1", ALICE, BOB, 9), Post("p1", "h1", 1)])
    books.rollback_to(mark)
    assert books.balance(ALICE).free_microcredits == 100


def test_chain_has_a_length(books: Books) -> None:
    with pytest.raises(ChainLengthError):
        books.apply_linked([])
    chain = [Transfer(f"c{place}", SOURCE, BOB, 1) for place in range(CHAIN_LENGTH_MAX)]
    assert books.apply_linked(chain) == [1] * CHAIN_LENGTH_MAX
    with pytest.raises(ChainLengthError):
        books.apply_linked([*chain, Transfer("last", SOURCE, BOB, 1)])
