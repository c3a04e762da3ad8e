"""Checks of a market's whole state, for the end of a test."""

from collections import Counter

from sqlmodel import Session, col, select

from ledger.books.account import Bound
from ledger.books.books import Books
from ledger.books.models import BookTransfer
from ledger.books.transfer import TransferKind
from ledger.log.log import Log
from ledger.log.models import LogEntry, LogHead
from ledger.statements.statement import Statement, parse_statement, verify_signatures
from market.database import Database
from market.jobs.models import ACTIVE_STATES, Job
from market.placement.fleet import Fleet


def check_books(database: Database, *, held_microcredits: int | None = 0) -> None:
    """The books balance, agree with the transfers, and hold this much (None: any)."""
    with database.reading() as session:
        books = Books(session, now_ms=0, locking=False)
        assert books.sum_posted_microcredits() == 0
        accounts = books.accounts()
        held = sum(item.debits_pending for item in accounts)
        assert held == sum(item.credits_pending for item in accounts)
        assert held_microcredits in {held, None}, held
        posted, pending = _sums(session)
        for account in accounts:
            balance = account.credits_posted - account.debits_posted
            assert balance == posted[account.account_id], account
            reserved = account.credits_pending - account.debits_pending
            assert reserved == pending[account.account_id], account
            if account.bound is Bound.DEBITS_MUST_NOT_EXCEED_CREDITS:
                assert balance >= account.debits_pending
            if account.bound is Bound.CREDITS_MUST_NOT_EXCEED_DEBITS:
                assert -balance >= account.credits_pending


def _sums(session: Session) -> tuple[Counter[str], Counter[str]]:
    posted: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    for transfer in session.exec(select(BookTransfer)):
        if transfer.kind in (TransferKind.TRANSFER, TransferKind.POST):
            moved = posted
        elif transfer.kind is TransferKind.HOLD and transfer.resolution is None:
            moved = pending
        else:
            continue
        moved[transfer.credit] += transfer.amount_microcredits
        moved[transfer.debit] -= transfer.amount_microcredits
    return posted, pending


def read_statements(database: Database) -> list[Statement]:
    """All statements of the log, in order, each with its signatures checked."""
    with database.reading() as session:
        head = session.get(LogHead, 1)
        entries = session.exec(select(LogEntry).order_by(LogEntry.index)).all()
    assert head is not None
    assert [entry.index for entry in entries] == list(range(head.size))
    statements = [parse_statement(entry.data) for entry in entries]
    for statement in statements:
        verify_signatures(statement)
    return statements


def statements_of(database: Database, job_id: str) -> list[Statement]:
    """The statements of one job, in the order of the log."""
    return [
        statement
        for statement in read_statements(database)
        if getattr(statement.body, "job_id", None) == job_id
    ]


def log_is_published(log: Log, database: Database) -> bool:
    """Whether the checkpoint covers all that is committed."""
    with database.reading() as session:
        head = session.get(LogHead, 1)
    published = log.published()
    return published is not None and head is not None and published.size == head.size


def fleet_is_right(fleet: Fleet, database: Database) -> bool:
    """Whether the load of each node in memory is the count of jobs that it holds.

    While a transaction is on its way the two may differ.
    """
    with database.reading() as session:
        active = select(Job.node).where(col(Job.state).in_(ACTIVE_STATES))
        held = Counter(node for node in session.exec(active) if node is not None)
    return +fleet._jobs == held
