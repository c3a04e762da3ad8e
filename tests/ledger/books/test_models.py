"""What the database refuses by itself, whoever asks."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from ledger.books.account import SUM_MICROCREDITS_MAX
from ledger.books.books import Books
from ledger.books.models import BookAccount, BookTransfer
from ledger.books.transfer import Hold, Post, TransferKind, Void
from ledger.limits import AMOUNT_MICROCREDITS_MAX

SOURCE, ALICE, BOB = "source", "alice", "bob"


@pytest.fixture
def stored(books: Books, session: Session) -> Session:
    """A transfer, an open hold, a posted one with its post, a voided one."""
    books.apply(Hold("open", ALICE, BOB, 10, timeout_ms=7))
    books.apply(Hold("paid", ALICE, BOB, 20))
    books.apply(Post("post", "paid", 15))
    books.apply(Hold("left", ALICE, BOB, 30))
    books.apply(Void("void", "left"))
    books.flush()
    session.commit()
    return session


def change_account(session: Session, name: str, **values: Any) -> None:
    session.execute(
        update(BookAccount).where(col(BookAccount.account_id) == name).values(**values)
    )


def change_transfer(session: Session, name: str, **values: Any) -> None:
    session.execute(
        update(BookTransfer)
        .where(col(BookTransfer.transfer_id) == name)
        .values(**values)
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (ALICE, {"debits_posted": 91}),
        (ALICE, {"debits_pending": 86}),
        (ALICE, {"credits_posted": 24}),
        (ALICE, {"debits_pending": -1}),
        (ALICE, {"credits_pending": -1}),
        (SOURCE, {"credits_posted": -1}),
        (SOURCE, {"debits_posted": -1}),
        (SOURCE, {"credits_posted": 101}),
        (SOURCE, {"credits_pending": 101}),
        (SOURCE, {"debits_posted": 0, "credits_pending": 1}),
        (SOURCE, {"debits_posted": SUM_MICROCREDITS_MAX, "debits_pending": 1}),
        (
            BOB,
            {"credits_posted": SUM_MICROCREDITS_MAX - 9, "credits_pending": 10},
        ),
        (BOB, {"bound": None}),
        (BOB, {"closed": None}),
        (BOB, {"debits_posted": None}),
    ],
)
def test_account_stays_within_its_bounds(
    stored: Session, name: str, values: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        change_account(stored, name, **values)


def test_account_has_room_to_its_bounds(stored: Session) -> None:
    change_account(stored, ALICE, debits_posted=90)
    change_account(stored, SOURCE, credits_posted=60, credits_pending=40)
    room = SUM_MICROCREDITS_MAX - 10
    change_account(stored, BOB, credits_posted=room, credits_pending=10)
    change_account(stored, BOB, debits_posted=room, debits_pending=0)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("t0", {"amount_microcredits": 0}),
        ("t0", {"amount_microcredits": AMOUNT_MICROCREDITS_MAX + 1}),
        ("t0", {"debit": ALICE}),
        ("t0", {"debit": "nobody"}),
        ("t0", {"credit": "nobody"}),
        ("t0", {"kind": TransferKind.POST}),
        ("t0", {"resolution": TransferKind.POST}),
        ("t0", {"resolves": "open"}),
        ("t0", {"held_microcredits": 100}),
        ("t0", {"expires_at_ms": 9}),
        ("t0", {"kind": TransferKind.VOID, "resolves": "open"}),
        ("t0", {"kind": TransferKind.VOID, "held_microcredits": 100}),
        ("open", {"expires_at_ms": 5}),
        ("open", {"resolution": TransferKind.TRANSFER}),
        ("open", {"resolution": TransferKind.HOLD}),
        ("open", {"resolves": "paid", "held_microcredits": 20}),
        # A resolved hold is neither opened again nor made another one.
        ("paid", {"resolution": None}),
        ("paid", {"resolution": TransferKind.VOID}),
        ("paid", {"amount_microcredits": 25}),
        ("paid", {"debit": SOURCE}),
        ("paid", {"credit": SOURCE}),
        ("paid", {"kind": TransferKind.TRANSFER}),
        ("paid", {"transfer_id": "other"}),
        # Nor is what resolved it turned to something else.
        ("post", {"resolves": None}),
        ("post", {"resolves": "open"}),
        ("post", {"resolves": "left"}),
        ("post", {"resolves": "t0"}),
        ("post", {"resolves": "post"}),
        ("post", {"resolves": "nothing"}),
        ("post", {"amount_microcredits": 21}),
        ("post", {"held_microcredits": 21}),
        ("post", {"held_microcredits": None}),
        ("post", {"debit": SOURCE}),
        ("post", {"credit": SOURCE}),
        ("post", {"kind": TransferKind.VOID}),
        ("post", {"kind": TransferKind.TRANSFER}),
        ("post", {"balancing_debit": True}),
        ("post", {"balancing_credit": True}),
        ("void", {"amount_microcredits": 29}),
        ("void", {"kind": TransferKind.POST}),
        ("void", {"kind": TransferKind.EXPIRE}),
    ],
)
def test_transfer_stays_what_it_is(
    stored: Session, name: str, values: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        change_transfer(stored, name, **values)


@pytest.mark.parametrize("kind", [TransferKind.POST, TransferKind.VOID])
@pytest.mark.parametrize("hold", ["paid", "left", "open", "t0", "post"])
def test_second_resolution_is_refused(
    stored: Session, kind: TransferKind, hold: str
) -> None:
    """And so is one of a hold that does not say so, or of what is none."""
    amount = {"paid": 20, "left": 30, "open": 10, "t0": 100, "post": 15}[hold]
    with pytest.raises(IntegrityError):
        stored.execute(
            insert(BookTransfer).values(
                transfer_id="second",
                kind=kind,
                debit=ALICE,
                credit=BOB,
                amount_microcredits=amount,
                created_at_ms=5,
                balancing_debit=False,
                balancing_credit=False,
                resolves=hold,
                held_microcredits=amount,
            )
        )


def test_books_that_know_less_than_the_database_cannot_pay_twice(
    stored: Session,
) -> None:
    """Two transactions that both saw a hold open: the second does not commit."""
    second = Books(stored, now_ms=5)
    second.prefetch(transfer_ids=["open"])
    first = Books(stored, now_ms=5)
    first.post("p1", hold_id="open")
    first.flush()
    stored.commit()
    second.post("p2", hold_id="open")
    with pytest.raises(IntegrityError):
        second.flush()


@pytest.mark.parametrize("name", ["paid", "left"])
def test_hold_that_was_resolved_stays(stored: Session, name: str) -> None:
    with pytest.raises(IntegrityError):
        stored.execute(
            delete(BookTransfer).where(col(BookTransfer.transfer_id) == name)
        )


def test_account_that_moved_money_stays(stored: Session) -> None:
    with pytest.raises(IntegrityError):
        stored.execute(delete(BookAccount).where(col(BookAccount.account_id) == BOB))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("book_account", "bound"),
        ("book_transfer", "kind"),
        ("book_transfer", "resolution"),
    ],
)
def test_words_are_those_we_know(stored: Session, table: str, column: str) -> None:
    with pytest.raises(IntegrityError):
        stored.connection().exec_driver_sql(f"UPDATE {table} SET {column} = 'other'")  # noqa: S608
