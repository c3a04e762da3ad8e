"""The books against a slow model of them, after each of many random operations."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlmodel import Session, SQLModel

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

SOURCE = "source"
ACCOUNTS = [SOURCE, "alice", "bob"]
NAMES = st.sampled_from([f"t{place}" for place in range(12)])
# Now and then somebody whom the books do not know.
SIDES = st.sampled_from([*ACCOUNTS * 3, "nobody"])
AMOUNTS = st.integers(-1, 60)


@dataclass(frozen=True)
class Operation:
    """One of `transfer`, `hold`, `post`, `void`; what it does not need is unused."""

    action: str
    name: str
    hold: str
    debit: str
    credit: str
    amount: int

    def run(self, books: Books) -> type[TransferError] | None:
        try:
            match self.action:
                case "post":
                    books.post(
                        self.name, hold_id=self.hold, amount_microcredits=self.amount
                    )
                case "void":
                    books.void(self.hold)
                case action:
                    move = books.transfer if action == "transfer" else books.hold
                    move(
                        self.name,
                        debit=self.debit,
                        credit=self.credit,
                        amount_microcredits=self.amount,
                    )
        except TransferError as error:
            return type(error)
        return None


@dataclass
class Model:
    """Keeps a list of what happened and works everything out from it, each time."""

    posted: list[tuple[str, str, str, int]] = field(default_factory=list)
    holds: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    resolved: set[str] = field(default_factory=set)

    def balance(self, account: str) -> int:
        return sum(
            amount * ((account == credit) - (account == debit))
            for _, debit, credit, amount in self.posted
        )

    def held(self, account: str) -> int:
        return sum(
            amount
            for name, (debit, _, amount) in self.holds.items()
            if debit == account and name not in self.resolved
        )

    def exists(self, name: str) -> bool:
        return name in self.holds or any(name == each for each, *_ in self.posted)

    def refusals(self, it: Operation) -> Iterator[type[TransferError]]:
        """All reasons that apply, in the order of `ledger.books.errors`."""
        moves = it.action in {"transfer", "hold"}
        if it.action != "void" and it.amount < 1:
            yield AmountError
        if moves and it.debit == it.credit:
            yield SameAccountError
        if moves and not {it.debit, it.credit} <= {*ACCOUNTS}:
            yield AccountUnknownError
        if it.action != "void" and self.exists(it.name):
            yield TransferExistsError
        if not moves and it.hold not in self.holds:
            yield PendingUnknownError
        if not moves and it.hold in self.resolved:
            yield PendingResolvedError
        if it.action == "post" and it.amount > self.holds[it.hold][2]:
            yield PendingExceededError
        free = self.balance(it.debit) - self.held(it.debit)
        if moves and it.debit != SOURCE and it.amount > free:
            yield FundsError

    def run(self, it: Operation) -> type[TransferError] | None:
        refusal = next(self.refusals(it), None)
        if refusal is not None:
            return refusal
        match it.action:
            case "transfer":
                self.posted.append((it.name, it.debit, it.credit, it.amount))
            case "hold":
                self.holds[it.name] = (it.debit, it.credit, it.amount)
            case action:
                self.resolved.add(it.hold)
                if action == "post":
                    debit, credit, _ = self.holds[it.hold]
                    self.posted.append((it.name, debit, credit, it.amount))
        return None


OPERATIONS = st.lists(
    st.builds(
        Operation,
        action=st.sampled_from(["transfer", "hold", "post", "void"]),
        name=NAMES,
        hold=NAMES,
        debit=SIDES,
        credit=SIDES,
        amount=AMOUNTS,
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(deadline=None)
@given(OPERATIONS)
def test_books_equal_a_slow_model(operations: list[Operation]) -> None:
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    model = Model()
    with Session(engine) as session:
        books = Books(session, now_ms=0)
        for account in ACCOUNTS:
            books.open_account(account, may_overdraw=account == SOURCE)
        for operation in operations:
            assert operation.run(books) is model.run(operation)
            assert books.sum_posted_microcredits() == 0
            for account in ACCOUNTS:
                balance = books.balance(account)
                assert balance.posted_microcredits == model.balance(account)
                assert balance.held_microcredits == model.held(account)
                assert account == SOURCE or balance.free_microcredits >= 0
    engine.dispose()
