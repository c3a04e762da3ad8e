"""The public append: entries go into the log durably, in order, and once.

For whoever wants a log and nothing else. Each append has an id, so a caller that
lost its answer, to a crash or to the network, asks again with the same id and gets
the place that the entry has had since the first time.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ledger.errors import CommandError
from ledger.log.batch import Batch, check_entry
from ledger.log.log import Log
from ledger.log.merkle import leaf_hash
from ledger.writing.commands import CommandKey, Commands
from ledger.writing.group_commit import Future, GroupCommit


@dataclass(frozen=True, slots=True)
class Append:
    """An entry that a party wants in the log, once."""

    key: CommandKey
    """Who appends, and an id of its choice that stands for this entry for ever."""
    entry: bytes
    """At most 65,535 bytes."""


class Appender:
    """Appends for many callers at once, between `start` and `stop`.

    All methods may be called from several threads.
    """

    def __init__(
        self,
        log: Log,
        writing: Callable[[], AbstractContextManager[Session]],
        *,
        committed: Callable[[], None] = lambda: None,
        passes: Callable[[Exception], bool] = lambda _error: False,
    ) -> None:
        """Append to a log that was recovered.

        Args:
            log: Where entries go.
            writing: Opens a write transaction, commits it on success with a full
                sync, and rolls it back on an exception.
            committed: Called after each commit, for instance to publish soon.
            passes: As `GroupCommit` takes it: which errors of the database pass by
                themselves.
        """
        self._log = log
        self._writing = writing
        self._group = GroupCommit[Append, list[int]](
            self._commit, committed=committed, passes=passes
        )

    def start(self) -> None:
        """Begin to append."""
        self._group.start()

    def stop(self) -> None:
        """Append what is queued, then stop."""
        self._group.stop()

    def submit(self, appends: Sequence[Append]) -> Future[list[int]]:
        """Queue entries that are appended all together or not at all.

        Returns:
            The index of each, once it is durable: a new one, or that of the first
            time if its id is known. `CommandError` if an id was used for another
            entry, `CommitError` if nothing could be stored; then nothing of this
            call was appended.

        Raises:
            LogError: An entry is too large for a log.
            BusyError: Too many calls wait. In both cases nothing was queued.
        """
        for append in appends:
            check_entry(append.entry)
        return self._group.submit(appends)

    def append(self, appends: Sequence[Append]) -> list[int]:
        """As `submit`, and wait; its errors are raised."""
        return self.submit(appends).result()

    def _commit(
        self, requests: Sequence[Sequence[Append]]
    ) -> list[list[int] | Exception]:
        with self._writing() as session:
            batch = self._log.begin(session)
            commands = Commands(session)
            commands.prefetch(append.key for item in requests for append in item)
            answers = [_append(batch, commands, appends) for appends in requests]
            batch.finish(session)
            commands.flush()
        return answers


def _append(
    batch: Batch, commands: Commands, appends: Sequence[Append]
) -> list[int] | Exception:
    batch_mark, commands_mark = batch.mark(), commands.mark()
    indexes = []
    try:
        for append in appends:
            payload_hash = leaf_hash(append.entry)
            known = commands.answer(append.key, payload_hash)
            if known is None:
                index = batch.add(append.entry)
                commands.keep(append.key, payload_hash, str(index))
            else:
                index = int(known)
            indexes.append(index)
    except CommandError as error:
        batch.rollback_to(batch_mark)
        commands.rollback_to(commands_mark)
        return error
    return indexes
