"""The books' rows: read many at a time, written back many at a time.

Only what every database has: PostgreSQL locks what is read here until the transaction
ends, always in the order of ids, and SQLite has one writer anyway.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Select, Table, Update, bindparam, insert, select, update
from sqlmodel import Session, SQLModel

from ledger.books.account import Account
from ledger.books.models import BookAccount, BookTransfer
from ledger.books.transfer import Record

KEYS_PER_QUERY_MAX = 8192
"""SQLite takes 32,766 values in a query, PostgreSQL 65,535; more keys take another."""

_ACCOUNTS = SQLModel.metadata.tables[BookAccount.__tablename__]
_TRANSFERS = SQLModel.metadata.tables[BookTransfer.__tablename__]
_ACCOUNT_FIELDS = tuple(Account.__dataclass_fields__)
_ACCOUNT_CHANGES = tuple(name for name in _ACCOUNT_FIELDS if name != "bound")
_RECORD_FIELDS = tuple(Record.__dataclass_fields__)


class BookStore:
    """Reads and writes rows of the books in somebody else's transaction."""

    def __init__(self, session: Session, *, locking: bool) -> None:
        self._session = session
        self._locking = locking

    def read_accounts(self, account_ids: Collection[str]) -> dict[str, Account]:
        """Those of the accounts that exist."""
        query = _select_by_key(_ACCOUNTS, _ACCOUNT_FIELDS, locking=self._locking)
        return {
            row[0]: Account(*row[1:]) for row in self._read_keyed(query, account_ids)
        }

    def read_transfers(self, transfer_ids: Collection[str]) -> dict[str, Record]:
        """Those of the transfers that exist."""
        query = _select_by_key(_TRANSFERS, _RECORD_FIELDS, locking=self._locking)
        return {
            row[0]: Record(*row[1:]) for row in self._read_keyed(query, transfer_ids)
        }

    def read_overdue(self, now_ms: int, count_max: int) -> dict[str, Record]:
        """Open holds whose time has run out, the longest overdue first."""
        columns = (_TRANSFERS.c[name] for name in ("transfer_id", *_RECORD_FIELDS))
        query = (
            select(*columns)
            .where(
                _TRANSFERS.c.resolution.is_(None),
                _TRANSFERS.c.expires_at_ms.is_not(None),
                _TRANSFERS.c.expires_at_ms <= now_ms,
            )
            .order_by(_TRANSFERS.c.expires_at_ms, _TRANSFERS.c.transfer_id)
            .limit(count_max)
        )
        if self._locking:
            query = query.with_for_update()
        rows = self._session.connection().execute(query)
        return {row[0]: Record(*row[1:]) for row in rows}

    def insert_accounts(self, accounts: Mapping[str, Account]) -> None:
        """Add rows for accounts that have none."""
        self._insert(_ACCOUNTS, _ACCOUNT_FIELDS, accounts)

    def insert_transfers(self, transfers: Mapping[str, Record]) -> None:
        """Add rows for transfers, what resolves a hold after the hold itself."""
        self._insert(_TRANSFERS, _RECORD_FIELDS, transfers)

    def update_accounts(self, accounts: Mapping[str, Account]) -> None:
        """Write sums and marks back, in the order of ids."""
        self._update(_ACCOUNTS, _ACCOUNT_CHANGES, accounts)

    def update_holds(self, holds: Mapping[str, Record]) -> None:
        """Write down what has resolved them; before the rows that did are inserted."""
        self._update(_TRANSFERS, ("resolution",), holds)

    def _read_keyed(self, query: Select[Any], keys: Collection[str]) -> Iterator[Any]:
        ordered = sorted(keys)
        for start in range(0, len(ordered), KEYS_PER_QUERY_MAX):
            some = ordered[start : start + KEYS_PER_QUERY_MAX]
            yield from self._session.connection().execute(query, {"keys": some})

    def _insert(
        self,
        table: Table,
        names: tuple[str, ...],
        items: Mapping[str, Account] | Mapping[str, Record],
    ) -> None:
        (key,) = table.primary_key
        rows = [
            {key.name: item_id, **{name: getattr(item, name) for name in names}}
            for item_id, item in items.items()
        ]
        if rows:
            self._session.connection().execute(insert(table), rows)

    def _update(
        self,
        table: Table,
        names: tuple[str, ...],
        items: Mapping[str, Account] | Mapping[str, Record],
    ) -> None:
        values = [
            {"key": item_id, **{f"new_{name}": getattr(item, name) for name in names}}
            for item_id, item in sorted(items.items())
        ]
        if values:
            statement = _update_by_key(table, names)
            self._session.connection().execute(statement, values)


@cache
def _select_by_key(
    table: Table, names: tuple[str, ...], *, locking: bool
) -> Select[Any]:
    (key,) = table.primary_key
    columns = (table.c[name] for name in names)
    wanted = key.in_(bindparam("keys", expanding=True))
    query = select(key, *columns).where(wanted).order_by(key)
    return query.with_for_update() if locking else query


@cache
def _update_by_key(table: Table, names: tuple[str, ...]) -> Update:
    (key,) = table.primary_key
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return update(table).where(key == bindparam("key")).values(values)
