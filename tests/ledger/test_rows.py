"""Rows of a batch: found by the index of their key, inserted as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlmodel import Session, SQLModel, select, text

from ledger.rows import (
    KEYS_PER_QUERY_MAX,
    _key_names,
    _select_objects,
    insert_rows,
    read_by_key,
    read_tuples_by_key,
)
from ledger.writing.models import CommandRecord


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine: Engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
    SQLModel.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def fill(session: Session, count: int) -> None:
    insert_rows(
        session,
        CommandRecord,
        [
            (party, str(number), b"hash", f"{party}{number}")
            for number in range(count)
            for party in ("a", "b", "c")
        ],
    )


def test_inserted_rows_are_those_that_were_given(session) -> None:
    fill(session, 2)
    insert_rows(session, CommandRecord, [("d", "0", b"one", "alone")])
    insert_rows(session, CommandRecord, [])
    rows = session.exec(select(CommandRecord).order_by(CommandRecord.answer)).all()
    assert [row.answer for row in rows] == ["a0", "a1", "alone", "b0", "b1", "c0", "c1"]
    assert rows[2].model_dump() == {
        "party": "d",
        "command_id": "0",
        "payload_hash": b"one",
        "answer": "alone",
    }


def test_reads_those_that_there_are(session) -> None:
    fill(session, 3)
    keys = [("a", "0"), ("b", "2"), ("a", "2"), ("c", "9"), ("d", "0"), ("0", "a")]
    rows = read_by_key(session, CommandRecord, keys)
    assert sorted(row.answer for row in rows) == ["a0", "a2", "b2"]
    tuples = set(map(tuple, read_tuples_by_key(session, CommandRecord, keys)))
    assert ("b", "2", b"hash", "b2") in tuples
    assert len(tuples) == 3


def test_repeated_key_is_one_object(session) -> None:
    fill(session, 1)
    rows = list(read_by_key(session, CommandRecord, [("a", "0")] * 3))
    assert [row.answer for row in rows] == ["a0"]


def test_object_of_the_session_is_the_same_object(session) -> None:
    fill(session, 1)
    row = session.get(CommandRecord, ("a", "0"))
    (found,) = read_by_key(session, CommandRecord, [("a", "0")])
    assert found is row


def test_no_keys_are_no_rows(session) -> None:
    assert list(read_by_key(session, CommandRecord, [])) == []
    assert list(read_tuples_by_key(session, CommandRecord, [])) == []


def test_more_keys_than_one_query_takes(session) -> None:
    count = KEYS_PER_QUERY_MAX + 3
    fill(session, count)
    keys = [("b", str(number)) for number in range(count)]
    answers = [row.answer for row in read_by_key(session, CommandRecord, keys)]
    assert sorted(answers) == sorted(f"b{number}" for number in range(count))
    assert len(set(read_tuples_by_key(session, CommandRecord, keys))) == count


def test_table_is_not_read_from_end_to_end(session) -> None:
    names = _key_names(4, 2)
    query = text(f"EXPLAIN QUERY PLAN {_select_objects(CommandRecord, len(names))}")
    plan = session.connection().execute(query, dict.fromkeys(names, ""))
    steps = [row[-1] for row in plan]
    assert any("SEARCH command USING INDEX" in step for step in steps)
    assert not any("SCAN command" in step for step in steps)
