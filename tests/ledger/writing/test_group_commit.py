"""Group commit: what waits goes together, and everybody hears what became of it."""

import threading
from collections.abc import Sequence

import pytest

from ledger.errors import BusyError, CommitError
from ledger.writing import GroupCommit, group_commit


class Desk:
    """Commits numbers by noting them; a negative one cannot be stored."""

    def __init__(self) -> None:
        self.groups: list[list[list[int]]] = []
        self.settled: list[int] = []
        self.group = GroupCommit[int, int](self.commit, committed=self.committed)

    def commit(self, requests: Sequence[Sequence[int]]) -> list[int | Exception]:
        self.groups.append([list(items) for items in requests])
        if any(item < 0 for items in requests for item in items):
            raise OSError("disk full")
        return [sum(items) or ValueError("nothing") for items in requests]

    def committed(self) -> None:
        self.settled.append(len(self.groups))
        if self.settled == [1]:
            raise ZeroDivisionError("a bug in what follows")


def test_requests_that_wait_share_a_commit() -> None:
    desk = Desk()
    futures = [desk.group.submit([number, number]) for number in range(1, 6)]
    desk.group.start()
    assert [future.result() for future in futures] == [2, 4, 6, 8, 10]
    desk.group.stop()
    assert len(desk.groups) == 1


def test_group_has_an_end_and_divides_no_request(monkeypatch) -> None:
    monkeypatch.setattr(group_commit, "ITEMS_PER_COMMIT_MAX", 4)
    desk = Desk()
    futures = [desk.group.submit([1, 1, 1]) for _ in range(4)]
    desk.group.start()
    assert [future.result() for future in futures] == [3, 3, 3, 3]
    desk.group.stop()
    assert [len(requests) for requests in desk.groups] == [2, 2]


def test_error_of_one_request_is_its_own() -> None:
    desk = Desk()
    good, bad = desk.group.submit([1]), desk.group.submit([])
    desk.group.start()
    assert good.result() == 1
    with pytest.raises(ValueError, match="nothing"):
        bad.result()
    desk.group.stop()


def test_failed_commit_is_told_to_all_and_the_next_group_runs() -> None:
    desk = Desk()
    failed = [desk.group.submit([number]) for number in (1, -1)]
    desk.group.start()
    for future in failed:
        with pytest.raises(CommitError) as failure:
            future.result()
        assert isinstance(failure.value.__cause__, OSError)
    assert failed[0].exception() is not failed[1].exception()
    assert desk.settled == []
    # The first call of `committed` fails, too, and nobody but the log hears of it.
    assert desk.group.submit([2]).result() == 2
    assert desk.group.submit([3]).result() == 3
    desk.group.stop()
    assert desk.settled == [2, 3]


def test_given_up_request_does_not_run() -> None:
    desk = Desk()
    given_up, kept = desk.group.submit([1]), desk.group.submit([2])
    assert given_up.cancel()
    desk.group.start()
    assert kept.result() == 2
    desk.group.stop()
    assert desk.groups == [[[2]]]


def test_full_queue_refuses_at_once(monkeypatch) -> None:
    monkeypatch.setattr(group_commit, "REQUESTS_QUEUED_MAX", 2)
    desk = Desk()
    waiting = [desk.group.submit([1]) for _ in range(2)]
    with pytest.raises(BusyError):
        desk.group.submit([1])
    desk.group.start()
    assert [future.result() for future in waiting] == [1, 1]
    desk.group.stop()


def test_stopping_commits_what_is_queued() -> None:
    desk = Desk()
    future = desk.group.submit([1])
    desk.group.start()
    stopping = threading.Thread(target=desk.group.stop)
    stopping.start()
    stopping.join()
    assert future.result(timeout=0) == 1


def commit_after(failures: int, error: Exception, monkeypatch) -> tuple[object, int]:
    """What a request gets whose commit fails so often, and how often it was tried."""
    monkeypatch.setattr(group_commit, "FIRST_WAIT_S", 0.0001)
    tries: list[None] = []

    def commit(requests: Sequence[Sequence[int]]) -> list[int]:
        tries.append(None)
        if len(tries) <= failures:
            raise error
        return [sum(items) for items in requests]

    group = GroupCommit[int, int](
        commit, passes=lambda error: isinstance(error, TimeoutError)
    )
    group.start()
    future = group.submit([1, 2])
    group.stop()
    return future.exception() or future.result(), len(tries)


def test_failure_that_passes_is_tried_again(monkeypatch) -> None:
    assert commit_after(3, TimeoutError(), monkeypatch) == (3, 4)


def test_failure_that_does_not_pass_is_told_at_once(monkeypatch) -> None:
    failure, tries = commit_after(1, OSError("disk full"), monkeypatch)
    assert isinstance(failure, CommitError)
    assert tries == 1


def test_attempts_are_bounded(monkeypatch) -> None:
    failure, tries = commit_after(100, TimeoutError(), monkeypatch)
    assert isinstance(failure, CommitError)
    assert tries == group_commit.ATTEMPTS_MAX
