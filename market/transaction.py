"""One transaction of the writer: state, money and statements change together.

Commands see this object and nothing else of the machinery. What they record is
inserted at the end of the batch; what they want done afterwards (wake-ups, the view
of the fleet) happens only once the batch is on disk.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import inspect
from sqlmodel import Session, SQLModel

from ledger.books.books import Books
from ledger.books.models import BookAccount, BookTransfer
from ledger.commitments.group import decode_scalar
from ledger.commitments.pedersen import CommitmentOpening
from ledger.encoding import decode_base64
from ledger.log.batch import Batch
from ledger.rows import column_names, insert_rows, read_by_key
from ledger.statements.disclosure import Opening, Openings, openings_json
from ledger.statements.statement import Statement
from ledger.writing.commands import Commands
from market.models import StatementParty, StatementRecord


@dataclass(frozen=True)
class Savepoint:
    """How much of a batch stood when a command began."""

    log_mark: int
    inserts: int
    effects: int
    changed: int
    undos: int
    books: int


Row = TypeVar("Row", bound=SQLModel)
LOG_GREW = "log/grew"
"""What a publisher watches."""
RowKey = tuple[type[SQLModel], tuple[str, ...]]
"""A table and the primary key of one of its rows."""


class Transaction:
    """What a command may use while it runs."""

    def __init__(self, session: Session, batch: Batch, *, now_ms: int) -> None:
        self.session = session
        self.now_ms = now_ms
        self.books = Books(session, now_ms=now_ms)
        self.commands = Commands(session)
        self._batch = batch
        self._inserts: list[tuple[type[SQLModel], tuple[object, ...]]] = []
        self._effects: list[Callable[[], None]] = []
        self._changed: list[str] = []
        self._undos: list[Callable[[], object]] = []
        self._rows: dict[RowKey, SQLModel | None] = {}

    def prefetch(self, keys: Iterable[RowKey]) -> None:
        """Read many rows with one query for each table, for `find` to find them.

        Rows of the books are read for `books` alone.
        """
        wanted: dict[type[SQLModel], list[tuple[str, ...]]] = {}
        for table, key in dict.fromkeys(keys):
            if (table, key) not in self._rows:
                wanted.setdefault(table, []).append(key)
        accounts, transfers = wanted.pop(BookAccount, []), wanted.pop(BookTransfer, [])
        self.books.prefetch(
            (name for (name,) in accounts), (name for (name,) in transfers)
        )
        for table, missing in wanted.items():
            self._rows.update(((table, key), None) for key in missing)
            # Nothing that waits to be flushed is among them: `add` would know it.
            with self.session.no_autoflush:
                rows = list(read_by_key(self.session, table, missing))
            for row in rows:
                self._rows[table, inspect(row).identity] = row

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

    def insert(self, table: type[SQLModel], **values: object) -> None:
        """Insert a row at the end of the batch; nobody sees or changes it before.

        Args:
            table: Its columns hold text, bytes and whole numbers.
            values: One for each column.
        """
        names = column_names(table)
        assert values.keys() == set(names)
        self._inserts.append((table, tuple(values[name] for name in names)))

    def record(
        self,
        statement: Statement,
        *,
        parties: Iterable[str],
        openings: Openings | None = None,
        shown: Mapping[str, Iterable[str]] | None = None,
    ) -> int:
        """Put a statement into the log.

        Args:
            statement: Complete, with its signatures checked.
            parties: Accounts and nodes that may see the openings.
            openings: What opens its private fields.
            shown: For parties who may see some openings only, the names of those.

        Returns:
            Its place in the log, final if this transaction commits.
        """
        index = self._batch.add(statement.entry)
        self.insert(
            StatementRecord,
            index=index,
            digest=statement.digest,
            kind=statement.kind,
            openings=openings_text(openings or {}),
        )
        fields = {party: " ".join(names) for party, names in (shown or {}).items()}
        for party in dict.fromkeys([*parties, *fields]):
            self.insert(
                StatementParty, party=party, index=index, fields=fields.get(party)
            )
        return index

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Do something once this command is durable; it must not fail."""
        self._effects.append(effect)

    def announce(self, *keys: str) -> None:
        """Wake those who watch these keys once this command is durable."""
        self._changed.extend(keys)

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
            len(self._inserts),
            len(self._effects),
            len(self._changed),
            len(self._undos),
            self.books.mark(),
        )

    def rollback_to(self, savepoint: Savepoint) -> None:
        """Forget what was recorded since; the database has its own savepoint."""
        self._batch.rollback_to(savepoint.log_mark)
        self.books.rollback_to(savepoint.books)
        del self._inserts[savepoint.inserts :]
        del self._effects[savepoint.effects :]
        del self._changed[savepoint.changed :]
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
        self.commands.flush()
        rows: dict[type[SQLModel], list[tuple[object, ...]]] = {}
        for table, row in self._inserts:
            rows.setdefault(table, []).append(row)
        for table, of_table in rows.items():
            insert_rows(self.session, table, of_table)

    @property
    def effects(self) -> Sequence[Callable[[], None]]:
        """What commands asked for, to be done after the commit."""
        return tuple(self._effects)

    @property
    def changed(self) -> Sequence[str]:
        """Keys that commands announced, and that the log grew if it did."""
        keys = dict.fromkeys(self._changed)
        has_grown = any(table is StatementRecord for table, _ in self._inserts)
        return (*keys, LOG_GREW) if has_grown else tuple(keys)


def openings_text(openings: Openings) -> str:
    """Openings as they are stored, for `load_openings`."""
    return json.dumps(openings_json(openings))


def load_openings(text: str) -> dict[str, Opening | CommitmentOpening]:
    """Openings as stored with a statement's record."""
    return {name: _load_opening(item) for name, item in json.loads(text).items()}


def _load_opening(item: dict[str, Any]) -> Opening | CommitmentOpening:
    # Checked when they came in, so their form is known.
    if "blinding" in item:
        blinding = decode_scalar(decode_base64(item["blinding"]))
        return CommitmentOpening(item["value"], blinding)
    return Opening.model_construct(salt=item["salt"], value=item["value"])
