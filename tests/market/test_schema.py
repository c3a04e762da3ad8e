"""The tables of a database: made, moved to the newest version, or refused."""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from checkers import check_books
from databases import Address, PostgresqlServer
from parties import Cast, wait_until
from released_market import (
    CONSUMER,
    ENTRIES,
    POSTED_MICROCREDITS,
    write_released_folder,
    write_released_tables,
)
from serving import serve_in_thread
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

from market import app as whole_market
from market.database import Database
from market.errors import SchemaError
from market.schema import (
    Migration,
    migrate,
    newest_version,
    read_version,
    require_newest,
)

NEWEST = newest_version()
VERSIONS = "alembic_version"
INDEXES = {
    "sqlite": "SELECT tbl_name, sql FROM sqlite_master WHERE sql LIKE 'CREATE INDEX%'",
    "postgresql": "SELECT tablename, indexdef FROM pg_indexes",
}
DESCRIBED = ("type", "nullable", "default")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Address]:
    """A database without tables."""
    if request.param == "sqlite":
        yield tmp_path / "market" / "market.sqlite"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    with server.database(template="template1") as fresh:
        yield fresh


@pytest.fixture
def released(empty: Address, tmp_path: Path) -> Address:
    """The same, with the tables and rows of 0.1.0."""
    write_released_tables(empty, tmp_path)
    write_released_folder(tmp_path / "market")
    return empty


@pytest.fixture
def database(empty: Address, tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "market").mkdir(exist_ok=True)
    database = Database(empty)
    yield database
    database.close()


def describe(connection: Connection) -> dict[str, Any]:
    """All that can be told of the tables, but for the order of columns."""
    look = inspect(connection)
    indexes: defaultdict[str, set[str]] = defaultdict(set)
    for name, definition in connection.execute(text(INDEXES[connection.dialect.name])):
        indexes[name].add(definition.replace('"', ""))
    return {
        name: {
            "columns": sorted(
                (column["name"], *(str(column[key]) for key in DESCRIBED))
                for column in look.get_columns(name)
            ),
            "key": look.get_pk_constraint(name),
            "foreign": sorted(map(str, look.get_foreign_keys(name))),
            "unique": sorted(map(str, look.get_unique_constraints(name))),
            "checks": sorted(map(str, look.get_check_constraints(name))),
            "indexes": indexes[name],
        }
        for name in look.get_table_names()
        if name != VERSIONS
    }


def tables_of(database: Database) -> dict[str, Any]:
    with database._writer.connect() as connection:
        return describe(connection)


def tables_of_models(empty: Address, request: Any, folder: Path) -> dict[str, Any]:
    """What the models would make by themselves."""
    assert whole_market, "all models are loaded"
    if isinstance(empty, Path):
        fresh = Database(folder / "models.sqlite")
        with fresh._writer.begin() as connection:
            SQLModel.metadata.create_all(connection)
            tables = describe(connection)
        fresh.close()
        return tables
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    with server.database(template="template1") as address:
        fresh = Database(address)
        with fresh._writer.begin() as connection:
            SQLModel.metadata.create_all(connection)
            tables = describe(connection)
        fresh.close()
    return tables


def test_tables_are_made_in_an_empty_database(database) -> None:
    database.prepare()
    with database.reading() as session:
        require_newest(session.connection())
    database.prepare()
    assert database.migrate() == Migration(NEWEST, NEWEST)


@pytest.mark.parametrize("start", ["empty", "released"])
def test_versions_lead_to_what_the_models_say(
    request, empty, start, database, tmp_path
) -> None:
    if start == "released":
        request.getfixturevalue("released")
    database.migrate()
    with database._writer.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    assert tables_of(database) == tables_of_models(empty, request, tmp_path)


def test_first_version_is_what_was_released(released, database) -> None:
    with database.reading() as session:
        assert read_version(session.connection()) == "0001"


def test_tables_that_were_released_are_those_of_the_first_version(tmp_path) -> None:
    write_released_tables(tmp_path / "released.sqlite", tmp_path)
    released = Database(tmp_path / "released.sqlite")
    made = Database(tmp_path / "made.sqlite")
    with made._changing_tables() as connection:
        migrate(connection, to="0001")
    assert tables_of(released) == tables_of(made)
    released.close()
    made.close()


