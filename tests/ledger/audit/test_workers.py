"""Bundles are examined by several processes as by one, and in order."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from audited_market import AuditedMarket

from ledger.audit import workers
from ledger.audit.examination import Examined, Shown, examine
from ledger.audit.workers import examine_in_order
from ledger.errors import AuditError


@dataclass
class Work:
    entries: list[bytes | None]
    shown: Shown = field(default_factory=dict)


@pytest.fixture(scope="module")
def entries() -> list[bytes]:
    market = AuditedMarket().begin()
    market.run_job()
    return market.entries


def found_in(found: Examined) -> tuple[object, ...]:
    return found.refused, found.openings, found.misfits, found.kinds


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_are_those_of_one_process(entries: list[bytes], jobs: int) -> None:
    works = [Work([*entries[:place], None, b"x" * place]) for place in range(9)]
    results = list(examine_in_order(works, jobs))
    assert [work for work, _ in results] == works
    for work, found in results:
        assert found_in(found) == found_in(examine(work.entries, work.shown))
        assert found.statements.keys() in ({}.keys(), found.kinds.keys())


def test_works_are_taken_a_few_ahead(entries: list[bytes]) -> None:
    taken = []

    def works() -> Iterator[Work]:
        for number in range(50):
            taken.append(number)
            yield Work([entries[0]])

    results = examine_in_order(works(), 2)
    next(results)
    assert len(taken) <= 5
    results.close()


def test_large_messages_do_not_make_both_sides_wait() -> None:
    works = [Work([b"x" * 60_000] * 256) for _ in range(6)]
    assert all(len(found.refused) == 256 for _, found in examine_in_order(works, 2))


def test_process_that_ends_early_is_told(entries: list[bytes]) -> None:
    def works() -> Iterator[Work]:
        yield Work([entries[0]])
        for process in workers.multiprocessing.active_children():
            process.kill()
            process.join()
        while True:
            yield Work([entries[0]])

    with pytest.raises(AuditError, match="ended early"):
        list(examine_in_order(works(), 2))


def test_no_process_is_left(entries: list[bytes]) -> None:
    results = examine_in_order([Work([entries[0]])] * 20, 2)
    next(results)
    results.close()
    assert workers.multiprocessing.active_children() == []
