"""A market as Sixfold 0.1.0 left it: its tables, its rows, its keys, its checkpoint."""

import shutil
import sqlite3
from pathlib import Path

from databases import Address
from sqlalchemy import MetaData, create_engine, text

from ledger.signing import PrivateKey
from market.database import Database
from market.schema import migrate

VECTORS = Path(__file__).parents[1] / "vectors" / "market-0.1.0"
CONSUMER = PrivateKey(b"c" * 32)
"""It has topped up a million, and paid 17 for one of its three jobs."""
POSTED_MICROCREDITS = 10**6 - 17
ENTRIES = 12
"""Statements in its log."""


def write_released_folder(folder: Path) -> None:
    """Lay keys and checkpoint out as they were."""
    (folder / "log").mkdir(parents=True)
    shutil.copy(VECTORS / "checkpoint", folder / "log" / "checkpoint")
    for name in ("market.key", "log.key"):
        shutil.copy(VECTORS / name, folder / name)
        (folder / name).chmod(0o600)


def write_released_tables(address: Address, scratch: Path) -> None:
    """Make a database what it was; on PostgreSQL, what it would have been."""
    path = address if isinstance(address, Path) else scratch / "released.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript((VECTORS / "market.sql").read_text())
    connection.close()
    if not isinstance(address, Path):
        _copy(path, Database(address))


def _copy(path: Path, database: Database) -> None:
    source = create_engine(f"sqlite:///{path}")
    tables = MetaData()
    with (
        database._changing_tables() as target,
        source.connect() as rows,
    ):
        migrate(target, to="0001")
        target.execute(text("DROP TABLE alembic_version"))
        tables.reflect(rows)
        for table in tables.sorted_tables:
            found = [dict(row._mapping) for row in rows.execute(table.select())]
            if found:
                target.execute(table.insert(), found)
    source.dispose()
    database.close()
