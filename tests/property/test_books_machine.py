"""The books against a slow model of them, over random operations.

After each step every account has the model's four sums, all accounts together balance,
every bound holds, and every answer was the model's answer. Whenever the database is
looked at, its rows are the model's events.
"""

from collections import Counter
from contextlib import ExitStack
from dataclasses import fields, replace
from functools import partial
from itertools import permutations

import pytest
from books_database import IN_MEMORY, books_database
from books_model import CREDITS, DEBITS, SUM_MAX, AccountFacts, BooksModel
from databases import PostgresqlServer
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import URL
from sqlmodel import Session, select

from ledger.books.account import Bound
from ledger.books.books import Books
from ledger.books.errors import ChainError, TransferError
from ledger.books.models import BookAccount, BookTransfer
from ledger.books.transfer import Hold, Post, Request, Transfer, Void

BRIM = "brim"
BRIM_SUM = SUM_MAX - 70
ACCOUNTS = ["alice", "bob", "source", "sink", BRIM]
OPENED_FIRST = {
    "alice": Bound.DEBITS_MUST_NOT_EXCEED_CREDITS,
    "bob": Bound.DEBITS_MUST_NOT_EXCEED_CREDITS,
    "source": Bound.NONE,
    "sink": Bound.CREDITS_MUST_NOT_EXCEED_DEBITS,
}
NAMES = st.sampled_from([f"t{place}" for place in range(16)])
# Now and then somebody whom the books do not know, and what is no name.
SIDES = st.sampled_from(
    [*ACCOUNTS * 20, "carol", "carol", "dave", "", "a\0b", "é", "x" * 129]
)
AMOUNTS = st.sampled_from([*range(1, 61), 0, -1, True, 1.0, 2**53 - 1, 2**53])
TIMEOUTS = st.sampled_from([None, *range(1, 31), 0, 31_536_000_001])
MAYBE = st.sampled_from([False, False, False, True])
REQUESTS: st.SearchStrategy[Request] = st.one_of(
    st.builds(Transfer, NAMES, SIDES, SIDES, AMOUNTS, MAYBE, MAYBE),
    st.builds(Hold, NAMES, SIDES, SIDES, AMOUNTS, MAYBE, MAYBE, TIMEOUTS),
    st.builds(Post, NAMES, NAMES, st.none() | AMOUNTS),
    st.builds(Void, NAMES, NAMES),
)
KINDS = st.sampled_from([Transfer, Transfer, Hold, Hold, Hold])
MOVES = st.builds(
    lambda kind, sides, amount, flags, timeout_ms: kind(
        "",
        *sides,
        amount,
        *flags,
        **({"timeout_ms": timeout_ms} if kind is Hold else {}),
    ),
    KINDS,
    st.sampled_from(list(permutations(ACCOUNTS, 2))),
    st.integers(1, 40),
    st.tuples(MAYBE, MAYBE),
    st.none() | st.integers(1, 30),
)
PICKS = st.tuples(
    st.sampled_from(["part", "part", "whole", "void"]),
    st.integers(0, 99),
    st.integers(0, 59),
)
FIELDS = st.sampled_from(
    ["transfer_id", "hold_id", "debit", "credit", "amount_microcredits", "timeout_ms"]
)


