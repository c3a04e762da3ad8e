"""Group commit: requests queue, one transaction takes all that wait, then answers.

A commit that reaches the disk costs some milliseconds whatever is in it. So whoever
waits shares one; while it runs, the next group gathers.
"""

import concurrent.futures
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ledger.errors import BusyError, CommitError

ITEMS_PER_COMMIT_MAX = 512
"""More would make the first caller wait for the last without saving much."""
ATTEMPTS_MAX = 5
"""With the waits between them some four seconds: a database server restarts in that."""
FIRST_WAIT_S = 0.1
"""Before the second attempt; three times as long before each further one."""
REQUESTS_QUEUED_MAX = 4096
"""Beyond this a caller hears at once that we are busy; the queue stays bounded."""

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Future = concurrent.futures.Future


@dataclass
class _Request(Generic[Item, Answer]):
    items: Sequence[Item]
    future: Future[Answer] = field(default_factory=Future)


class GroupCommit(Generic[Item, Answer]):
    """Commits requests together, in a thread of its own between `start` and `stop`.

    A request is one or more items. It is never divided between two commits.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Sequence[Item]]], Sequence[Answer | Exception]],
        *,
        committed: Callable[[], None] = lambda: None,
        passes: Callable[[Exception], bool] = lambda _error: False,
    ) -> None:
        """Say how requests are committed. Nothing runs before `start`.

        Args:
            commit: Makes all requests durable in one transaction. Returns for each
                its answer, or the error that refused it alone. If it raises, none of
                them took effect, and all callers hear of it.
            committed: Called after each commit, when its callers have their answers.
            passes: Whether the reason for which a commit failed is one that passes by
                itself, so that the same requests are worth another attempt.
        """
        self._commit = commit
        self._committed = committed
        self._passes = passes
        self._queue: queue.Queue[_Request[Item, Answer] | None] = queue.Queue(
            REQUESTS_QUEUED_MAX
        )
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to take requests; what was queued before goes first."""
        self._thread.start()

    def stop(self) -> None:
        """Commit what is queued, then stop."""
        self._queue.put(None)
        self._thread.join()

    def submit(self, items: Sequence[Item]) -> Future[Answer]:
        """Queue a request.

        Returns:
            Its answer, once it is durable. `CommitError` if the commit failed; then
            the same request may be made again. Cancelling it before its turn makes
            that it never runs.

        Raises:
            BusyError: Too many requests wait; this one was not queued.
        """
        request = _Request[Item, Answer](items)
        try:
            self._queue.put_nowait(request)
        except queue.Full:
            raise BusyError("Too many requests wait; try again in a moment.") from None
        return request.future

    def _run(self) -> None:
        running = True
        while running:
            requests, running = self._collect()
            if requests:
                self._settle(requests)

    def _collect(self) -> tuple[list[_Request[Item, Answer]], bool]:
        requests: list[_Request[Item, Answer]] = []
        count = 0
        request = self._queue.get()
        while request is not None:
            # A caller who has gone away must not be able to cancel from here on.
            if request.future.set_running_or_notify_cancel():
                requests.append(request)
                count += len(request.items)
            if count >= ITEMS_PER_COMMIT_MAX:
                return requests, True
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return requests, True
        return requests, False

    def _settle(self, requests: list[_Request[Item, Answer]]) -> None:
        try:
            answers = self._try([request.items for request in requests])
        except Exception as error:
            # Whatever it was, callers must hear of it and the next group must run.
            logger.exception("A group of %d requests did not commit.", len(requests))
            for request in requests:
                failure = CommitError("This could not be stored; try again.")
                failure.__cause__ = error
                request.future.set_exception(failure)
            return
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, Exception):
                request.future.set_exception(answer)
            else:
                request.future.set_result(answer)
        try:
            self._committed()
        except Exception:
            # The group is decided; what follows it must not stop the thread.
            logger.exception("What follows a commit has failed.")

    def _try(self, groups: Sequence[Sequence[Item]]) -> Sequence[Answer | Exception]:
        for attempt in range(ATTEMPTS_MAX - 1):
            try:
                return self._commit(groups)
            except Exception as error:
                if not self._passes(error):
                    raise
                logger.warning("A group is committed again: %s", error)
                time.sleep(FIRST_WAIT_S * 3**attempt)
        return self._commit(groups)
