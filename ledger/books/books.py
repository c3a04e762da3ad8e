"""Double-entry books in whole micro-credits: transfer, hold, post, void, expire.

Each movement debits one account and credits another by the same amount, so the sum
over all accounts is zero by construction. A hold reserves money on both its accounts
until it is posted, wholly or in part, is voided, or its time runs out.

A refused request changes nothing, a hold is resolved once, no account leaves its
bound, and an id stands for one transfer for ever, so that asking again is safe.

Many requests share one transaction: rows are read once, money moves in memory, and
`flush` writes everything back just before the commit.

Source: decisions 0003 (money is integers) and 0013 (what the books promise).
"""

from collections.abc import Iterable, Sequence

from sqlmodel import Session, select

from ledger.books.account import Account, Balance, Bound
from ledger.books.admission import (
    check_form,
    check_identifier,
    check_open,
    check_pending,
    check_sums,
    refuse_repetition,
)
from ledger.books.errors import (
    AccountDiffersError,
    AccountUnknownError,
    ChainError,
    ChainLengthError,
    CreditUnknownError,
    DebitUnknownError,
    PendingUnknownError,
    TransferError,
)
from ledger.books.expiry import EXPIRED_PER_CALL_MAX, Expiry
from ledger.books.models import BookAccount
from ledger.books.pages import Pages
from ledger.books.store import BookStore
from ledger.books.transfer import Hold, Movement, Post, Record, Request, Transfer, Void
from ledger.identifiers import new_identifier

CHAIN_LENGTH_MAX = 1024
"""A job pays a handful of parties; twice a batch of the writer is always enough."""


