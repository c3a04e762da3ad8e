"""The public append: durable, in order, once, whole requests or nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event
from sqlmodel import Session

from ledger.errors import CommandError, CommitError, LogError
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.log.batch import Batch
from ledger.log.merkle import Frontier, leaf_hash
from ledger.writing import Append, CommandKey
from ledger.writing.models import CommandRecord


def some(count: int, party: str = "party", start: int = 0) -> list[Append]:
    return [
        Append(CommandKey(party, f"append-{number}"), f"entry {number}".encode())
        for number in range(start, start + count)
    ]


def test_entries_get_the_next_places(appended) -> None:
    assert appended.appender.append(some(3)) == [0, 1, 2]
    assert appended.appender.append(some(2, start=3)) == [3, 4]
    assert appended.entries() == [append.entry for append in some(5)]


def test_nothing_to_append_is_no_fault(appended) -> None:
    assert appended.appender.append([]) == []
    assert appended.entries() == []


def test_head_is_the_tree_over_the_entries(appended) -> None:
    for start in range(0, 50, 10):
        appended.appender.append(some(10, start=start))
    with Session(appended.engine) as session:
        checkpoint = appended.log.publish(session)
    frontier = Frontier()
    frontier.extend(map(leaf_hash, appended.entries()))
    assert (checkpoint.size, checkpoint.root) == (50, frontier.root())


def test_same_append_gets_its_first_place(appended) -> None:
    first = appended.appender.append(some(3))
    assert appended.appender.append(some(3)) == first
    assert appended.appender.append([*some(1), *some(4), *some(1)]) == [
        0,
        0,
        1,
        2,
        3,
        0,
    ]
    assert len(appended.entries()) == 4


def test_same_entry_under_two_ids_is_two_entries(appended) -> None:
    twice = [Append(CommandKey("party", name), b"same") for name in ("a", "b")]
    assert appended.appender.append(twice) == [0, 1]


def test_ids_belong_to_their_party(appended) -> None:
    assert appended.appender.append(some(2)) == [0, 1]
    assert appended.appender.append(some(2, party="other")) == [2, 3]


def test_same_id_for_another_entry_refuses_the_whole_request(appended) -> None:
    appended.appender.append(some(2))
    other = Append(CommandKey("party", "append-1"), b"another entry")
    with pytest.raises(CommandError):
        appended.appender.append([*some(2, start=5), other])
    assert len(appended.entries()) == appended.count(CommandRecord) == 2
    # What the refused request had in front of the fault may still be appended.
    assert appended.appender.append(some(2, start=5)) == [2, 3]


def test_refused_request_does_not_touch_its_group(idle) -> None:
    other = Append(CommandKey("party", "append-1"), b"another entry")
    futures = [
        idle.appender.submit(appends)
        for appends in (some(2), [*some(1, start=7), other], some(3, start=1))
    ]
    idle.appender.start()
    assert futures[0].result() == [0, 1]
    with pytest.raises(CommandError):
        futures[1].result()
    assert futures[2].result() == [1, 2, 3]
    assert len(idle.commits) == 1
    idle.appender.stop()


def test_too_large_entry_is_refused_at_once(idle) -> None:
    large = Append(CommandKey("party", "large"), bytes(STATEMENT_BYTES_MAX + 1))
    with pytest.raises(LogError):
        idle.appender.submit([*some(1), large])


def broken(*_: object) -> None:
    raise LogError("Another writer moved the head of the log.")


@pytest.mark.parametrize("place", ["finish", "commit"])
def test_failed_commit_appends_nothing_and_may_be_repeated(
    appended, monkeypatch, place
) -> None:
    with monkeypatch.context() as fault:
        if place == "finish":
            fault.setattr(Batch, "finish", broken)
        else:
            event.listen(appended.engine, "commit", broken)
        with pytest.raises(CommitError) as failure:
            appended.appender.append(some(2))
        if place == "commit":
            event.remove(appended.engine, "commit", broken)
    assert isinstance(failure.value.__cause__, LogError)
    assert (appended.entries(), appended.count(CommandRecord)) == ([], 0)
    assert appended.appender.append(some(2)) == [0, 1]


def test_many_callers_each_get_their_own_places(appended) -> None:
    def append(caller: int) -> list[int]:
        requests = [some(2, f"caller-{caller}", start) for start in range(0, 20, 2)]
        return [place for item in requests for place in appended.appender.append(item)]

    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(append, range(8)))
    assert all(own == sorted(own) for own in places)
    assert sorted(place for own in places for place in own) == list(range(160))
    assert len(appended.commits) <= 80
