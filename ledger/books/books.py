"""Double-entry books in whole micro-credits: transfer, hold, post, void.

Each movement debits one account and credits another by the same amount, so the sum
over all accounts is zero by construction. A pending transfer reserves money on its
debit account until it is posted, wholly or in part, or voided.

Guarantees follow TigerBeetle's two-phase transfers: a refused operation changes
nothing, a pending transfer is resolved once, and no account without leave to
overdraw ever owes more than it has, pending debits included.

Many operations share one transaction: accounts are read once, moved in memory, and
written back by `flush`, just before the commit.

Source: decision 0003 (money is integers).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Table, bindparam, func, insert, select, update
from sqlmodel import Session, SQLModel, col

from ledger.books.errors import (
    AccountUnknownError,
    AmountError,
    FundsError,
    PendingExceededError,
    PendingResolvedError,
    PendingUnknownError,
    SameAccountError,
    TransferExistsError,
)
from ledger.books.models import BookAccount, BookTransfer, TransferState
from ledger.identifiers import new_identifier
from ledger.limits import AMOUNT_MICROCREDITS_MAX


@dataclass(frozen=True)
class Balance:
    """An account in micro-credits: what it has, what of it is held, what is free."""

    posted_microcredits: int
    held_microcredits: int

    @property
    def free_microcredits(self) -> int:
        """What may still be spent."""
        return self.posted_microcredits - self.held_microcredits


@dataclass
class _Account:
    may_overdraw: bool
    debits_pending: int
    debits_posted: int
    credits_pending: int
    credits_posted: int

    @property
    def free(self) -> int:
        return self.credits_posted - self.debits_posted - self.debits_pending


@dataclass
class _Transfer:
    debit: str
    credit: str
    amount: int
    state: TransferState


_SUMS = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")
_ACCOUNTS = SQLModel.metadata.tables[BookAccount.__tablename__]
_TRANSFERS = SQLModel.metadata.tables[BookTransfer.__tablename__]


class Books:
    """The books as seen by one open transaction, whose owner flushes and commits."""

    def __init__(self, session: Session, *, now_ms: int) -> None:
        self._session = session
        self._now_ms = now_ms
        self._accounts: dict[str, _Account] = {}
        self._transfers: dict[str, _Transfer] = {}
        self._fresh: set[str] = set()
        self._rows: list[dict[str, object]] = []
        self._resolved: dict[str, TransferState] = {}
        self._journal: list[Callable[[], object]] = []

    def new_transfer_id(self, prefix: str) -> str:
        """Make a random id for a transfer, of which no other can have heard."""
        transfer_id = new_identifier(prefix)
        self._fresh.add(transfer_id)
        return transfer_id

    def open_account(self, account_id: str, *, may_overdraw: bool = False) -> None:
        """Make sure that an account exists; an existing one stays as it is."""
        if self._session.get(BookAccount, account_id) is None:
            self._session.add(
                BookAccount(account_id=account_id, may_overdraw=may_overdraw)
            )
            self._session.flush()
            self._journal.append(lambda: self._accounts.pop(account_id, None))

    def balance(self, account_id: str) -> Balance:
        """The balance of an account.

        Raises:
            AccountUnknownError: There is no such account.
        """
        account = self._account(account_id)
        return Balance(
            posted_microcredits=account.credits_posted - account.debits_posted,
            held_microcredits=account.debits_pending,
        )

    def transfer(
        self, transfer_id: str, *, debit: str, credit: str, amount_microcredits: int
    ) -> None:
        """Move money at once.

        Raises:
            TransferError: As :mod:`ledger.books.errors`, in that order.
        """
        transfer = _Transfer(debit, credit, amount_microcredits, TransferState.POSTED)
        self._admit(transfer_id, transfer)
        self._record(transfer_id, transfer)
        self._move("posted", transfer, amount_microcredits)

    def hold(
        self, transfer_id: str, *, debit: str, credit: str, amount_microcredits: int
    ) -> None:
        """Reserve money of the debit account until `post` or `void`.

        Raises:
            TransferError: As :mod:`ledger.books.errors`, in that order.
        """
        transfer = _Transfer(debit, credit, amount_microcredits, TransferState.PENDING)
        self._admit(transfer_id, transfer)
        self._record(transfer_id, transfer)
        self._move("pending", transfer, amount_microcredits)

    def post(self, transfer_id: str, *, hold_id: str, amount_microcredits: int) -> None:
        """Pay all or part of a hold; what is left of it is free again.

        Raises:
            TransferError: As :mod:`ledger.books.errors`, in that order.
        """
        _check_amount(amount_microcredits)
        self._check_new(transfer_id)
        hold = self._pending(hold_id)
        if amount_microcredits > hold.amount:
            raise PendingExceededError(
                f"{amount_microcredits} micro-credits of a hold of {hold.amount}."
            )
        self._resolve(hold_id, hold, TransferState.PENDING_POSTED)
        posted = _Transfer(
            hold.debit, hold.credit, amount_microcredits, TransferState.POSTED
        )
        self._record(transfer_id, posted, resolves=hold_id)
        self._move("posted", posted, amount_microcredits)

    def void(self, hold_id: str) -> None:
        """Give a whole hold back.

        Raises:
            PendingUnknownError: There is no such hold.
            PendingResolvedError: It was posted or voided before.
        """
        self._resolve(hold_id, self._pending(hold_id), TransferState.PENDING_VOIDED)

    def mark(self) -> int:
        """Return where the books stand, for `rollback_to`. Goes with a savepoint."""
        return len(self._journal)

    def rollback_to(self, mark: int) -> None:
        """Take back everything that was done after a mark."""
        while len(self._journal) > mark:
            self._journal.pop()()

    def flush(self) -> None:
        """Write back what has moved; to be called before the commit."""
        if self._rows:
            self._session.execute(insert(BookTransfer), self._rows)
        if self._resolved:
            self._write_back(
                _TRANSFERS,
                "transfer_id",
                [{"key": key, "state": state} for key, state in self._resolved.items()],
            )
        sums = [
            {"key": key, **{name: getattr(account, name) for name in _SUMS}}
            for key, account in self._accounts.items()
        ]
        if sums and self._journal:
            self._write_back(_ACCOUNTS, "account_id", sums)
        self._rows, self._resolved, self._journal = [], {}, []

    def sum_posted_microcredits(self) -> int:
        """The sum over all accounts; anything but zero is a fault of ours."""
        self.flush()
        total = func.sum(
            col(BookAccount.credits_posted) - col(BookAccount.debits_posted)
        )
        return int(self._session.execute(select(total)).scalar_one() or 0)

    def accounts(self) -> Sequence[BookAccount]:
        """All accounts, by id."""
        self.flush()
        query = select(BookAccount).order_by(BookAccount.account_id)
        query = query.execution_options(populate_existing=True)
        return self._session.execute(query).scalars().all()

    def _account(self, account_id: str) -> _Account:
        account = self._accounts.get(account_id)
        if account is None:
            columns = [_ACCOUNTS.c[name] for name in ("may_overdraw", *_SUMS)]
            query = select(*columns).where(_ACCOUNTS.c.account_id == account_id)
            row = self._session.connection().execute(query).first()
            if row is None:
                raise AccountUnknownError(f"The books have no account {account_id}.")
            account = self._accounts[account_id] = _Account(*row)
        return account

    def _admit(self, transfer_id: str, transfer: _Transfer) -> None:
        _check_amount(transfer.amount)
        if transfer.debit == transfer.credit:
            raise SameAccountError("Debit and credit are one account.")
        debit = self._account(transfer.debit)
        self._account(transfer.credit)
        self._check_new(transfer_id)
        if transfer.amount > debit.free and not debit.may_overdraw:
            raise FundsError(
                needed_microcredits=transfer.amount, free_microcredits=debit.free
            )

    def _check_new(self, transfer_id: str) -> None:
        known = transfer_id in self._transfers
        if not known and transfer_id not in self._fresh:
            known = self._load(transfer_id) is not None
        if known:
            raise TransferExistsError(f"Transfer {transfer_id} was recorded before.")

    def _load(self, transfer_id: str) -> _Transfer | None:
        transfer = self._transfers.get(transfer_id)
        if transfer is not None:
            return transfer
        names = ("debit", "credit", "amount_microcredits", "state")
        columns = [_TRANSFERS.c[name] for name in names]
        query = select(*columns).where(_TRANSFERS.c.transfer_id == transfer_id)
        row = self._session.connection().execute(query).first()
        return None if row is None else _Transfer(*row)

    def _pending(self, hold_id: str) -> _Transfer:
        hold = self._load(hold_id)
        if hold is None or hold.state is TransferState.POSTED:
            raise PendingUnknownError(f"There is no hold {hold_id}.")
        if hold.state is not TransferState.PENDING:
            raise PendingResolvedError(f"Hold {hold_id} was resolved before.")
        return hold

    def _record(
        self, transfer_id: str, transfer: _Transfer, resolves: str | None = None
    ) -> None:
        self._transfers[transfer_id] = transfer
        self._rows.append(
            {
                "transfer_id": transfer_id,
                "debit": transfer.debit,
                "credit": transfer.credit,
                "amount_microcredits": transfer.amount,
                "state": transfer.state,
                "resolves": resolves,
                "created_at_ms": self._now_ms,
            }
        )
        self._journal.append(self._rows.pop)
        self._journal.append(lambda: self._transfers.pop(transfer_id))

    def _resolve(self, hold_id: str, hold: _Transfer, state: TransferState) -> None:
        resolved = _Transfer(hold.debit, hold.credit, hold.amount, state)
        self._transfers[hold_id] = resolved
        self._resolved[hold_id] = state

        def take_back() -> None:
            self._transfers[hold_id] = hold
            del self._resolved[hold_id]

        self._journal.append(take_back)
        self._move("pending", hold, -hold.amount)

    def _move(self, kind: str, transfer: _Transfer, amount: int) -> None:
        debit, credit = self._account(transfer.debit), self._account(transfer.credit)

        def shift(by: int) -> None:
            debits, credits_ = f"debits_{kind}", f"credits_{kind}"
            setattr(debit, debits, getattr(debit, debits) + by)
            setattr(credit, credits_, getattr(credit, credits_) + by)

        shift(amount)
        self._journal.append(lambda: shift(-amount))

    def _write_back(
        self,
        table: Table,
        key: str,
        rows: list[dict[str, object]],
    ) -> None:
        names = [name for name in rows[0] if name != "key"]
        statement = (
            update(table)
            .where(table.c[key] == bindparam("key"))
            .values({name: bindparam(f"new_{name}") for name in names})
        )
        values = [
            {"key": row["key"], **{f"new_{name}": row[name] for name in names}}
            for row in rows
        ]
        self._session.connection().execute(statement, values)


def _check_amount(amount: int) -> None:
    if type(amount) is not int or not 1 <= amount <= AMOUNT_MICROCREDITS_MAX:
        raise AmountError(
            f"An amount is a whole number from 1 to {AMOUNT_MICROCREDITS_MAX}."
        )
