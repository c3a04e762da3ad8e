"""The pages of the books that a transaction has open: rows in memory, changed there.

Every change is journaled with what takes it back, so that a savepoint costs nothing,
and is written to the database in one go.
"""

from collections.abc import Callable, Iterable
from functools import partial

from ledger.books.account import Account, Bound
from ledger.books.store import BookStore
from ledger.books.transfer import Record


class Pages:
    """Accounts and transfers as this transaction sees them."""

    def __init__(self, store: BookStore) -> None:
        self._store = store
        self._accounts: dict[str, Account] = {}
        self._records: dict[str, Record | None] = {}
        self._new_accounts: dict[str, Account] = {}
        self._new_records: dict[str, Record] = {}
        self._resolved: dict[str, Record] = {}
        self._changed: dict[str, Account] = {}
        self._journal: list[Callable[[], None]] = []
        self._journaled_before = 0

    def read(self, account_ids: Iterable[str], transfer_ids: Iterable[str]) -> None:
        """Open pages, unless they are open, and those of the transfers' accounts."""
        missing = {name for name in transfer_ids if name not in self._records}
        if missing:
            self._records.update(dict.fromkeys(missing))
            self._records.update(self._store.read_transfers(missing))
        records = (self._records[name] for name in missing)
        wanted = {side for it in records if it for side in (it.debit, it.credit)}
        wanted.update(account_ids)
        wanted -= self._accounts.keys()
        if wanted:
            self._accounts.update(self._store.read_accounts(wanted))

    def read_overdue(self, now_ms: int, count_max: int) -> dict[str, Record]:
        """Open holds whose time has run out, with their accounts, the oldest first."""
        # Some may be resolved here, of which the database does not know yet.
        found = self._store.read_overdue(now_ms, count_max + len(self._resolved))
        names = [name for name in found if name not in self._resolved][:count_max]
        overdue = {name: self._records.get(name) or found[name] for name in names}
        self._records.update(overdue)
        sides = ((record.debit, record.credit) for record in overdue.values())
        self.read((side for both in sides for side in both), ())
        return overdue

    def find_account(self, account_id: str) -> Account | None:
        """The account, read when it is first asked for."""
        if account_id not in self._accounts:
            self._accounts.update(self._store.read_accounts([account_id]))
        return self._accounts.get(account_id)

    def find_record(self, transfer_id: str) -> Record | None:
        """The transfer, read when it is first asked for."""
        if transfer_id not in self._records:
            found = self._store.read_transfers([transfer_id])
            self._records[transfer_id] = found.get(transfer_id)
        return self._records[transfer_id]

    def note_free(self, transfer_id: str) -> None:
        """Remember that nothing can have this id, which saves asking."""
        self._records[transfer_id] = None

    def add_account(self, account_id: str, bound: Bound) -> None:
        """Open an account that does not exist."""
        account = Account(bound=bound)
        self._accounts[account_id] = self._new_accounts[account_id] = account
        self._journal.append(partial(self._remove_account, account_id))

    def mark_closed(self, account_id: str, *, closed: bool) -> None:
        """Close or reopen an account."""
        account = self._accounts[account_id]
        self._changed[account_id] = account
        self._journal.append(partial(setattr, account, "closed", account.closed))
        account.closed = closed

    def add_record(self, transfer_id: str, record: Record) -> None:
        """Enter a transfer, move its money, and resolve the hold that it resolves."""
        self._records[transfer_id] = self._new_records[transfer_id] = record
        if record.resolves is not None:
            hold = self._records[record.resolves]
            assert hold is not None
            hold.resolution = record.kind
            if record.resolves not in self._new_records:
                self._resolved[record.resolves] = hold
        self._move(record, 1)
        self._journal.append(partial(self._remove_record, transfer_id, record))

    def mark(self) -> int:
        """How much has been journaled."""
        return self._journaled_before + len(self._journal)

    def rollback_to(self, mark: int) -> None:
        """Take back everything after a mark, which no flush may have followed."""
        assert mark >= self._journaled_before, "it has been flushed"
        while self.mark() > mark:
            self._journal.pop()()

    def flush(self) -> None:
        """Write back what has changed."""
        if self._journal:
            # A hold says how it was resolved before the row comes that did it.
            self._store.insert_accounts(self._new_accounts)
            self._store.update_holds(self._resolved)
            self._store.insert_transfers(self._new_records)
            changed = self._changed.keys() - self._new_accounts.keys()
            self._store.update_accounts({name: self._changed[name] for name in changed})
        self._journaled_before = self.mark()
        self._journal = []
        self._new_accounts, self._new_records = {}, {}
        self._resolved, self._changed = {}, {}

    def _remove_account(self, account_id: str) -> None:
        del self._accounts[account_id]
        del self._new_accounts[account_id]
        self._changed.pop(account_id, None)

    def _remove_record(self, transfer_id: str, record: Record) -> None:
        self._move(record, -1)
        if record.resolves is not None:
            hold = self._records[record.resolves]
            assert hold is not None
            hold.resolution = None
            self._resolved.pop(record.resolves, None)
        self._records[transfer_id] = None
        del self._new_records[transfer_id]

    def _move(self, record: Record, sign: int) -> None:
        debit, credit = self._accounts[record.debit], self._accounts[record.credit]
        pending, posted = sign * record.pending_shift, sign * record.posted_shift
        debit.debits_pending += pending
        credit.credits_pending += pending
        debit.debits_posted += posted
        credit.credits_posted += posted
        self._changed[record.debit] = debit
        self._changed[record.credit] = credit
