"""The version of a database's tables: made, told, moved to the newest, or refused.

A move is one transaction on both kinds of database, so a database has the tables of
one version whenever the machine stops.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from market.errors import SchemaError

FOLDER = Path(__file__).parent / "migrations"
UNVERSIONED = "0001"
"""Of a database that a market made before there were versions."""
_VERSIONS = "alembic_version"


@dataclass(frozen=True)
class Migration:
    """From which version a database was moved to which; None if it was empty."""

    old: str | None
    new: str


def newest_version() -> str:
    """The version that this program works with."""
    newest = _scripts().get_current_head()
    assert newest is not None
    return newest


def read_version(connection: Connection) -> str | None:
    """The version of a database's tables; None if it has no tables.

    Raises:
        SchemaError: It has tables, and they are not a market's.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if _VERSIONS in tables:
        return MigrationContext.configure(connection).get_current_revision()
    if "log_head" in tables:
        return UNVERSIONED
    raise SchemaError("This database holds something else than a market.")


def require_newest(connection: Connection) -> None:
    """Refuse a database that has to be moved first.

    Raises:
        SchemaError: Its tables are of another version than this program's, or there
            are none.
    """
    version, newest = read_version(connection), newest_version()
    _require_known(version)
    if version != newest:
        raise SchemaError(
            f"The database has tables of version {version}, and this program needs "
            f"{newest}. Stop all processes of the market, back the database up, then "
            f"run: sixfold market migrate"
        )


def migrate(connection: Connection, *, to: str = "head") -> Migration:
    """Move a database to a version; nothing happens if it has that one.

    Args:
        connection: In a transaction that the caller commits, and in which SQLite does
            not enforce foreign keys.
        to: A version, the newest by default.

    Raises:
        SchemaError: The database cannot be moved; roll the transaction back.
    """
    old = read_version(connection)
    _require_known(old)
    scripts = _scripts()

    def steps(heads: Any, _context: object) -> list[Any]:  # noqa: ANN401 - Alembic's
        # As Alembic's own commands do; its public face is a command line.
        return scripts._upgrade_revs(to, heads)  # noqa: SLF001

    options = {"fn": steps, "transactional_ddl": True}
    context = MigrationContext.configure(connection, opts=options)
    if old == UNVERSIONED and context.get_current_revision() is None:
        context.stamp(scripts, UNVERSIONED)
    with Operations.context(context):
        context.run_migrations()
    new = read_version(connection)
    assert new is not None
    return Migration(old, new)


def _require_known(version: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if version is not None and version not in known:
        raise SchemaError(
            f"The database has tables of version {version}, and this program knows "
            f"none newer than {newest_version()}. Use a newer program."
        )


@lru_cache(maxsize=1)
def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(FOLDER), version_locations=[str(FOLDER)])
