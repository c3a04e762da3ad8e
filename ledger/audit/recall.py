"""Finds earlier statements by digest, in memory that a hostile log cannot fill fast.

For each statement that may still be referred to only its digest and place are kept;
of the statements themselves only the latest, the others are read again. An honest log
refers to what is near, and closes what it opened.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from ledger.audit.compact_table import CompactTable
from ledger.audit.errors import RuleError
from ledger.audit.rules import Rule
from ledger.encoding import sha256_text
from ledger.errors import LedgerError
from ledger.statements.kinds import StatementBody
from ledger.statements.statement import parse_statement

RECENT_MAX = 4096
"""Statements held in memory; with their tariffs about 40 MB."""

INDEX_BYTES = 8

_Body = TypeVar("_Body", bound=StatementBody)


def new_places() -> CompactTable:
    """An empty table for places in a log."""
    return CompactTable(number_bytes=INDEX_BYTES)


class Recall:
    """The statements that later ones may refer to."""

    def __init__(
        self, read_entry: Callable[[int], bytes], places: CompactTable | None = None
    ) -> None:
        """Start empty, or go on.

        Args:
            read_entry: Reads an entry of the log again; may raise a LedgerError.
            places: Of an earlier one.
        """
        self._read_entry = read_entry
        self._recent: OrderedDict[str, tuple[int, StatementBody]] = OrderedDict()
        # Only of those that are not recent: most are closed before it comes to that.
        self._places = new_places() if places is None else places

    def remember(self, digest: str, index: int, body: StatementBody) -> None:
        """Take note of a statement that was checked."""
        self._recent[digest] = index, body
        if len(self._recent) > RECENT_MAX:
            oldest, (place, _) = self._recent.popitem(last=False)
            self._places.add(oldest, place)

    def find(self, digest: str, kind: type[_Body]) -> _Body:
        """Return the body of an earlier statement.

        Raises:
            RuleError: There is none of this digest and kind that is still open.
        """
        found = self._recent.get(digest)
        if found is None:
            body = self._find_again(digest, kind)
        else:
            body = found[1]
            self._recent.move_to_end(digest)
        if not isinstance(body, kind):
            raise RuleError(
                Rule.REFERENCE,
                f"It refers to {_a(body.kind)} statement as if it were "
                f"{_a(kind.kind)}.",
            )
        return body

    def forget(self, digest: str) -> None:
        """Let go of a statement that nothing may refer to any more."""
        if self._recent.pop(digest, None) is None:
            self._places.pop(digest)

    def places(self) -> CompactTable:
        """Where each statement stands that may still be referred to, by its digest."""
        table = CompactTable.from_bytes(self._places.to_bytes())
        for digest, (index, _) in self._recent.items():
            table.add(digest, index)
        return table

    def _find_again(self, digest: str, kind: type[StatementBody]) -> StatementBody:
        index = self._places.get(digest)
        if index is None:
            raise RuleError(
                Rule.REFERENCE,
                f"It refers to {_a(kind.kind)} statement that does not stand before "
                "it, or that is closed.",
            )
        body = self._read_again(digest, index)
        self._places.pop(digest)
        self.remember(digest, index, body)
        return body

    def _read_again(self, digest: str, index: int) -> StatementBody:
        try:
            entry = self._read_entry(index)
            statement = parse_statement(entry)
        except LedgerError as error:
            raise RuleError(
                Rule.REFERENCE, f"Entry {index}, to which it refers, is gone."
            ) from error
        if sha256_text(entry) != digest:
            raise RuleError(
                Rule.REFERENCE, f"Entry {index}, to which it refers, has changed."
            )
        return statement.body


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
