"""Appending to the log: the entries of one transaction, and the head they move.

An append is part of its caller's transaction. The head row is compared and swapped
in it, so there is one history whoever writes, whatever locks were forgotten.
"""

from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlmodel import col

from ledger.errors import LogError
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.models import LogEntry, LogHead
from ledger.rows import insert_rows


class Batch:
    """The entries that one transaction appends. From `Log.begin`, for one thread."""

    def __init__(self, frontier: Frontier) -> None:
        self._frontier = frontier
        self._entries: list[bytes] = []

    def add(self, entry: bytes) -> int:
        """Take an entry of at most 65,535 bytes.

        Returns:
            Its index, which is final if the transaction commits and this entry is
            not rolled back before.

        Raises:
            LogError: The entry is too large for a log.
        """
        check_entry(entry)
        self._entries.append(entry)
        return self._frontier.size + len(self._entries) - 1

    def mark(self) -> int:
        """Return where the batch stands, for `rollback_to`. Goes with a savepoint."""
        return len(self._entries)

    def rollback_to(self, mark: int) -> None:
        """Forget all entries that were added after a mark."""
        del self._entries[mark:]

    def finish(self, session: Session) -> None:
        """Write the entries and move the head; the last thing before the commit.

        Args:
            session: The one that `Log.begin` was called with.

        Raises:
            LogError: Another writer moved the head in the meantime. The
                transaction must be rolled back, and may be tried again.
        """
        if not self._entries:
            return
        start, peaks = self._frontier.size, b"".join(self._frontier.peaks)
        self._frontier.extend(map(leaf_hash, self._entries))
        swap = (
            update(LogHead)
            .where(col(LogHead.size) == start, col(LogHead.frontier) == peaks)
            .values(size=self._frontier.size, frontier=b"".join(self._frontier.peaks))
        )
        try:
            swapped = session.connection().execute(swap).rowcount
        except OperationalError as error:
            # SQLite's way to say that another transaction has written since ours read.
            raise LogError("Another writer holds the log.") from error
        if swapped != 1:
            raise LogError("Another writer moved the head of the log.")
        insert_rows(session, LogEntry, [*enumerate(self._entries, start=start)])
        self._entries = []


def check_entry(entry: bytes) -> None:
    """Refuse what no bundle can frame.

    Raises:
        LogError: The entry has more than 65,535 bytes.
    """
    if len(entry) > STATEMENT_BYTES_MAX:
        raise LogError(f"An entry has at most {STATEMENT_BYTES_MAX} bytes.")
