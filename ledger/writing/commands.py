"""Exactly once: what was commanded before gets its first answer again.

A command has an id of its party's choice. The id, a hash of what was commanded and
the answer are stored in the transaction that does it, so there is an answer if and
only if there is an effect.

Source: the decision "the database is the truth, and one writer commits in groups".
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy.orm import Session

from ledger.errors import CommandError
from ledger.rows import insert_rows, read_tuples_by_key
from ledger.writing.models import CommandRecord


class CommandKey(NamedTuple):
    """Names one command: ids of different parties never meet."""

    party: str
    command_id: str


class Commands:
    """The commands of one open transaction, whose owner flushes and commits."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[CommandKey, tuple[bytes, str] | None] = {}
        self._kept: list[CommandKey] = []

    def prefetch(self, keys: Iterable[CommandKey]) -> None:
        """Read many with one query, for `answer` to find them."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._known]
        self._known.update(dict.fromkeys(missing))
        for row in read_tuples_by_key(self._session, CommandRecord, missing):
            party, command_id, payload_hash, answer = row
            self._known[CommandKey(party, command_id)] = payload_hash, answer

    def answer(self, key: CommandKey, payload_hash: bytes) -> str | None:
        """Look a command up, before it is done.

        Args:
            key: Who commands, and the id.
            payload_hash: SHA-256 of all that the id stands for.

        Returns:
            The answer that it got when it was done; None if it never was.

        Raises:
            CommandError: The id was used for something else.
        """
        if key not in self._known:
            self.prefetch([key])
        known = self._known[key]
        if known is None:
            return None
        if known[0] != payload_hash:
            raise CommandError("This id was used before with another payload.")
        return known[1]

    def keep(self, key: CommandKey, payload_hash: bytes, answer: str) -> None:
        """Remember a command that `answer` did not know; the last step of doing it."""
        self._known[key] = payload_hash, answer
        self._kept.append(key)

    def mark(self) -> int:
        """Return how many were kept, for `rollback_to`. Goes with a savepoint."""
        return len(self._kept)

    def rollback_to(self, mark: int) -> None:
        """Forget the commands that were kept after a mark."""
        while len(self._kept) > mark:
            self._known[self._kept.pop()] = None

    def flush(self) -> None:
        """Store what was kept; to be called before the commit."""
        rows = [(*key, *(self._known[key] or ())) for key in self._kept]
        insert_rows(self._session, CommandRecord, rows)
        self._kept = []
