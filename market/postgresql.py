"""PostgreSQL: how its sessions are set up, and which of its errors pass by themselves.

Writers see all that is committed as soon as they hold the head of the log, readers
have one snapshot each. Whoever waits for a lock or for an answer waits for a bounded
time. A session that says nothing in the midst of a transaction is ended by the
server, so that one process that hangs does not stop the others.

Source: PostgreSQL 16, "Transaction Isolation", "PostgreSQL Error Codes", "Client
Connection Defaults", "Explicit Locking".
"""

import logging
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from ledger.errors import LedgerError
from market.errors import SchemaError

LOCK_TIMEOUT_MS = 10_000
"""Longer than the batches of some other writers; beyond it something is stuck."""
STATEMENT_TIMEOUT_MS = 30_000
"""Nothing that is asked takes a tenth of it."""
IDLE_IN_TRANSACTION_MS = 20_000
"""A writer that says nothing for so long hangs, and the others wait for it."""
CONNECT_TIMEOUT_S = 10
"""A server that is there accepts within milliseconds."""

SERVING_LOCK = 0x5349_5846_4F4C_4401
"""Advisory lock: shared by all processes of the market."""
TABLES_LOCK = 0x5349_5846_4F4C_4402
"""Advisory lock: of the one who makes or moves the tables."""
PUBLISHER_LOCK = 0x5349_5846_4F4C_4403
"""Advisory lock: of the one process that publishes the log."""

_SETTINGS: dict[str, object] = {
    "lock_timeout": LOCK_TIMEOUT_MS,
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_MS,
    # So that the server soon notices that a machine is gone, and frees its locks.
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
}
_PASSING = frozenset(
    {
        "25P03",  # ended because it was idle in a transaction
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # a lock was not had in time
        "57P01",  # ended by an administrator
        "57P02",  # ended because another session crashed
        "57P03",  # the server is starting
    }
)
_CANCELLED = "57014"
"""A statement took too long."""
_CONNECTION_FAILED = "08"
"""Class of all codes of broken connections."""

logger = logging.getLogger(__name__)


def open_writer(url: URL) -> Engine:
    """One connection whose transactions write and are durable once committed."""
    # Parameters are other people's data, and errors are logged.
    engine = create_engine(
        url, pool_size=1, max_overflow=0, hide_parameters=True, **_connecting()
    )
    _configure(engine, "READ COMMITTED, READ WRITE")
    return engine


def open_reader(url: URL, *, size: int) -> Engine:
    """Connections whose transactions read one snapshot each."""
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=LOCK_TIMEOUT_MS / 1000,
        # One that broke while nobody used it is replaced unnoticed.
        pool_pre_ping=True,
        hide_parameters=True,
        **_connecting(),
    )
    _configure(engine, "REPEATABLE READ, READ ONLY")
    return engine


def connect(url: URL) -> psycopg.Connection[Any]:
    """A connection of one's own, of which each statement is a transaction.

    Raises:
        psycopg.OperationalError: The server cannot be reached.
    """
    arguments, named = url.get_dialect()().create_connect_args(url)
    options = {**named, "connect_timeout": CONNECT_TIMEOUT_S, "autocommit": True}
    connection = psycopg.connect(*arguments, **options)
    _set(connection, _SETTINGS)
    return connection


def begin_changing_tables(connection: Connection) -> None:
    """Wait until nobody else changes tables, until the end of this transaction.

    Raises:
        SchemaError: The database cannot hold all text.
    """
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise SchemaError("The database must be made with ENCODING 'UTF8'.")
    if connection.execute(text("SHOW fsync")).scalar_one() == "off":
        logger.warning("PostgreSQL runs with fsync off: a power failure loses promises")
    # Moving a large table may take long; waiting for a lock on it may not.
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    lock = text("SELECT pg_advisory_xact_lock(:key)")
    connection.execute(lock, {"key": TABLES_LOCK})


def require_no_market(connection: Connection) -> None:
    """Refuse to go on while a market runs on this database, and let none start.

    Raises:
        SchemaError: One runs.
    """
    lock = text("SELECT pg_try_advisory_xact_lock(:key)")
    if not connection.execute(lock, {"key": SERVING_LOCK}).scalar_one():
        raise SchemaError("Processes of the market run on this database; stop them.")


def is_passing(error: BaseException | None) -> bool:
    """Whether the same transaction may well succeed if it is tried again now.

    It took no effect. Or it did, and the connection broke before we heard of that.
    """
    if isinstance(error, LedgerError):
        error = error.__cause__
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        # The server never spoke: it cannot be reached, or the connection is lost.
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate in _PASSING or error.sqlstate.startswith(_CONNECTION_FAILED)


def is_unanswered(error: DBAPIError) -> bool:
    """Whether the server did not answer, or not in time."""
    is_cancelled = getattr(error.orig, "sqlstate", None) == _CANCELLED
    return is_cancelled or is_passing(error)


def _connecting() -> dict[str, Any]:
    return {"connect_args": {"connect_timeout": CONNECT_TIMEOUT_S}}


def _configure(engine: Engine, characteristics: str) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: psycopg.Connection[Any], _record: object) -> None:
        level = f"TRANSACTION ISOLATION LEVEL {characteristics}"
        connection.execute(f"SET SESSION CHARACTERISTICS AS {level}".encode())
        _set(connection, _SETTINGS)
        # Whatever the server's default is: what was answered is on its disk.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()


def _set(connection: psycopg.Connection[Any], settings: dict[str, object]) -> None:
    for name, value in settings.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
