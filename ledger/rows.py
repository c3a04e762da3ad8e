"""Many rows at once: inserted and found at the speed of the database's driver.

A batch of the writer has hundreds of rows of a few tables. Each statement is made and
compiled once, and its values go to the driver as they are, so they must be text,
bytes or whole numbers.

To find rows by their keys, a query joins the list of keys. `(a, b) IN (...)` is the
obvious way to ask for keys of two columns, and SQLite answers that by reading the
whole table.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain, islice
from typing import Any, TypeVar

from sqlalchemy import (
    CTE,
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    String,
    and_,
    column,
    insert,
    inspect,
    text,
)
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel import SQLModel, select
from sqlmodel.sql.expression import SelectOfScalar

KEYS_PER_QUERY_MAX = 256
"""Of keys in one query; of two columns they are 512 values, where 32,766 may be."""

STATEMENTS_KEPT_MAX = 256
"""Compiled statements: some tables, each with nine counts of keys."""

Row = TypeVar("Row", bound=SQLModel)
Key = tuple[str, ...]


@cache
def column_names(table: type[SQLModel]) -> tuple[str, ...]:
    """The columns of a table, in its order."""
    return tuple(item.name for item in inspect(table).local_table.columns)


def insert_rows(
    session: Session, table: type[SQLModel], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows that have a value for each column, in the table's order."""
    if rows:
        _execute(session.connection(), _insert(table), column_names(table), rows)


def read_by_key(
    session: Session, table: type[Row], keys: Iterable[Key]
) -> Iterator[Row]:
    """Read those rows that there are, in any order, as objects of the session.

    Args:
        session: Inside a transaction.
        table: Its primary key is all text.
        keys: Primary keys, with their columns in the table's order.
    """
    for names, values in _chunks(keys):
        query = _select_objects(table, len(names))
        given = dict(zip(names, values, strict=True))
        yield from session.scalars(query, given).unique()


def read_tuples_by_key(
    session: Session, table: type[SQLModel], keys: Iterable[Key]
) -> Iterator[Sequence[Any]]:
    """As `read_by_key`, as values of all columns; a row may come twice."""
    for names, values in _chunks(keys):
        query = _select_tuples(table, len(names))
        yield from _execute(session.connection(), query, names, [values])


def _chunks(keys: Iterable[Key]) -> Iterator[tuple[Sequence[str], tuple[str, ...]]]:
    """Names and values of some keys at a time."""
    left = iter(keys)
    while chunk := list(islice(left, KEYS_PER_QUERY_MAX)):
        # Few different counts, so that there are few different queries.
        count = 1 << (len(chunk) - 1).bit_length()
        chunk += chunk[-1:] * (count - len(chunk))
        yield _key_names(count, len(chunk[0])), tuple(chain.from_iterable(chunk))


@cache
def _key_names(count: int, width: int) -> tuple[str, ...]:
    return tuple(f"key_{row}_{place}" for row in range(count) for place in range(width))


@cache
def _insert(table: type[SQLModel]) -> ClauseElement:
    return insert(table)


@cache
def _select_objects(table: type[Row], values: int) -> SelectOfScalar[Row]:
    wanted, fits = _wanted(table, values)
    return select(table).join_from(wanted, table, fits)


@cache
def _select_tuples(table: type[SQLModel], values: int) -> ClauseElement:
    wanted, fits = _wanted(table, values)
    columns = inspect(table).local_table.columns
    return select_columns(*columns).join_from(wanted, table, fits)


def _wanted(table: type[SQLModel], values: int) -> tuple[CTE, ColumnElement[bool]]:
    """A list of keys, and what ties a row to one of them."""
    key = inspect(table).primary_key
    names = [f":{name}" for name in _key_names(values // len(key), len(key))]
    rows = [names[at : at + len(key)] for at in range(0, values, len(key))]
    # Both databases call the columns of bare values so.
    columns = [column(f"column{place + 1}", String) for place in range(len(key))]
    wanted = (
        text("VALUES " + ", ".join(f"({', '.join(row)})" for row in rows))
        .columns(*columns)
        .cte("wanted")
    )
    fits = [mine == theirs for mine, theirs in zip(key, wanted.c, strict=True)]
    return wanted, and_(*fits)


def _execute(
    connection: Connection,
    statement: ClauseElement,
    names: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> Sequence[Sequence[Any]]:
    """Give values to the driver in the form that it takes."""
    compiled = _compile(statement, connection.dialect)
    given: list[Any] = [*rows]
    if compiled.positional:
        assert tuple(compiled.positiontup or ()) == names
    else:
        given = [dict(zip(names, row, strict=True)) for row in rows]
    result = connection.exec_driver_sql(
        compiled.string, given if len(given) > 1 else given[0]
    )
    return result.all() if result.returns_rows else ()


@lru_cache(maxsize=STATEMENTS_KEPT_MAX)
def _compile(statement: ClauseElement, dialect: Dialect) -> SQLCompiler:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    return compiled
