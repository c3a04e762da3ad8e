"""One transaction of the writer: state, money and statements change together.

Commands see this object and nothing else of the machinery. What they record is
inserted at the end of the batch; what they want done afterwards (wake-ups, the view
of the fleet) happens only once the batch is on disk.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import insert
from sqlmodel import Session

from ledger.books.books import Books
from ledger.encoding import canonical_json
from ledger.log.log import Batch
from ledger.statements.disclosure import Opening
from ledger.statements.statement import Statement
from market.models import StatementParty, StatementRecord


@dataclass(frozen=True)
class Savepoint:
    """How much of a batch stood when a command began."""

    log_mark: int
    records: int
    parties: int
    effects: int


class Transaction:
    """What a command may use while it runs."""

    def __init__(self, session: Session, batch: Batch, *, now_ms: int) -> None:
        self.session = session
        self.now_ms = now_ms
        self.books = Books(session, now_ms=now_ms)
        self._batch = batch
        self._records: list[dict[str, object]] = []
        self._parties: list[dict[str, object]] = []
        self._effects: list[Callable[[], None]] = []

    def record(
        self,
        statement: Statement,
        *,
        parties: Iterable[str],
        openings: Mapping[str, Opening] | None = None,
    ) -> int:
        """Put a statement into the log.

        Args:
            statement: Complete, with its signatures checked.
            parties: Accounts and nodes that may see the openings.
            openings: What opens its private fields.

        Returns:
            Its place in the log, final if this transaction commits.
        """
        index = self._batch.add(statement.entry)
        opened = {name: item.to_json() for name, item in (openings or {}).items()}
        self._records.append(
            {
                "index": index,
                "digest": statement.digest,
                "kind": statement.kind,
                "openings": canonical_json(opened).decode(),
            }
        )
        self._parties.extend(
            {"party": party, "index": index} for party in dict.fromkeys(parties)
        )
        return index

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Do something once this command is durable; it must not fail."""
        self._effects.append(effect)

    def savepoint(self) -> Savepoint:
        """Remember how far the batch has come."""
        return Savepoint(
            self._batch.mark(),
            len(self._records),
            len(self._parties),
            len(self._effects),
        )

    def rollback_to(self, savepoint: Savepoint) -> None:
        """Forget what was recorded since; the database has its own savepoint."""
        self._batch.rollback_to(savepoint.log_mark)
        del self._records[savepoint.records :]
        del self._parties[savepoint.parties :]
        del self._effects[savepoint.effects :]

    def finish(self) -> None:
        """Insert what was recorded and move the log's head, just before commit."""
        self._batch.finish(self.session)
        if self._records:
            self.session.execute(insert(StatementRecord), self._records)
        if self._parties:
            self.session.execute(insert(StatementParty), self._parties)

    def run_effects(self) -> None:
        """Do what commands asked for, after the commit."""
        for effect in self._effects:
            effect()


def load_openings(text: str) -> dict[str, Opening]:
    """Openings as stored with a statement's record."""
    return {name: Opening.from_json(item) for name, item in json.loads(text).items()}
