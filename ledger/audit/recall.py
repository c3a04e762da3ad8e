"""Finds earlier statements by digest, in memory that a hostile log cannot fill fast.

For each statement that may still be referred to only its digest and place are kept;
of the statements themselves only the latest, the others are read again. An honest log
refers to what is near, and closes what it opened.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from ledger.audit.errors import RuleError
from ledger.audit.rules import Rule
from ledger.errors import LedgerError
from ledger.statements.kinds import StatementBody
from ledger.statements.statement import entry_digest, parse_statement

RECENT_MAX = 4096
"""Statements held in memory; with their tariffs about 40 MB."""

_Body = TypeVar("_Body", bound=StatementBody)


class Recall:
    """The statements that later ones may refer to."""

    def __init__(self, read_entry: Callable[[int], bytes]) -> None:
        """Start empty.

        Args:
            read_entry: Reads an entry of the log again; may raise a LedgerError.
        """
        self._read_entry = read_entry
        self._places: dict[str, int] = {}
        self._recent: OrderedDict[str, StatementBody] = OrderedDict()

    def remember(self, digest: str, index: int, body: StatementBody) -> None:
        """Take note of a statement that was checked."""
        self._places[digest] = index
        self._keep(digest, body)

    def find(self, digest: str, kind: type[_Body]) -> _Body:
        """Return the body of an earlier statement.

        Raises:
            RuleError: There is none of this digest and kind that is still open.
        """
        index = self._places.get(digest)
        if index is None:
            raise RuleError(
                Rule.REFERENCE,
                f"It refers to {_a(kind.kind)} statement that does not stand before "
                "it, or that is closed.",
            )
        body = self._recent.get(digest)
        if body is None:
            body = self._read_again(digest, index)
            self._keep(digest, body)
        if not isinstance(body, kind):
            raise RuleError(
                Rule.REFERENCE,
                f"It refers to {_a(body.kind)} statement as if it were "
                f"{_a(kind.kind)}.",
            )
        return body

    def forget(self, digest: str) -> None:
        """Let go of a statement that nothing may refer to any more."""
        self._places.pop(digest, None)
        self._recent.pop(digest, None)

    def _keep(self, digest: str, body: StatementBody) -> None:
        self._recent[digest] = body
        if len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)

    def _read_again(self, digest: str, index: int) -> StatementBody:
        try:
            entry = self._read_entry(index)
            statement = parse_statement(entry)
        except LedgerError as error:
            raise RuleError(
                Rule.REFERENCE, f"Entry {index}, to which it refers, is gone."
            ) from error
        if entry_digest(entry) != digest:
            raise RuleError(
                Rule.REFERENCE, f"Entry {index}, to which it refers, has changed."
            )
        return statement.body


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
