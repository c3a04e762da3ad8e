"""Four processes write to one database at once; some are killed, sessions are ended."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated
from typing import Any

import pytest
from checkers import check_books, read_statements
from hammer import ACCOUNTS, SIGNER, SOURCE, HammerProcess
from parties import wait_until
from sqlalchemy import URL, func
from sqlmodel import Session, select

from ledger.books.models import BookTransfer
from ledger.encoding import Json
from ledger.log import Frontier, TileTree, leaf_hash, open_checkpoint
from ledger.log.log import Log
from ledger.log.merkle import verify_consistency
from ledger.writing.models import CommandRecord
from market import postgresql
from market.database import Database

SEED = 20261123
COUNT = 300
FAULTS = 20
NAMES = ("north", "east", "south", "west")


@pytest.fixture
def hammers(tmp_path: Path, postgresql_url: URL) -> Iterator[list[HammerProcess]]:
    hammers = [
        HammerProcess(postgresql_url, tmp_path, name, count=COUNT) for name in NAMES
    ]
    yield hammers
    for hammer in hammers:
        hammer.kill()


def end_some_session(url: URL) -> None:
    """End a session, of a writer in the midst of a batch if there is one."""
    with postgresql.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "ORDER BY state LIKE 'idle in%' DESC, random() LIMIT 1"
        )


def hammer_with_faults(
    hammers: list[HammerProcess], folder: Path, url: URL
) -> list[bytes]:
    """Let all strike, kill some and end sessions; return the checkpoints seen."""
    dice = Random(SEED)  # noqa: S311
    for hammer in hammers:
        hammer.start()
    seen: list[bytes] = []
    checkpoint = folder / "log" / "checkpoint"
    wait_until(lambda: all(hammer.promises() for hammer in hammers), timeout_s=60)
    for fault in range(FAULTS):
        time.sleep(dice.uniform(0.05, 0.25))
        seen.append(checkpoint.read_bytes())
        if fault % 4:
            end_some_session(url)
        else:
            hammer = dice.choice(hammers)
            hammer.kill()
            hammer.start()
    for hammer in hammers:
        hammer.wait()
    return seen


def check_promises(promises: list[tuple[str, Json]], session: Session) -> None:
    """Each promise was kept, once, and is the same whoever was promised."""
    answers: dict[str, Any] = {}
    for command_id, answer in promises:
        assert answers.setdefault(command_id, answer) == answer
    due = {f"{whose}/{at}" for whose in (*NAMES, "all") for at in range(COUNT)}
    assert set(answers) == due
    done = session.exec(select(CommandRecord.command_id)).all()
    assert sorted(done) == sorted(due)
    moved = session.exec(select(BookTransfer.transfer_id)).all()
    assert sorted(moved) == sorted(answer["moved"] for answer in answers.values())
    assert {SOURCE, *ACCOUNTS} >= set(session.exec(select(BookTransfer.debit)).all())
    records = {answer["index"]: answer["digest"] for answer in answers.values()}
    assert sorted(records) == list(range(len(due)))
    total = session.exec(select(func.count()).select_from(CommandRecord)).one()
    assert total == len(due)


def check_log(database: Database, folder: Path, seen: list[bytes]) -> None:
    """The log is one tree without gaps, and extends everything that it ever showed."""
    statements = read_statements(database)
    log = Log(folder / "log", SIGNER)
    with database.reading() as session:
        last = log.publish(session)
    tree = TileTree(log.tiles, last.size)
    committed = Frontier()
    committed.extend(leaf_hash(statement.entry) for statement in statements)
    assert last.size == len(statements) == COUNT * (len(NAMES) + 1)
    assert last.root == committed.root() == tree.root()
    for note in seen:
        old = open_checkpoint(note, SIGNER.verifier)
        verify_consistency(
            old_size=old.size,
            new_size=last.size,
            path=tree.consistency_path(old.size),
            old_root=old.root,
            new_root=last.root,
        )


@pytest.mark.slow
def test_four_processes_keep_every_promise_once(
    hammers, tmp_path, postgresql_url
) -> None:
    seen = hammer_with_faults(hammers, tmp_path, postgresql_url)
    promises = [promise for hammer in hammers for promise in hammer.promises()]
    database = Database(postgresql_url)
    with database.reading() as session:
        check_promises(promises, session)
    check_books(database)
    check_log(database, tmp_path, seen)
    database.close()