class BooksMachine(RuleBasedStateMachine):
    """The same operations on both, in any order."""

    def __init__(self, url: URL = IN_MEMORY) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.engine = self.stack.enter_context(books_database(url))
        self.now_ms = 1000
        self.names_used = 0
        self.model = BooksModel()
        self.made: list[Request] = []
        self.savepoints: list[tuple[int, BooksModel]] = []
        with Session(self.engine) as session, session.begin():
            session.add(
                BookAccount(
                    account_id=BRIM,
                    bound=Bound.NONE,
                    debits_posted=BRIM_SUM,
                    credits_posted=BRIM_SUM,
                )
            )
        self.model.accounts[BRIM] = AccountFacts("none", brought_forward=BRIM_SUM)
        self.committed = self.model.copy()
        self.begin()

    def begin(self) -> None:
        self.session = Session(self.engine)
        self.books = Books(self.session, now_ms=self.now_ms)
        self.savepoints = []

    def teardown(self) -> None:
        self.commit_and_go_on(0)
        self.session.close()
        self.stack.close()

    @initialize(funds=st.integers(50, 200))
    def open_first(self, funds: int) -> None:
        for name, bound in OPENED_FIRST.items():
            self.open_account(name, bound)
        self.apply(Transfer("t0", "source", "alice", funds))
        self.apply(Transfer("t1", "sink", "bob", funds))
        self.commit_and_go_on(0)

    @rule(
        name=st.sampled_from([*ACCOUNTS, "carol", "", "é"]),
        bound=st.sampled_from(Bound),
    )
    def open_account(self, name: str, bound: Bound) -> None:
        expected = self.model.open_account(name, bound.value)
        assert code_of(self.books.open_account, name, bound=bound) == expected

    @rule(name=st.sampled_from([*ACCOUNTS, "carol"]), closed=MAYBE)
    def close_account(self, name: str, *, closed: bool) -> None:
        expected = self.model.close_account(name, closed=closed)
        move = self.books.close_account if closed else self.books.reopen_account
        assert code_of(move, name) == expected

    @rule(moves=st.lists(MOVES, min_size=1, max_size=4))
    def move(self, moves: list[Transfer | Hold]) -> None:
        """What may well succeed."""
        for each in moves:
            self.apply(replace(each, transfer_id=self.free_name()))

    @rule(
        moves=st.lists(MOVES, min_size=1, max_size=3),
        edge=st.sampled_from(["free", "room", "debits", "credits"]),
        more=st.sampled_from([0, 1]),
    )
    def move_up_to(self, moves: list[Transfer | Hold], edge: str, more: int) -> None:
        """As much as an account can just bear, or one more."""
        for each in moves:
            debit, credit = self.model.sums(each.debit), self.model.sums(each.credit)
            amount = {
                "free": debit.free,
                "room": credit.room,
                "debits": SUM_MAX - debit.debits_posted - debit.debits_pending,
                "credits": SUM_MAX - credit.credits_posted - credit.credits_pending,
            }[edge]
            self.move([replace(each, amount_microcredits=amount + more)])

    @rule(picks=st.lists(PICKS, min_size=1, max_size=4))
    def resolve(self, picks: list[tuple[str, int, int]]) -> None:
        """Post or void what most likely is an open hold."""
        for kind, pick, amount in picks:
            holds = [event for event in self.model.events if event.kind == "hold"]
            holds = (pick % 5 and self.model.open_holds()) or holds
            if not holds:
                return
            hold, name = holds[pick % len(holds)], self.free_name()
            if kind == "void":
                self.apply(Void(name, hold.name))
            elif kind == "whole":
                self.apply(Post(name, hold.name))
            else:
                self.apply(Post(name, hold.name, 1 + amount % (hold.amount + 1)))

    @rule(request=REQUESTS)
    def apply(self, request: Request) -> None:
        expected = self.model.apply(request, self.now_ms)
        assert answer_of(self.books, request) == expected
        if isinstance(expected, int):
            self.made.append(request)

    @rule(
        picks=st.lists(st.integers(0, 99), min_size=1, max_size=3),
        names=st.sets(FIELDS, max_size=2),
        other=REQUESTS,
    )
    def repeat(self, picks: list[int], names: set[str], other: Request) -> None:
        """Ask again for what was done, the same or with some of it changed."""
        if not self.made:
            return
        for pick in picks:
            request = self.made[pick % len(self.made)]
            changes = {
                each.name: getattr(other, each.name)
                for each in fields(request)
                if each.name in names and hasattr(other, each.name)
            }
            self.apply(replace(request, **changes))

    @rule(chain=st.lists(REQUESTS, max_size=5))
    def apply_linked(self, chain: list[Request]) -> None:
        self.check_chain(chain)

    @rule(moves=st.lists(MOVES, min_size=1, max_size=4), part=st.integers(1, 5))
    def move_in_a_chain(self, moves: list[Transfer | Hold], part: int) -> None:
        """A chain that may well succeed; each hold in it is posted in part."""
        chain: list[Request] = []
        for each in moves:
            chain.append(replace(each, transfer_id=self.free_name()))
            if isinstance(each, Hold):
                chain.append(Post(self.free_name(), chain[-1].transfer_id, part))
        self.check_chain(chain)

    def free_name(self) -> str:
        self.names_used += 1
        return f"n{self.names_used}"

    def check_chain(self, chain: list[Request]) -> None:
        expected = self.model.apply_linked(chain, self.now_ms)
        answer: object
        try:
            answer = self.books.apply_linked(chain)
        except ChainError as error:
            answer = [each.code for each in error.refusals]
        except TransferError as error:
            answer = error.code
        assert answer == expected

    @rule(counts=st.lists(st.integers(1, 4), min_size=1, max_size=3))
    def expire_often(self, counts: list[int]) -> None:
        for count in counts:
            self.expire(count)

    def expire(self, count: int) -> None:
        expected = self.model.overdue(self.now_ms)[:count]
        expired = self.books.expire(count_max=count)
        assert [each.hold_id for each in expired] == [event.name for event in expected]
        for each, hold in zip(expired, expected, strict=True):
            assert each.amount_microcredits == hold.amount
            self.model.expire(each.transfer_id, hold, self.now_ms)

    @rule(
        moves=st.lists(MOVES, max_size=2), picks=st.lists(PICKS, min_size=1, max_size=3)
    )
    def try_and_take_back(
        self, moves: list[Transfer | Hold], picks: list[tuple[str, int, int]]
    ) -> None:
        self.set_savepoint()
        self.move(moves)
        self.resolve(picks)
        self.expire(len(picks))
        self.roll_back(1)

    @rule()
    def set_savepoint(self) -> None:
        self.savepoints.append((self.books.mark(), self.model.copy()))

    @rule(back=st.integers(1, 3))
    def roll_back(self, back: int) -> None:
        if len(self.savepoints) >= back:
            mark, self.model = self.savepoints[-back]
            del self.savepoints[-back:]
            self.books.rollback_to(mark)

    @rule(names=st.sets(NAMES), accounts=st.sets(st.sampled_from([*ACCOUNTS, "carol"])))
    def prefetch(self, names: set[str], accounts: set[str]) -> None:
        self.books.prefetch(accounts, names)

    @rule()
    def flush(self) -> None:
        self.books.flush()
        self.savepoints = []
        self.check_rows()

    @rule(later_ms=st.integers(0, 30))
    def commit_and_go_on(self, later_ms: int) -> None:
        """End the transaction; the next one is later and reads everything anew."""
        self.flush()
        self.session.commit()
        self.session.close()
        self.committed = self.model.copy()
        self.now_ms += later_ms
        self.begin()

    @rule(early_ms=st.sampled_from([0, 0, 1]))
    def go_on_to_the_next_expiry(self, early_ms: int) -> None:
        """To the very moment from which it is too late, or just before."""
        ends_ms = [
            event.at_ms + event.timeout_ms - early_ms
            for event in self.model.open_holds()
            if event.timeout_ms is not None
        ]
        later_ms = [end_ms - self.now_ms for end_ms in ends_ms if end_ms > self.now_ms]
        self.commit_and_go_on(min(later_ms, default=0))

    @rule(is_now=MAYBE)
    def crash(self, *, is_now: bool) -> None:
        """Lose what was not committed."""
        if not is_now:
            return
        self.session.rollback()
        self.session.close()
        self.model = self.committed.copy()
        self.begin()
        self.check_rows()

    @invariant()
    def all_sums_are_right(self) -> None:
        accounts = {name: self.books._pages.find_account(name) for name in ACCOUNTS}
        found = {name: account for name, account in accounts.items() if account}
        assert found.keys() == self.model.accounts.keys() - {"carol"}
        for name, account in found.items():
            facts, sums = self.model.accounts[name], self.model.sums(name)
            assert (account.bound, account.closed) == (facts.bound, facts.closed)
            for each in ("debits_pending", "debits_posted"):
                assert 0 <= getattr(account, each) == getattr(sums, each)
            for each in ("credits_pending", "credits_posted"):
                assert 0 <= getattr(account, each) == getattr(sums, each)
            assert account.debits_posted + account.debits_pending <= SUM_MAX
            assert account.credits_posted + account.credits_pending <= SUM_MAX
            assert account.bound != DEBITS or account.free >= 0
            assert account.bound != CREDITS or account.room >= 0

    @invariant()
    def all_accounts_balance(self) -> None:
        names = self.model.accounts
        accounts = [self.books._pages.find_account(name) for name in names]
        found = [account for account in accounts if account is not None]
        assert len(found) == len(names)
        for kind in ("posted", "pending"):
            debits = sum(getattr(account, f"debits_{kind}") for account in found)
            credits_ = sum(getattr(account, f"credits_{kind}") for account in found)
            assert debits == credits_

    @invariant()
    def holds_are_resolved_once(self) -> None:
        counts = Counter(event.hold for event in self.model.events if event.hold)
        assert all(count == 1 for count in counts.values())

    def check_rows(self) -> None:
        rows = self.session.exec(select(BookTransfer)).all()
        found = {row.transfer_id: row for row in rows}
        assert found.keys() == {event.name for event in self.model.events}
        for event in self.model.events:
            row = found[event.name]
            assert (row.kind, row.debit, row.credit) == (
                event.kind,
                event.debit,
                event.credit,
            )
            assert row.amount_microcredits == event.amount
            assert (row.created_at_ms, row.resolves) == (event.at_ms, event.hold)
            resolutions = self.model.resolutions(event.name)
            assert [row.resolution] == (resolutions or [None])


def code_of(move, *arguments, **named) -> str | None:
    try:
        move(*arguments, **named)
    except TransferError as error:
        return error.code
    return None


def answer_of(books: Books, request: Request) -> str | int:
    try:
        return books.apply(request)
    except TransferError as error:
        return error.code


@pytest.mark.slow
def test_books_equal_a_slow_model() -> None:
    run_state_machine_as_test(
        BooksMachine,
        settings=settings(max_examples=250, stateful_step_count=50, deadline=None),
    )


@pytest.mark.slow
def test_books_equal_a_slow_model_on_postgresql(postgresql: PostgresqlServer) -> None:
    with postgresql.database("template1") as url:
        run_state_machine_as_test(
            partial(BooksMachine, url),
            settings=settings(max_examples=40, stateful_step_count=50, deadline=None),
        )
