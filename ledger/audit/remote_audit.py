"""Audits a log where it is served, without a copy of it.

What is read next is fetched ahead, over a few connections, so that checking does not
wait for the network. No more than a few files are in memory at a time.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from threading import local
from typing import Self

from ledger.audit.log_audit import PLAIN, UNWATCHED, AuditOptions, LogAudit, Watch
from ledger.audit.log_copy import tile_width
from ledger.audit.remote_log import RemoteLog
from ledger.audit.report import AuditReport
from ledger.log.log_keys import LogKeys
from ledger.log.tiles import TILE_WIDTH, TilePath, parse_path

READERS = 4
"""Connections at once: enough to hide a network's delay, and no burden to a server."""

BUNDLES_AHEAD = 6
"""With a tile each; at their largest 100 MB, commonly 2."""


def audit_remote(
    open_remote: Callable[[], RemoteLog],
    keys: LogKeys,
    *,
    options: AuditOptions = PLAIN,
    watch: Watch = UNWATCHED,
) -> AuditReport:
    """Check a log behind a URL.

    Args:
        open_remote: Opens the log; called once for each connection.
        keys: The log's.
        options: How.
        watch: Who is told how it goes.

    Raises:
        AuditError: The log cannot be reached, or a disclosure cannot be read.
        AuditStoppedError: It was stopped.
    """
    report = AuditReport()
    with open_remote() as remote:
        audit = LogAudit(remote, keys, options, report, watch)
        if audit.open_head():
            with ReadAhead(open_remote, audit.checkpoint.size) as ahead:
                audit.run(None, options.disclosures, ahead=ahead)
    return report


class ReadAhead:
    """A log's files, where bundles and their tiles are fetched before they are due."""

    def __init__(self, open_remote: Callable[[], RemoteLog], size: int) -> None:
        """Start no connection yet.

        Args:
            open_remote: Opens the log; called once for each connection.
            size: Count of entries.
        """
        self._open_remote = open_remote
        self._size = size
        self._stack = ExitStack()
        self._own = local()
        self._threads = ThreadPoolExecutor(READERS)
        self._pending: dict[str, Future[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._stack.close()

    def read(self, path: str) -> bytes:
        """Return a file of the log, as `RemoteLog.read`; for one thread."""
        tile = parse_path(path)
        if tile.level is None:
            self._plan(tile.index)
        future = self._pending.pop(path, None)
        if future is None:
            future = self._threads.submit(self._fetch, path)
        return future.result()

    def _plan(self, first: int) -> None:
        """Have what is due next on its way."""
        count = -(-self._size // TILE_WIDTH)
        due = [
            str(TilePath(level, number, tile_width(0, number, self._size)))
            for number in range(first, min(first + BUNDLES_AHEAD, count))
            for level in (None, 0)
        ]
        for path in self._pending.keys() - set(due):
            self._pending.pop(path).cancel()
        for path in due:
            if path not in self._pending:
                self._pending[path] = self._threads.submit(self._fetch, path)

    def _fetch(self, path: str) -> bytes:
        remote: RemoteLog | None = getattr(self._own, "remote", None)
        if remote is None:
            remote = self._own.remote = self._stack.enter_context(self._open_remote())
        return remote.read(path)