def test_other_version_is_refused_with_what_to_do(released, database) -> None:
    before = tables_of(database)
    with pytest.raises(SchemaError, match="sixfold market migrate"):
        database.prepare()
    assert tables_of(database) == before


def test_version_from_the_future_is_refused(database) -> None:
    database.prepare()
    with database._writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for step in (database.prepare, database.migrate):
        with pytest.raises(SchemaError, match="9999"):
            step()


def test_database_of_something_else_is_left_alone(database) -> None:
    with database._writer.begin() as connection:
        connection.execute(text("CREATE TABLE recipe (name VARCHAR)"))
    for step in (database.prepare, database.migrate):
        with pytest.raises(SchemaError, match="something else"):
            step()
    assert set(tables_of(database)) == {"recipe"}


def test_many_processes_may_start_on_an_empty_database(empty, database) -> None:
    others = [Database(empty) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.prepare, others))
    for other in others:
        other.close()
    assert database.migrate() == Migration(NEWEST, NEWEST)


def test_released_market_goes_on(released, database, tmp_path) -> None:
    url = None if isinstance(released, Path) else released
    assert database.migrate() == Migration("0001", NEWEST)
    check_books(database)
    with (
        serve_in_thread(tmp_path / "market", url=url) as market,
        Cast(market) as cast,
    ):
        consumer = cast.stranger(CONSUMER)
        assert consumer.balance()["postedMicrocredits"] == POSTED_MICROCREDITS
        invoice = consumer.get("/billing/v0.1/invoice")
        assert (invoice["totalMicrocredits"], invoice["jobs"]) == (17, 1)
        states = [
            job["state"] for job in consumer.get("/compute-jobs/v0.1/jobs")["jobs"]
        ]
        assert sorted(states) == ["charged", "refused", "released"]
        consumer.top_up(5)
        provider = cast.provider()
        order = consumer.make_order()
        consumer.place(order)
        provider.work()
        consumer.settle(order.job_id)
        log = market.context.log
        wait_until(lambda: log.published().size > ENTRIES)
        assert consumer.receipt(order.job_id)
    check_books(database)


def test_transfers_keep_their_meaning(released, database) -> None:
    database.migrate()
    with database.reading() as session:
        rows = session.execute(
            text("SELECT kind, resolution, count(*) FROM book_transfer GROUP BY 1, 2")
        ).all()
        voids = session.execute(
            text("SELECT transfer_id FROM book_transfer WHERE kind = 'void'")
        ).scalars()
        entries = session.execute(text("SELECT data FROM log_entry")).scalars()
        statements = [json.loads(entry) for entry in entries]
        assert list(voids) == [
            statement["body"]["transferId"]
            for statement in statements
            if statement["kind"] == "release"
        ]
    assert {(kind, resolution): count for kind, resolution, count in rows} == {
        ("transfer", None): 3,
        ("hold", "post"): 1,
        ("hold", "void"): 1,
        ("post", None): 1,
        ("void", None): 1,
    }


def test_jobs_under_way_are_not_moved(released, database) -> None:
    with database._writer.begin() as connection:
        connection.execute(text("UPDATE job SET state = 'REPORTED'"))
    before = tables_of(database)
    with pytest.raises(SchemaError, match="3 jobs"):
        database.migrate()
    assert tables_of(database) == before
    with database.reading() as session:
        assert read_version(session.connection()) == "0001"


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from market.database import Database, parse_database_url

@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

address, left = sys.argv[1], int(sys.argv[2])
database = Database(
    parse_database_url(address) if "://" in address else Path(address)
)
database.migrate()
"""


def killed_after(address: Address, statements: int) -> int:
    where = (
        str(address)
        if isinstance(address, Path)
        else address.render_as_string(hide_password=False)
    )
    command = [sys.executable, "-c", KILLED, where, str(statements)]
    return subprocess.run(command, check=False, env=dict(os.environ)).returncode


@pytest.mark.slow
def test_migration_that_is_killed_leaves_the_old_version(released, database) -> None:
    before = tables_of(database)
    kills = 0
    while killed_after(released, 5 + 13 * kills) == -signal.SIGKILL:
        kills += 1
        assert tables_of(database) == before
        with database.reading() as session:
            assert read_version(session.connection()) == "0001"
        database.close()
    assert kills > 2
    assert database.migrate() == Migration(NEWEST, NEWEST)
    check_books(database)
