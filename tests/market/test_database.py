"""Both kinds of database: durable, one snapshot for each reader, bounded waits."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from databases import Address
from parties import Consumer, MovableClock
from pydantic import ValidationError
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlmodel import Session

from ledger.document import describe_validation
from ledger.encoding import Json
from ledger.errors import CommandError, LogError
from ledger.log.log import Log
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from ledger.writing import group_commit
from market import database as database_module
from market import postgresql
from market.database import Database, parse_database_url
from market.errors import DatabaseError, InvalidError, UnavailableError
from market.identity.models import Account
from market.settings import Settings
from market.transaction import Transaction
from market.writer import Command, Writer, WriterHooks
from sdk.errors import MarketRefusedError

on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)
SECRET = "s3cret"


@pytest.fixture
def database(address: Address) -> Iterator[Database]:
    database = Database(address)
    database.prepare()
    yield database
    database.close()


@pytest.fixture
def open_writer(
    database: Database, address: Address, tmp_path: Path
) -> Iterator[Callable[[], Writer]]:
    """Opens writers, each with a database of its own, as processes would."""
    opened: list[tuple[Writer, Database]] = []
    log = Log(tmp_path / "log", Signer("sixfold.example/test", PrivateKey.generate()))
    with database.writing() as session:
        log.recover(session)

    def open_one() -> Writer:
        own = Database(address)
        hooks = WriterHooks(committed=lambda: None, failed=lambda: None)
        writer = Writer(own, log, MovableClock(), hooks)
        writer.start()
        opened.append((writer, own))
        return writer

    yield open_one
    for writer, own in opened:
        writer.stop()
        own.close()


def add(name: str) -> Command:
    """A command that adds an account and does nothing else."""

    def apply(transaction: Transaction) -> Json:
        transaction.session.add(
            Account(account_id=name, public_key=name, registered_at_ms=1)
        )
        return name

    return Command("party", name, name, apply)


def count(session: Session) -> int:
    return session.execute(text("SELECT count(*) FROM account")).scalar_one()


def failure_of(read: Callable[[Session], object], database: Database) -> Exception:
    """The error with which a reader ends."""
    with pytest.raises(Exception) as failure, database.reading() as session:  # noqa: PT011
        read(session)
    return failure.value


def end_sessions(url: URL, *, doing: str) -> None:
    with postgresql.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = %s "
            "AND pid <> pg_backend_pid()",
            (doing,),
        )


@pytest.mark.parametrize(
    "text_",
    [
        f"mysql://me:{SECRET}@host/market",
        f"postgresql://me:{SECRET}@host:port/market",
        f"postgresql+asyncpg://me:{SECRET}@host/market",
        f"sqlite:///{SECRET}",
        f"me:{SECRET}",
        "",
    ],
)
def test_what_is_no_address_is_refused_without_an_echo(text_) -> None:
    with pytest.raises(InvalidError) as refusal:
        parse_database_url(text_)
    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None
    with pytest.raises(ValidationError) as failure:
        Settings.from_environment({}, database_url=text_)
    assert SECRET not in describe_validation(failure.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_password_is_kept_and_not_shown(scheme) -> None:
    given = f"{scheme}://me:{SECRET}@host/market"
    settings = Settings.from_environment({"SIXFOLD_MARKET_DATABASE_URL": given})
    address = settings.database_address
    assert isinstance(address, URL)
    assert address.password == SECRET
    assert address.drivername == "postgresql+psycopg"
    assert SECRET not in f"{settings!r} {settings} {address!r} {address}"


def test_database_is_a_file_unless_an_address_is_set(tmp_path) -> None:
    settings = Settings.from_environment({}, folder=tmp_path)
    assert settings.database_address == tmp_path / "market.sqlite"


def test_reader_sees_one_snapshot(database) -> None:
    with database.reading() as session:
        before = count(session)
        with database.writing() as writing:
            writing.add(Account(account_id="a", public_key="a", registered_at_ms=1))
        assert count(session) == before
    with database.reading() as session:
        assert count(session) == before + 1


@on_postgresql
def test_reader_cannot_write(database) -> None:
    with database.reading() as session, pytest.raises(DBAPIError, match="read-only"):
        session.execute(text("DELETE FROM account"))


def test_commits_wait_for_the_disk(database, url) -> None:
    if url is not None:
        with postgresql.connect(url) as connection:
            connection.execute(
                f"ALTER DATABASE {url.database} SET synchronous_commit = off".encode()
            )
        database.close()
        with database.writing() as session:
            setting = session.execute(text("SHOW synchronous_commit")).scalar_one()
        assert setting == "on"
        return
    with database.writing() as session:
        assert session.execute(text("PRAGMA synchronous")).scalar_one() == 2
        assert session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


def test_what_fails_is_rolled_back(database) -> None:
    def fail() -> None:
        with database.writing() as session:
            session.add(Account(account_id="a", public_key="a", registered_at_ms=1))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.reading() as session:
        assert count(session) == 0


def test_foreign_keys_are_enforced(database) -> None:
    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(
            text(
                "INSERT INTO offer (offer_id, provider, node, digest, entry, live, "
                "valid_until_ms) VALUES ('o', 'nobody', 'n', 'd', '', true, 1)"
            )
        )


def test_errors_do_not_repeat_what_was_asked(database) -> None:
    wrong = text("SELECT 1 FROM nowhere WHERE :secret = 'a'")
    failure = failure_of(
        lambda session: session.execute(wrong, {"secret": SECRET}), database
    )
    assert isinstance(failure, DBAPIError)
    assert SECRET not in str(failure)


@on_postgresql
def test_reader_hears_when_the_database_does_not_answer_in_time(database) -> None:
    slow = text("SELECT set_config('statement_timeout', '50', true)")

    def read(session: Session) -> None:
        session.execute(slow)
        session.execute(text("SELECT pg_sleep(10)"))

    assert isinstance(failure_of(read, database), DatabaseError)


@on_postgresql
def test_reader_hears_when_the_connection_is_lost(database, url) -> None:
    def read(session: Session) -> None:
        count(session)
        end_sessions(url, doing="idle in transaction")
        count(session)

    assert isinstance(failure_of(read, database), DatabaseError)
    with database.reading() as session:
        assert count(session) == 0


@on_postgresql
def test_idle_connections_that_were_lost_are_replaced(database, url) -> None:
    with database.reading() as session:
        count(session)
    end_sessions(url, doing="idle")
    with database.reading() as session:
        assert count(session) == 0


@on_postgresql
def test_readers_are_bounded(url, monkeypatch) -> None:
    monkeypatch.setattr(database_module, "READERS_MAX", 1)
    monkeypatch.setattr(postgresql, "LOCK_TIMEOUT_MS", 50)
    database = Database(url)
    with database.reading() as session:
        count(session)
        failure = failure_of(count, database)
    assert isinstance(failure, DatabaseError)
    assert "busy" in failure.message
    database.close()


def test_server_that_is_not_there_is_unavailable(postgresql_url) -> None:
    database = Database(postgresql_url.set(database="nowhere"))
    for step in (database.prepare, database.migrate):
        with pytest.raises(DatabaseError):
            step()
    with pytest.raises(DatabaseError), database.reading() as session:
        count(session)
    database.close()


@on_postgresql
def test_lost_connection_in_a_batch_is_made_good(open_writer, database, url) -> None:
    writer, lost = open_writer(), [None]

    def apply(transaction: Transaction) -> Json:
        name = str(len(lost))
        transaction.session.add(
            Account(account_id=name, public_key=name, registered_at_ms=1)
        )
        transaction.session.flush()
        if lost:
            lost.pop()
            end_sessions(url, doing="idle in transaction")
        return name

    assert writer.submit_and_wait([Command("party", "one", None, apply)]) == ["0"]
    with database.reading() as session:
        assert count(session) == 1


@on_postgresql
def test_commit_of_which_nobody_heard_is_not_done_twice(
    open_writer, database, url, monkeypatch
) -> None:
    """The connection breaks after the commit and before its answer."""
    writer, breaks = open_writer(), [None]
    dialect = writer._database._writer.dialect
    do_commit = dialect.do_commit

    def commit(connection: psycopg.Connection) -> None:
        do_commit(connection)
        if breaks:
            breaks.pop()
            raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(dialect, "do_commit", commit)
    monkeypatch.setattr(group_commit, "FIRST_WAIT_S", 0.001)
    assert writer.submit_and_wait([add("a")]) == ["a"]
    assert not breaks
    with database.reading() as session:
        assert count(session) == 1


@on_postgresql
def test_writer_that_waits_too_long_gives_up_and_may_be_asked_again(
    open_writer, database, monkeypatch
) -> None:
    monkeypatch.setitem(postgresql._SETTINGS, "lock_timeout", 50)
    monkeypatch.setattr(group_commit, "FIRST_WAIT_S", 0.001)
    writer = open_writer()
    with database.writing() as session:
        session.execute(text("SELECT size FROM log_head FOR UPDATE"))
        with pytest.raises(UnavailableError):
            writer.submit_and_wait([add("a")])
    assert writer.submit_and_wait([add("a")]) == ["a"]


@on_postgresql
def test_writer_that_hangs_does_not_stop_the_others(
    open_writer, database, monkeypatch
) -> None:
    monkeypatch.setitem(
        postgresql._SETTINGS, "idle_in_transaction_session_timeout", 300
    )
    hanging, other = open_writer(), open_writer()
    going_on = threading.Event()

    def hang(_: Transaction) -> Json:
        going_on.wait(5)
        return "late"

    with ThreadPoolExecutor(1) as pool:
        slow = Command("party", "slow", None, hang)
        late = pool.submit(hanging.submit_and_wait, [slow])
        time.sleep(0.1)
        assert other.submit_and_wait([add("a")]) == ["a"]
        going_on.set()
        assert late.result() == ["late"]


@on_postgresql
def test_writers_of_two_processes_do_one_command_once(open_writer, database) -> None:
    writers = [open_writer() for _ in range(4)]
    names = [str(number) for number in range(50)]

    def ask(writer: Writer) -> list[object]:
        return [writer.submit_and_wait([add(name)]) for name in names]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, writers))
    assert answers == [[[name] for name in names]] * 4
    with database.reading() as session:
        assert count(session) == len(names)


@on_postgresql
def test_value_that_no_row_can_hold_is_refused_alone(open_writer) -> None:
    writer, wrong = open_writer(), replace(add("b\0"), command_id="b")
    answers = writer.submit_and_wait([add("a"), wrong, add("c")])
    assert (answers[0], answers[2]) == ("a", "c")
    assert isinstance(answers[1], InvalidError)


@on_postgresql
def test_question_for_what_no_row_can_hold_is_out_of_form(database) -> None:
    with pytest.raises(InvalidError), database.reading() as session:
        session.get(Account, "a\0")


def test_path_with_a_nul_names_nothing(consumer: Consumer) -> None:
    with pytest.raises(MarketRefusedError) as refusal:
        consumer.get("/compute-jobs/v0.1/jobs/job%00")
    assert refusal.value.code == "NOT_FOUND"


def test_passing_errors_are_told_from_others() -> None:
    assert not postgresql.is_passing(None)
    assert not postgresql.is_passing(ZeroDivisionError())
    assert not postgresql.is_passing(CommandError("no"))
    locked = OperationalError("UPDATE", {}, Exception("database is locked"))
    assert not postgresql.is_passing(locked)
    deadlock = psycopg.errors.DeadlockDetected()
    wrapped = OperationalError("UPDATE", {}, deadlock)
    hidden = LogError("Another writer holds the log.")
    hidden.__cause__ = wrapped
    for error in (deadlock, wrapped, hidden):
        assert postgresql.is_passing(error)
    assert postgresql.is_passing(psycopg.OperationalError("lost"))
    unique = psycopg.errors.UniqueViolation()
    assert not postgresql.is_passing(IntegrityError("INSERT", {}, unique))
