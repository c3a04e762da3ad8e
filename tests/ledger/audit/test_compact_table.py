"""A table in little memory does what a dict does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.compact_table import KEY_BYTES, CompactTable
from ledger.errors import EncodingError

NAMES = st.text(max_size=4)
STEPS = st.lists(st.tuples(st.sampled_from(["add", "pop", "get"]), NAMES), max_size=60)


@given(STEPS)
def test_table_does_as_a_dict(steps: list[tuple[str, str]]) -> None:
    table, model = CompactTable(number_bytes=3), dict[str, int]()
    for number, (step, name) in enumerate(steps):
        if step == "add":
            assert table.add(name, number) == (name not in model)
            model.setdefault(name, number)
        elif step == "pop":
            assert table.pop(name) == model.pop(name, None)
        assert table.get(name) == model.get(name)
        assert (name in table) == (name in model)
        assert len(table) == len(model)


def test_table_is_read_back() -> None:
    table = CompactTable(number_bytes=2)
    for number in range(1000):
        table.add(f"name {number}", number)
    again = CompactTable.from_bytes(table.to_bytes())
    assert len(again) == 1000
    assert sorted(again.numbers()) == list(range(1000))
    assert all(again.get(f"name {number}") == number for number in range(1000))


def test_names_alone_take_14_bytes() -> None:
    table = CompactTable()
    empty = len(table.to_bytes())
    for number in range(1000):
        assert table.add(f"name {number}")
    assert len(table.to_bytes()) - empty == 14_000
    assert "name 999" in table
    assert "name 1000" not in table


def test_what_lies_across_two_records_is_not_found() -> None:
    table = CompactTable(key=bytes(KEY_BYTES))
    bucket, rest = table._place("wanted")
    table._buckets[bucket] = b"x" + rest + b"x" * 13
    assert "wanted" not in table
    table._buckets[bucket] += rest
    assert "wanted" in table


@pytest.mark.parametrize("number_bytes", [0, 8])
def test_damaged_bytes_are_refused(number_bytes: int) -> None:
    table = CompactTable(number_bytes=number_bytes)
    table.add("name", 0)
    data = table.to_bytes()
    for damaged in (b"", data[:100], data[:-1], data + b"x"):
        with pytest.raises(EncodingError):
            CompactTable.from_bytes(damaged)


def test_each_table_has_a_key_of_its_own() -> None:
    one, two = CompactTable(), CompactTable()
    assert one._place("name") != two._place("name")
