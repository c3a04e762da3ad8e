"""One transaction of the writer: state, money and statements change together.

Commands see this object and nothing else of the machinery. What they record is
inserted at the end of the batch; what they want done afterwards (wake-ups, the view
of the fleet) happens only once the batch is on disk.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from sqlalchemy import insert, inspect, tuple_
from sqlmodel import Session, SQLModel, select

from ledger.books.books import Books
from ledger.log.log import Batch
from ledger.statements.disclosure import Opening
from ledger.statements.statement import Statement
from market.models import CommandRecord, StatementParty, StatementRecord


@dataclass(frozen=True)
class Savepoint:
    """How much of a batch stood when a command began."""

    log_mark: int
    records: int
    parties: int
    effects: int
    undos: int
    books: int


Row = TypeVar("Row", bound=SQLModel)
RowKey = tuple[type[SQLModel], tuple[str, ...]]
"""A table and the primary key of one of its rows."""


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
        self._undos: list[Callable[[], object]] = []
        self._rows: dict[RowKey, SQLModel | None] = {}
        self._answers: list[dict[str, object]] = []

    def prefetch(self, keys: Iterable[RowKey]) -> None:
        """Read many rows with one query for each table, for `find` to find them."""
        wanted: dict[type[SQLModel], list[tuple[str, ...]]] = {}
        for table, key in dict.fromkeys(keys):
            if (table, key) not in self._rows:
                self._rows[table, key] = None
                wanted.setdefault(table, []).append(key)
        for table, missing in wanted.items():
            columns = inspect(table).primary_key
            query = select(table).where(tuple_(*columns).in_(missing))
            # Nothing that waits to be flushed is among them: `add` would know it.
            with self.session.no_autoflush:
                rows = self.session.exec(query).all()
            for row in rows:
                key = tuple(getattr(row, column.name) for column in columns)
                self._rows[table, key] = row

    def find(self, table: type[Row], *key: str) -> Row | None:
        """The row with this primary key, read at most once in a transaction."""
        if (table, key) not in self._rows:
            self.prefetch([(table, key)])
        return cast("Row | None", self._rows[table, key])

    def add(self, row: SQLModel) -> None:
        """Insert a new row; `find` sees it from now on."""
        columns = inspect(type(row)).primary_key
        key = tuple(getattr(row, column.name) for column in columns)
        self.session.add(row)
        self._rows[type(row), key] = row
        self._undos.append(lambda: self._rows.pop((type(row), key), None))

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
        self._records.append(
            {
                "index": index,
                "digest": statement.digest,
                "kind": statement.kind,
                "openings": openings_text(openings or {}),
            }
        )
        self._parties.extend(
            {"party": party, "index": index} for party in dict.fromkeys(parties)
        )
        return index

    def keep_answer(
        self, party: str, command_id: str, payload_hash: bytes, answer: str
    ) -> None:
        """Remember a command that took effect; the last thing that it does."""
        record = CommandRecord(
            party=party,
            command_id=command_id,
            payload_hash=payload_hash,
            answer=answer,
        )
        self._answers.append(record.model_dump())
        self._rows[CommandRecord, (party, command_id)] = record

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Do something once this command is durable; it must not fail."""
        self._effects.append(effect)

    def at_once(self, effect: Callable[[], None], *, undo: Callable[[], None]) -> None:
        """Change a view in memory that the rest of the batch must see already.

        Args:
            effect: Done now; it must not fail.
            undo: Done if this command is rolled back. If the commit fails, all views
                are read anew.
        """
        effect()
        self._undos.append(undo)

    def savepoint(self) -> Savepoint:
        """Remember how far the batch has come."""
        return Savepoint(
            self._batch.mark(),
            len(self._records),
            len(self._parties),
            len(self._effects),
            len(self._undos),
            self.books.mark(),
        )

    def rollback_to(self, savepoint: Savepoint) -> None:
        """Forget what was recorded since; the database has its own savepoint."""
        self._batch.rollback_to(savepoint.log_mark)
        self.books.rollback_to(savepoint.books)
        del self._records[savepoint.records :]
        del self._parties[savepoint.parties :]
        del self._effects[savepoint.effects :]
        while len(self._undos) > savepoint.undos:
            self._undos.pop()()

    def abandon(self) -> None:
        """Take back what was changed in memory; the database rolls back by itself."""
        while self._undos:
            self._undos.pop()()

    def finish(self) -> None:
        """Insert what was recorded and move the log's head, just before commit."""
        self.session.flush()
        self.books.flush()
        self._batch.finish(self.session)
        if self._answers:
            self.session.execute(insert(CommandRecord), self._answers)
        if self._records:
            self.session.execute(insert(StatementRecord), self._records)
        if self._parties:
            self.session.execute(insert(StatementParty), self._parties)

    @property
    def effects(self) -> Sequence[Callable[[], None]]:
        """What commands asked for, to be done after the commit."""
        return tuple(self._effects)


def openings_text(openings: Mapping[str, Opening]) -> str:
    """Openings as they are stored, for `load_openings`."""
    return json.dumps(
        {
            name: {"salt": item.salt, "value": item.value}
            for name, item in openings.items()
        }
    )


def load_openings(text: str) -> dict[str, Opening]:
    """Openings as stored with a statement's record."""
    # Checked when they came in, so their form is known.
    return {
        name: Opening.model_construct(salt=item["salt"], value=item["value"])
        for name, item in json.loads(text).items()
    }
