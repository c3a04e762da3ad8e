"""One writer: one commit for many commands, each whole or not at all, and once."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from checkers import check_books, read_statements
from databases import Address
from parties import MovableClock
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from ledger.books.account import Bound
from ledger.books.errors import FundsError
from ledger.encoding import Json
from ledger.errors import LogError
from ledger.log.batch import Batch
from ledger.log.log import Log
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from ledger.statements.kinds import AccountStatement
from ledger.statements.statement import Statement, make_statement
from ledger.writing import group_commit
from market.database import Database
from market.errors import (
    ConflictError,
    InvalidError,
    LimitError,
    MarketError,
    UnavailableError,
)
from market.identity.models import Account
from market.transaction import Transaction
from market.writer import Command, Writer, WriterHooks

PARTY = "acc_" + "a" * 26
OTHER = "acc_" + "b" * 26


@dataclass
class Desk:
    """A writer on a database of its own, and what can be seen of its work."""

    database: Database
    writer: Writer
    commits: list[None] = field(default_factory=list)
    reloads: list[None] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)

    def run(self, *commands: Command) -> list[object]:
        """Run commands as one request, and so in one transaction."""
        return list(self.writer.submit_and_wait(commands))

    def accounts(self) -> dict[str, int]:
        with self.database.reading() as session:
            rows = session.exec(Account.__table__.select()).all()  # type: ignore[attr-defined]
        return {row.account_id: row.registered_at_ms for row in rows}

    def digests(self) -> list[str]:
        return [statement.digest for statement in read_statements(self.database)]


@pytest.fixture
def idle_desk(tmp_path: Path, address: Address) -> Iterator[Desk]:
    """A desk whose writer has not started: what is queued waits."""
    database = Database(address)
    database.prepare()
    log = Log(tmp_path / "log", Signer("sixfold.example/test", PrivateKey.generate()))
    with database.writing() as session:
        log.recover(session)
    commits: list[None] = []
    reloads: list[None] = []
    hooks = WriterHooks(
        committed=lambda: commits.append(None), failed=lambda: reloads.append(None)
    )
    writer = Writer(database, log, MovableClock(), hooks)
    desk = Desk(database, writer, commits, reloads)
    yield desk
    if not writer._group._thread.is_alive():
        writer.start()
    writer.stop()
    database.close()


@pytest.fixture
def desk(idle_desk: Desk) -> Desk:
    idle_desk.writer.start()
    return idle_desk


def command(
    apply: Callable[[Transaction], Json],
    command_id: str = "one",
    payload: Json = None,
    party: str = PARTY,
) -> Command:
    return Command(party, command_id, payload, apply)


def register(account_id: str, at_ms: int = 1) -> Callable[[Transaction], Json]:
    def apply(transaction: Transaction) -> Json:
        account = Account(
            account_id=account_id, public_key=account_id, registered_at_ms=at_ms
        )
        transaction.session.add(account)
        return account_id

    return apply


def change(account_id: str, at_ms: int) -> Callable[[Transaction], Json]:
    def apply(transaction: Transaction) -> Json:
        account = transaction.session.get(Account, account_id)
        assert account is not None
        before = account.registered_at_ms
        account.registered_at_ms = at_ms
        transaction.session.flush()
        return before

    return apply


def some_statement() -> Statement:
    key = PrivateKey.generate()
    body = AccountStatement(
        account=key.account_id, public_key=key.public.text, registered_at_ms=1
    )
    return make_statement(body).signed_by("account", key)


def fail_after(
    *steps: Callable[[Transaction], Json], error: Exception | None = None
) -> Callable[[Transaction], Json]:
    def apply(transaction: Transaction) -> Json:
        for step in steps:
            step(transaction)
        raise error or InvalidError("no")

    return apply


def test_many_commands_share_one_commit(idle_desk) -> None:
    syncs: list[object] = []
    event.listen(idle_desk.database._writer, "commit", syncs.append)
    names = [f"acc_{number}" for number in range(200)]
    futures = [
        idle_desk.writer._enqueue([command(register(name), name)]) for name in names
    ]
    idle_desk.writer.start()
    assert [future.result() for future in futures] == [[name] for name in names]
    assert len(syncs) == len(idle_desk.commits) == 1
    assert len(idle_desk.accounts()) == 200


def test_one_commit_has_an_end(idle_desk) -> None:
    count = group_commit.ITEMS_PER_COMMIT_MAX + 1
    futures = [
        idle_desk.writer._enqueue([command(lambda _: 1, str(number))])
        for number in range(count)
    ]
    idle_desk.writer.start()
    assert [future.result() for future in futures] == [[1]] * count
    assert len(idle_desk.commits) == 2


def test_same_command_gets_its_first_answer(desk) -> None:
    counter = iter(range(10))
    twice = command(lambda _: next(counter))
    assert desk.run(twice, twice) == [0, 0]
    assert desk.run(twice) == [0]
    assert next(counter) == 1


def test_same_id_with_other_payload_conflicts(desk) -> None:
    desk.run(command(lambda _: 1, payload={"a": 1}))
    (answer,) = desk.run(command(lambda _: 2, payload={"a": 2}))
    assert isinstance(answer, ConflictError)


def test_ids_belong_to_their_party(desk) -> None:
    desk.run(command(lambda _: 1))
    assert desk.run(command(lambda _: 2, party=OTHER)) == [2]


def test_refused_command_may_be_tried_again(desk) -> None:
    (answer,) = desk.run(command(fail_after()))
    assert isinstance(answer, InvalidError)
    assert desk.run(command(lambda _: 1)) == [1]


def test_answer_of_nothing_is_not_kept(desk) -> None:
    assert desk.run(command(lambda _: None)) == [None]
    assert desk.run(command(lambda _: 1)) == [1]


@pytest.mark.parametrize(
    "error",
    [
        InvalidError("no"),
        FundsError(needed_microcredits=2, free_microcredits=1),
        ZeroDivisionError("a bug"),
        AssertionError("a bug"),
    ],
)
def test_failing_command_takes_all_that_is_its_own_back(desk, error) -> None:
    kept, lost = some_statement(), some_statement()
    busy: list[str] = []

    def act(name: str, statement: Statement) -> Callable[[Transaction], Json]:
        def apply(transaction: Transaction) -> Json:
            register(name)(transaction)
            transaction.record(statement, parties=[name])
            transaction.after_commit(lambda: desk.effects.append(name))
            transaction.at_once(
                lambda: busy.append(name), undo=lambda: busy.remove(name)
            )
            transaction.books.open_account(f"{name}/wallet", bound=Bound.NONE)
            transaction.books.open_account(f"{name}/clearing")
            transaction.books.hold(
                transaction.books.new_transfer_id("hold"),
                debit=f"{name}/wallet",
                credit=f"{name}/clearing",
                amount_microcredits=5,
            )
            return name

        return apply

    answers = desk.run(
        command(act("first", kept), "first"),
        command(fail_after(act("second", lost), error=error), "second"),
        command(register("third"), "third"),
    )
    assert (answers[0], answers[2]) == ("first", "third")
    assert isinstance(answers[1], MarketError)
    assert "a bug" not in answers[1].message
    assert set(desk.accounts()) == {"first", "third"}
    assert desk.digests() == [kept.digest]
    assert desk.effects == busy == ["first"]
    check_books(desk.database, held_microcredits=5)


def test_failing_command_does_not_leave_its_values_in_memory(desk) -> None:
    desk.run(command(register("a", at_ms=1), "register"))
    answers = desk.run(
        command(change("a", 2), "change"),
        command(fail_after(change("a", 3)), "fail"),
        command(change("a", 4), "again"),
    )
    assert (answers[0], answers[2]) == (1, 2)
    assert desk.accounts() == {"a": 4}


def test_bug_in_a_command_does_not_stop_the_writer(desk) -> None:
    (answer,) = desk.run(command(lambda _: 1 // 0))
    assert (answer.status, answer.code) == (500, "INTERNAL")
    assert desk.run(command(lambda _: 1)) == [1]


def test_answer_that_cannot_be_kept_is_a_refusal(desk) -> None:
    (answer,) = desk.run(command(fail_after(error=InvalidError("no"))))
    assert isinstance(answer, InvalidError)
    (answer,) = desk.run(command(lambda _: 2**60))
    assert isinstance(answer, InvalidError)
    assert desk.run(command(lambda _: 1)) == [1]


def test_bug_in_an_effect_does_not_stop_the_writer(desk) -> None:
    def apply(transaction: Transaction) -> Json:
        transaction.after_commit(lambda: 1 // 0)
        transaction.after_commit(lambda: desk.effects.append("next"))
        return 1

    assert desk.run(command(apply)) == [1]
    assert desk.effects == ["next"]
    assert len(desk.reloads) == 1
    assert desk.run(command(lambda _: 2, "two")) == [2]


def test_bug_in_a_hook_does_not_stop_the_writer(desk, monkeypatch) -> None:
    monkeypatch.setattr(desk.writer._group, "_committed", lambda: 1 // 0)
    assert desk.run(command(lambda _: 1)) == [1]
    assert desk.run(command(lambda _: 2, "two")) == [2]


def broken(*_: object) -> None:
    raise LogError("Another writer moved the head of the log.")


@pytest.mark.parametrize("place", ["begin", "finish", "commit"])
def test_batch_that_does_not_commit_changes_nothing(desk, monkeypatch, place) -> None:
    with monkeypatch.context() as fault:
        if place == "begin":
            fault.setattr(Log, "begin", broken)
        elif place == "finish":
            fault.setattr(Batch, "finish", broken)
        else:
            event.listen(desk.database._writer, "commit", broken)

        def apply(transaction: Transaction) -> Json:
            transaction.record(some_statement(), parties=[PARTY])
            transaction.after_commit(lambda: desk.effects.append("done"))
            return register("a")(transaction)

        with pytest.raises(UnavailableError):
            desk.run(command(apply))
        if place == "commit":
            event.remove(desk.database._writer, "commit", broken)
    assert desk.accounts() == {}
    assert desk.digests() == []
    assert desk.effects == desk.commits == []
    assert len(desk.reloads) == 1
    assert desk.run(command(apply)) == ["a"]
    assert len(desk.digests()) == 1


def test_database_that_gives_up_takes_the_whole_batch_back(desk) -> None:
    full = OperationalError("INSERT", {}, Exception("database or disk is full"))
    with pytest.raises(UnavailableError):
        desk.run(
            command(register("a"), "a"),
            command(fail_after(register("b"), error=full), "b"),
            command(register("c"), "c"),
        )
    assert desk.accounts() == {}
    assert desk.run(command(register("a"), "a")) == ["a"]


def test_full_queue_is_too_many_requests(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(group_commit, "REQUESTS_QUEUED_MAX", 2)
    database = Database(tmp_path / "market.sqlite")
    log = Log(tmp_path / "log", Signer("sixfold.example/test", PrivateKey.generate()))
    hooks = WriterHooks(committed=lambda: None, failed=lambda: None)
    idle = Writer(database, log, MovableClock(), hooks)
    waiting = [idle._enqueue([]) for _ in range(2)]
    with pytest.raises(LimitError) as refusal:
        idle.submit_and_wait([])
    assert refusal.value.status == 429
    assert not any(future.done() for future in waiting)
    database.close()


def test_request_that_was_given_up_does_not_run(idle_desk) -> None:
    given_up = idle_desk.writer._enqueue([command(register("a"), "a")])
    kept = idle_desk.writer._enqueue([command(register("b"), "b")])
    assert given_up.cancel()
    idle_desk.writer.start()
    assert kept.result() == ["b"]
    assert set(idle_desk.accounts()) == {"b"}


def test_stopping_finishes_what_is_queued(idle_desk) -> None:
    future = idle_desk.writer._enqueue([command(register("a"))])
    stopping = threading.Thread(target=idle_desk.writer.stop)
    idle_desk.writer.start()
    stopping.start()
    stopping.join()
    assert future.result(timeout=0) == ["a"]
    assert not idle_desk.writer._group._thread.is_alive()
    again = threading.Thread(target=idle_desk.writer._group._run)
    idle_desk.writer._group._thread = again


def test_callers_of_one_loop_wait_for_their_own_answers(desk) -> None:
    async def ask() -> list[Json]:
        asked = [
            desk.writer.submit_one(command(lambda _, n=number: n, str(number)))
            for number in range(20)
        ]
        return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == list(range(20))


def test_refusal_of_one_command_is_raised(desk) -> None:
    with pytest.raises(InvalidError):
        asyncio.run(desk.writer.submit_one(command(fail_after())))
