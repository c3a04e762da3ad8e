"""Double-entry books in whole micro-credits: transfer, hold, post, void.

Each movement debits one account and credits another by the same amount, so the sum
over all accounts is zero by construction. A pending transfer reserves money on its
debit account until it is posted, wholly or in part, or voided.

Guarantees follow TigerBeetle's two-phase transfers: a refused operation changes
nothing, a pending transfer is resolved once, and no account without leave to
overdraw ever owes more than it has, pending debits included.

Source: decision 0003 (money is integers).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlmodel import Session

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


class Books:
    """The books as seen by one open transaction, which its owner commits."""

    def __init__(self, session: Session, *, now_ms: int) -> None:
        self._session = session
        self._now_ms = now_ms

    def open_account(self, account_id: str, *, may_overdraw: bool = False) -> None:
        """Make sure that an account exists; an existing one stays as it is."""
        if self._session.get(BookAccount, account_id) is None:
            self._session.add(
                BookAccount(account_id=account_id, may_overdraw=may_overdraw)
            )
            self._session.flush()

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
        self._admit(transfer_id, debit, credit, amount_microcredits)
        self._record(
            transfer_id, debit, credit, amount_microcredits, TransferState.POSTED
        )
        self._move_posted(debit, credit, amount_microcredits)

    def hold(
        self, transfer_id: str, *, debit: str, credit: str, amount_microcredits: int
    ) -> None:
        """Reserve money of the debit account until `post` or `void`.

        Raises:
            TransferError: As :mod:`ledger.books.errors`, in that order.
        """
        self._admit(transfer_id, debit, credit, amount_microcredits)
        self._record(
            transfer_id, debit, credit, amount_microcredits, TransferState.PENDING
        )
        self._move_pending(debit, credit, amount_microcredits)

    def post(self, transfer_id: str, *, hold_id: str, amount_microcredits: int) -> None:
        """Pay all or part of a hold; what is left of it is free again.

        Raises:
            TransferError: As :mod:`ledger.books.errors`, in that order.
        """
        _check_amount(amount_microcredits)
        self._check_new(transfer_id)
        hold = self._pending(hold_id)
        if amount_microcredits > hold.amount_microcredits:
            raise PendingExceededError(
                f"{amount_microcredits} micro-credits of a hold of "
                f"{hold.amount_microcredits}."
            )
        self._resolve(hold, TransferState.PENDING_POSTED)
        self._record(
            transfer_id,
            hold.debit,
            hold.credit,
            amount_microcredits,
            TransferState.POSTED,
            resolves=hold_id,
        )
        self._move_posted(hold.debit, hold.credit, amount_microcredits)

    def void(self, hold_id: str) -> None:
        """Give a whole hold back.

        Raises:
            PendingUnknownError: There is no such hold.
            PendingResolvedError: It was posted or voided before.
        """
        self._resolve(self._pending(hold_id), TransferState.PENDING_VOIDED)

    def sum_posted_microcredits(self) -> int:
        """The sum over all accounts; anything but zero is a fault of ours."""
        total = func.sum(BookAccount.credits_posted - BookAccount.debits_posted)
        return int(self._session.execute(select(total)).scalar_one() or 0)

    def accounts(self) -> Sequence[BookAccount]:
        """All accounts, by id."""
        query = select(BookAccount).order_by(BookAccount.account_id)
        return self._session.execute(query).scalars().all()

    def _account(self, account_id: str) -> BookAccount:
        account = self._session.get(BookAccount, account_id, populate_existing=True)
        if account is None:
            raise AccountUnknownError(f"The books have no account {account_id}.")
        return account

    def _admit(self, transfer_id: str, debit: str, credit: str, amount: int) -> None:
        _check_amount(amount)
        if debit == credit:
            raise SameAccountError("Debit and credit are one account.")
        debit_account = self._account(debit)
        self._account(credit)
        self._check_new(transfer_id)
        free = (
            debit_account.credits_posted
            - debit_account.debits_posted
            - debit_account.debits_pending
        )
        if amount > free and not debit_account.may_overdraw:
            raise FundsError(needed_microcredits=amount, free_microcredits=free)

    def _check_new(self, transfer_id: str) -> None:
        if self._session.get(BookTransfer, transfer_id) is not None:
            raise TransferExistsError(f"Transfer {transfer_id} was recorded before.")

    def _pending(self, hold_id: str) -> BookTransfer:
        hold = self._session.get(BookTransfer, hold_id, populate_existing=True)
        if hold is None or hold.state is TransferState.POSTED:
            raise PendingUnknownError(f"There is no hold {hold_id}.")
        if hold.state is not TransferState.PENDING:
            raise PendingResolvedError(f"Hold {hold_id} was resolved before.")
        return hold

    def _record(
        self,
        transfer_id: str,
        debit: str,
        credit: str,
        amount: int,
        state: TransferState,
        resolves: str | None = None,
    ) -> None:
        self._session.add(
            BookTransfer(
                transfer_id=transfer_id,
                debit=debit,
                credit=credit,
                amount_microcredits=amount,
                state=state,
                resolves=resolves,
                created_at_ms=self._now_ms,
            )
        )

    def _resolve(self, hold: BookTransfer, state: TransferState) -> None:
        hold.state = state
        self._session.add(hold)
        self._session.flush()
        self._move_pending(hold.debit, hold.credit, -hold.amount_microcredits)

    def _move_pending(self, debit: str, credit: str, amount: int) -> None:
        self._move(debit, debits_pending=BookAccount.debits_pending + amount)
        self._move(credit, credits_pending=BookAccount.credits_pending + amount)

    def _move_posted(self, debit: str, credit: str, amount: int) -> None:
        self._move(debit, debits_posted=BookAccount.debits_posted + amount)
        self._move(credit, credits_posted=BookAccount.credits_posted + amount)

    def _move(self, account_id: str, **sums: object) -> None:
        self._session.flush()
        self._session.execute(
            update(BookAccount)
            .where(BookAccount.account_id == account_id)  # type: ignore[arg-type]
            .values(**sums)
            .execution_options(synchronize_session=False)
        )


def _check_amount(amount: int) -> None:
    if type(amount) is not int or not 1 <= amount <= AMOUNT_MICROCREDITS_MAX:
        raise AmountError(
            f"An amount is a whole number from 1 to {AMOUNT_MICROCREDITS_MAX}."
        )
