"""The page on money says of the books what the code does."""

import re

from document_tables import ROOT, plain, read_rows
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import SQLModel

from ledger.books.account import Bound
from ledger.books.books import CHAIN_LENGTH_MAX
from ledger.books.errors import PRECEDENCE
from ledger.books.models import BookAccount, BookTransfer
from ledger.books.transfer import IDENTIFIER_CHARACTERS_MAX, Record, TransferKind

TEXT = (ROOT / "docs" / "concepts" / "money.md").read_text()
AMOUNT, HELD = 3, 5
SHIFTS = {"0": 0, "+ amount": AMOUNT, "- held": -HELD}
KEYS = {"book_transfer_what_was_held"}
"""What only serves another constraint, or names a word."""


def rows_of(heading: str) -> list[list[str]]:
    found = re.search(
        rf"^## {heading}$\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return [[plain(cell) for cell in cells] for cells in read_rows(found[1])]


def test_bounds_are_listed() -> None:
    listed = [cells[0] for cells in rows_of("Accounts")]
    assert sorted(listed) == sorted(Bound)


def test_kinds_are_listed_with_their_effect() -> None:
    rows = rows_of("Transfers")
    assert [kind for kind, *_ in rows] == list(TransferKind)
    for kind, pending, posted in rows:
        held = None if kind in ("transfer", "hold") else HELD
        record = Record(TransferKind(kind), "a", "b", AMOUNT, 0, held_microcredits=held)
        assert record.pending_shift == SHIFTS[pending]
        assert record.posted_shift == SHIFTS[posted]


def test_reasons_are_listed_in_order_of_precedence() -> None:
    rows = rows_of("Why a transfer is refused")
    assert [code for code, _ in rows] == [error.code for error in PRECEDENCE]
    assert all(when for _, when in rows)


def test_bounds_of_requests_are_told() -> None:
    assert f"more than {CHAIN_LENGTH_MAX:,} |" in TEXT
    assert f"1 to {IDENTIFIER_CHARACTERS_MAX} printable ASCII" in TEXT


def test_constraints_are_listed() -> None:
    """All but those that name the words of a column."""
    due = {
        str(constraint.name)
        for table in (BookAccount, BookTransfer)
        for constraint in SQLModel.metadata.tables[table.__tablename__].constraints
        if isinstance(
            constraint, CheckConstraint | UniqueConstraint | ForeignKeyConstraint
        )
        and constraint.name is not None
    }
    words = {"book_account_bound", "book_transfer_kind", "book_transfer_resolution"}
    listed = [name for name, _ in rows_of("What the database itself refuses")]
    assert sorted(listed) == sorted(due - words - KEYS)
