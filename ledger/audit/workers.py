"""Shares the examination of bundles among processes, and gives results in order.

Each process is started anew, so that it holds nothing of its parent, and ends by
itself when the parent does, however that ends.
"""

import gc
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Protocol, Self, TypeVar

from ledger.audit.examination import Examined, Shown, examine
from ledger.errors import AuditError

JOBS_MAX = 64
"""One process feeds all others, and cannot keep more of them busy."""

_GARBAGE_THRESHOLD = 100_000

_AHEAD = 2
"""Bundles that each process has at once: one in work and one waiting."""

_Message = tuple[Sequence[bytes | None], Shown]


class Work(Protocol):
    """One bundle to examine."""

    @property
    def entries(self) -> Sequence[bytes | None]:
        """None stands for one that is not there."""

    @property
    def shown(self) -> Shown:
        """What opens them."""


_Work = TypeVar("_Work", bound=Work)


def examine_in_order(
    works: Iterable[_Work], jobs: int
) -> Iterator[tuple[_Work, Examined]]:
    """Examine bundles, and yield each with what was found, in the order given.

    Args:
        works: Taken a few at a time, ahead of what is yielded.
        jobs: How many processes examine, this one among them.

    Raises:
        AuditError: A process has ended early.
    """
    assert 1 <= jobs <= JOBS_MAX
    with ExitStack() as stack:
        stack.enter_context(_rare_collections())
        workers = [stack.enter_context(_Worker()) for _ in range(jobs - 1)]
        waiting: deque[tuple[_Work, Examined | _Worker]] = deque()
        for work in works:
            free = next((worker for worker in workers if worker.busy < _AHEAD), None)
            if free is not None:
                free.send(work)
            # All others have enough to do, so this process does its part.
            found = free or examine(work.entries, work.shown)
            waiting.append((work, found))
            while waiting and (len(waiting) > _AHEAD * jobs or _is_ready(waiting[0])):
                yield _take_first(waiting)
        while waiting:
            yield _take_first(waiting)


def _is_ready(item: tuple[Work, "Examined | _Worker"]) -> bool:
    found = item[1]
    return found.has_answered() if isinstance(found, _Worker) else True


def _take_first(
    waiting: "deque[tuple[_Work, Examined | _Worker]]",
) -> tuple[_Work, Examined]:
    work, found = waiting.popleft()
    return work, found.receive() if isinstance(found, _Worker) else found


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles less often: almost nothing that an audit makes is in one."""
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Worker:
    """One process, as its parent sees it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        # Only the child holds the other end now, so either side sees the other end.
        theirs.close()
        self.busy = 0
        """Bundles that were sent and whose results were not received."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.join()

    def send(self, work: Work) -> None:
        message: _Message = (work.entries, work.shown)
        try:
            self._connection.send(message)
        except OSError as error:
            raise _ended_early() from error
        self.busy += 1

    def has_answered(self) -> bool:
        """Whether there is something to receive at once, be it the end."""
        return self._connection.poll()

    def receive(self) -> Examined:
        try:
            found = self._connection.recv()
        except (EOFError, OSError) as error:
            raise _ended_early() from error
        assert isinstance(found, Examined)
        self.busy -= 1
        return found


def _ended_early() -> AuditError:
    return AuditError(
        "A process of the audit has ended early; perhaps memory ran out. Try again "
        "with fewer jobs."
    )


def _serve(connection: Connection) -> None:
    """Examine what comes until the parent is gone."""
    # Ctrl-C reaches all processes of a terminal; the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Reading beside the work keeps either side from waiting to be read by the other.
    messages: SimpleQueue[_Message | None] = SimpleQueue()
    Thread(target=_read, args=(connection, messages), daemon=True).start()
    with _rare_collections():
        while (message := messages.get()) is not None:
            found = examine(*message)
            found.statements = {}
            try:
                connection.send(found)
            except OSError:
                return


def _read(connection: Connection, messages: "SimpleQueue[_Message | None]") -> None:
    try:
        while True:
            messages.put(connection.recv())
    except (EOFError, OSError):
        messages.put(None)
