"""Durable appends to the log, through the public append, and what SQLite alone does.

Every append has an id, is looked up and remembered, goes into the Merkle tree and is
on the disk before it counts. SQLite alone stores as many bytes with the same syncs.
"""

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

from sqlmodel import text

from ledger.log.log import Log
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from ledger.writing import Append, Appender, CommandKey
from market.database import Database

BATCH = 256
BATCHES = 100
ENTRY_BYTES = 500
PARTY = "acc_" + "b" * 26
HASH_BYTES = 32

WAITERS = 64
CALLS_OF_EACH = 100

SMALL, LARGE = 10_000, 1_000_000
GROWTH_BATCHES = 60
SPREAD = 1_000_003
"""Between two ids of the large log, so that others fit in between."""


class AppendedLog:
    """A log on SQLite with its appender, and ids that were not used before."""

    def __init__(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = Database(folder / "ledger.sqlite")
        stack.callback(database.close)
        database.prepare()
        log = Log(folder / "log", Signer("bench.example/log", PrivateKey(b"b" * 32)))
        with database.writing() as session:
            log.recover(session)
        self.appender = Appender(log, database.writing)
        self.appender.start()
        stack.callback(self.appender.stop)
        self._count = 0

    def batch(self, count: int = BATCH) -> list[Append]:
        """Appends with ids in ascending order, as a client has that counts them."""
        self._count += count
        return [
            self._append(number * SPREAD)
            for number in range(self._count - count, self._count)
        ]

    def scattered_batch(self) -> list[Append]:
        """Appends with ids in no order, between those that are there."""
        below = self._count * SPREAD
        return [self._append(secrets.randbelow(below)) for _ in range(BATCH)]

    def grow(self, size: int) -> "AppendedLog":
        """Append until there are so many entries."""
        while self._count < size:
            self.appender.append(self.batch(min(2 * BATCH, size - self._count)))
        return self

    def time_s(self, batch: list[Append]) -> float:
        """Append a batch; the seconds until it is durable."""
        started = time.perf_counter()
        self.appender.append(batch)
        return time.perf_counter() - started

    def _append(self, number: int) -> Append:
        return Append(
            CommandKey(PARTY, f"append/{number:020}"), secrets.token_bytes(ENTRY_BYTES)
        )


class PlainTable:
    """A table of the same bytes in a database of its own, with the same syncs."""

    def __init__(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = Database(folder / "plain.sqlite")
        stack.callback(database.close)
        with database.writing() as session:
            session.connection().execute(
                text("CREATE TABLE plain (id INTEGER PRIMARY KEY, data BLOB)")
            )
        # The driver's own connection, as the market's engine has set it up.
        connection = database._writer.raw_connection()
        stack.enter_context(closing(connection))
        self._driver = connection.driver_connection
        self._count = 0

    def time_s(self, batch: list[Append]) -> float:
        """Insert as many bytes as a batch has; the seconds until they are durable."""
        padding = bytes(HASH_BYTES + len(PARTY) + 30)
        rows = [
            (self._count + at, item.entry + padding) for at, item in enumerate(batch)
        ]
        self._count += len(rows)
        started = time.perf_counter()
        self._driver.execute("BEGIN IMMEDIATE")
        self._driver.executemany("INSERT INTO plain VALUES (?, ?)", rows)
        self._driver.execute("COMMIT")
        return time.perf_counter() - started


def ledger_append_per_s(_: ExitStack) -> float:
    """Entries per second in batches of 256, each batch one synced commit."""
    return _rates()[0]


def sqlite_insert_per_s(_: ExitStack) -> float:
    """Rows of as many bytes per second, in batches of 256 with the same syncs."""
    return _rates()[1]


def ledger_append_ratio(_: ExitStack) -> float:
    """The first of the two over the second."""
    appended, inserted = _rates()
    return appended / inserted


def ledger_append_waiters_per_s(stack: ExitStack) -> float:
    """Entries per second of 64 threads, each waiting until its own is durable."""
    log = AppendedLog(stack)
    calls = [log.batch(CALLS_OF_EACH) for _ in range(WAITERS)]

    def wait_for_each(appends: list[Append]) -> None:
        for append in appends:
            log.appender.append([append])

    with ThreadPoolExecutor(WAITERS) as pool:
        started = time.perf_counter()
        list(pool.map(wait_for_each, calls))
        elapsed_s = time.perf_counter() - started
    return WAITERS * CALLS_OF_EACH / elapsed_s


def append_growth(_: ExitStack) -> float:
    """Time per append at 1,000,000 entries over that at 10,000, ids in order."""
    return _growths()[0]


def append_growth_scattered(_: ExitStack) -> float:
    """The same with ids in no order, each of which touches a page of its own."""
    return _growths()[1]


@cache
def _rates() -> tuple[float, float]:
    """Appends and plain inserts per second, batch by batch in turn."""
    with ExitStack() as stack:
        log, plain = AppendedLog(stack), PlainTable(stack)
        times_s = [
            (log.time_s(batch), plain.time_s(batch))
            for batch in (log.batch() for _ in range(BATCHES))
        ]
    appends_s, inserts_s = (sum(column) for column in zip(*times_s, strict=True))
    return BATCH * BATCHES / appends_s, BATCH * BATCHES / inserts_s


@cache
def _growths() -> tuple[float, float]:
    with ExitStack() as stack:
        small, large = (AppendedLog(stack).grow(size) for size in (SMALL, LARGE))
        kinds = (AppendedLog.batch, AppendedLog.scattered_batch)
        in_order, scattered = (_growth(small, large, kind) for kind in kinds)
        return in_order, scattered


def _growth(
    small: AppendedLog,
    large: AppendedLog,
    batch_of: Callable[[AppendedLog], list[Append]],
) -> float:
    """Batch by batch in turn, so that what else runs slows both down alike."""

    def pairs() -> Iterator[tuple[float, float]]:
        for _ in range(GROWTH_BATCHES):
            yield tuple(log.time_s(batch_of(log)) for log in (large, small))

    large_s, small_s = zip(*pairs(), strict=True)
    return statistics.mean(large_s) / statistics.mean(small_s)