class Books:
    """The books as seen by one open transaction, whose owner flushes and commits.

    Args:
        session: With its transaction.
        now_ms: When all of this happens. It decides which holds are overdue.
        locking: Whether accounts and transfers that are read stay locked until the
            transaction ends. False only where nothing will be changed.
    """

    def __init__(self, session: Session, *, now_ms: int, locking: bool = True) -> None:
        self._session = session
        self._now_ms = now_ms
        self._pages = Pages(BookStore(session, locking=locking))

    def prefetch(
        self, account_ids: Iterable[str] = (), transfer_ids: Iterable[str] = ()
    ) -> None:
        """Read what a batch will need with one query for each table.

        The accounts of transfers among them are read along. What was read before, or
        does not exist, does no harm.
        """
        self._pages.read(account_ids, transfer_ids)

    def new_transfer_id(self, prefix: str) -> str:
        """Make a random id for a transfer, of which no other can have heard."""
        transfer_id = new_identifier(prefix)
        self._pages.note_free(transfer_id)
        return transfer_id

    def open_account(
        self, account_id: str, *, bound: Bound = Bound.DEBITS_MUST_NOT_EXCEED_CREDITS
    ) -> None:
        """Make sure that an account exists; an existing one stays as it is.

        Raises:
            IdentifierError: The id is not 1 to 128 printable ASCII characters.
            AccountDiffersError: It exists with another bound.
        """
        check_identifier(account_id)
        account = self._pages.find_account(account_id)
        if account is None:
            self._pages.add_account(account_id, bound)
        elif account.bound is not bound:
            raise AccountDiffersError(f"Account {account_id} has another bound.")

    def close_account(self, account_id: str) -> None:
        """Let an account take part in nothing new; its holds can only be given back.

        Raises:
            AccountUnknownError: There is no such account.
        """
        self._account(account_id)
        self._pages.mark_closed(account_id, closed=True)

    def reopen_account(self, account_id: str) -> None:
        """Let a closed account take part again.

        Raises:
            AccountUnknownError: There is no such account.
        """
        self._account(account_id)
        self._pages.mark_closed(account_id, closed=False)

    def balance(self, account_id: str) -> Balance:
        """The balance of an account.

        Raises:
            AccountUnknownError: There is no such account.
        """
        return self._account(account_id).balance

    def apply(self, request: Request) -> int:
        """Do what is asked, or change nothing.

        Returns:
            Micro-credits that were moved, reserved or given back.

        Raises:
            TransferError: The first reason of `ledger.books.errors.PRECEDENCE`.
        """
        check_form(request)
        known = self._pages.find_record(request.transfer_id)
        if known is not None:
            refuse_repetition(request, known)
        if isinstance(request, Movement):
            record = self._admit_movement(request)
        else:
            record = self._admit_resolution(request)
        self._pages.add_record(request.transfer_id, record)
        return record.amount_microcredits

    def apply_linked(self, chain: Sequence[Request]) -> list[int]:
        """Do all that is asked, in this order, or nothing of it.

        Returns:
            Micro-credits as `apply` returns them, for each member.

        Raises:
            ChainLengthError: The chain has no members, or too many.
            ChainError: A member was refused; `refusals` has a reason for each.
        """
        if not 1 <= len(chain) <= CHAIN_LENGTH_MAX:
            raise ChainLengthError(f"A chain has 1 to {CHAIN_LENGTH_MAX} members.")
        mark = self.mark()
        amounts: list[int] = []
        for request in chain:
            try:
                amounts.append(self.apply(request))
            except TransferError as error:
                self.rollback_to(mark)
                place = len(amounts)
                raise ChainError.of(error, place=place, length=len(chain)) from error
        return amounts

    def transfer(
        self, transfer_id: str, *, debit: str, credit: str, amount_microcredits: int
    ) -> None:
        """Move money at once: `apply` with a plain `Transfer`."""
        self.apply(Transfer(transfer_id, debit, credit, amount_microcredits))

    def hold(
        self,
        transfer_id: str,
        *,
        debit: str,
        credit: str,
        amount_microcredits: int,
        timeout_ms: int | None = None,
    ) -> None:
        """Reserve money until `post`, `void` or its time: `apply` with a `Hold`."""
        amount = amount_microcredits
        self.apply(Hold(transfer_id, debit, credit, amount, timeout_ms=timeout_ms))

    def post(
        self,
        transfer_id: str,
        *,
        hold_id: str,
        amount_microcredits: int | None = None,
    ) -> None:
        """Pay all or part of a hold: `apply` with a `Post`."""
        self.apply(Post(transfer_id, hold_id, amount_microcredits))

    def void(self, hold_id: str, *, transfer_id: str | None = None) -> None:
        """Give a whole hold back: `apply` with a `Void`, of a new id if need be."""
        if transfer_id is None:
            transfer_id = self.new_transfer_id("void")
        self.apply(Void(transfer_id, hold_id))

    def expire(self, *, count_max: int = EXPIRED_PER_CALL_MAX) -> list[Expiry]:
        """Give back holds whose time has run out, the longest overdue first.

        Until this is called their money stays reserved, though nobody can post them.

        Args:
            count_max: At most so many.

        Returns:
            What was given back; if as many as `count_max`, there may be more.
        """
        overdue = self._pages.read_overdue(self._now_ms, count_max)
        expired = []
        for hold_id, hold in overdue.items():
            transfer_id = self.new_transfer_id("expire")
            record = hold.resolved_by(Expiry.kind, hold_id, now_ms=self._now_ms)
            self._pages.add_record(transfer_id, record)
            expired.append(Expiry.of(transfer_id, record))
        return expired

    def mark(self) -> int:
        """Return where the books stand, for `rollback_to`. Goes with a savepoint."""
        return self._pages.mark()

    def rollback_to(self, mark: int) -> None:
        """Take back everything that was done after a mark, which no flush followed."""
        self._pages.rollback_to(mark)

    def flush(self) -> None:
        """Write back what has changed; to be called before the commit."""
        self._pages.flush()

    def sum_posted_microcredits(self) -> int:
        """The sum over all accounts; anything but zero is a fault of ours."""
        # In Python, whose integers do not end at 64 bits.
        return sum(item.credits_posted - item.debits_posted for item in self.accounts())

    def accounts(self) -> Sequence[BookAccount]:
        """All accounts, by id."""
        self.flush()
        query = select(BookAccount).order_by(BookAccount.account_id)
        query = query.execution_options(populate_existing=True)
        return self._session.exec(query).all()

    def _account(self, account_id: str) -> Account:
        account = self._pages.find_account(account_id)
        if account is None:
            raise AccountUnknownError(f"The books have no account {account_id}.")
        return account

    def _admit_movement(self, request: Movement) -> Record:
        self._pages.read((request.debit, request.credit), ())
        debit = self._pages.find_account(request.debit)
        if debit is None:
            raise DebitUnknownError(f"The books have no account {request.debit}.")
        credit = self._pages.find_account(request.credit)
        if credit is None:
            raise CreditUnknownError(f"The books have no account {request.credit}.")
        check_open(debit, credit)
        amount = check_sums(request, debit, credit)
        return Record.of(request, amount, now_ms=self._now_ms)

    def _admit_resolution(self, request: Post | Void) -> Record:
        hold_id, now_ms = request.hold_id, self._now_ms
        hold = self._pages.find_record(hold_id)
        if hold is None:
            raise PendingUnknownError(f"There is no transfer {hold_id}.")
        check_pending(request, hold, now_ms)
        self._pages.read((hold.debit, hold.credit), ())
        debit, credit = self._account(hold.debit), self._account(hold.credit)
        if isinstance(request, Void):
            return hold.resolved_by(request.kind, hold_id, now_ms=now_ms)
        check_open(debit, credit)
        amount = request.amount_microcredits
        return hold.resolved_by(request.kind, hold_id, now_ms=now_ms, amount=amount)
