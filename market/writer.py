"""The one writer: commands in, one durable commit for many of them, answers out.

Callers queue commands; a thread takes as many as wait, runs each in its own
savepoint inside one transaction, commits once, and then answers all. So an answer
means that the effect is on disk, there are no races between commands, and the cost
of a commit is shared.

Exactly once: a command's id and the hash of its payload are stored with its effect.
The same id and payload gets the first answer again, another payload gets a conflict,
and a command that was refused leaves nothing behind and may be tried again.

Source: the design's decisions "Group commit" and "Exactly once".
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlmodel import Session

from enclave_sim.errors import EnclaveError
from ledger.encoding import Json, canonical_json
from ledger.errors import CommandError, LedgerError
from ledger.log.log import Log
from ledger.writing.commands import CommandKey
from ledger.writing.group_commit import Future, GroupCommit
from market.clock import Clock
from market.database import Database
from market.errors import InvalidError, MarketError
from market.postgresql import is_passing
from market.refusals import refusal_of
from market.transaction import RowKey, Transaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Command:
    """Something a party wants done, at most once."""

    party: str
    command_id: str
    payload: Json
    """What the id stands for; only its hash is kept."""
    apply: Callable[[Transaction], Json]
    """Does it. None means that there was nothing to do, and is not kept."""
    reads: tuple[RowKey, ...] = ()
    """Rows that it will look for, so that those of a batch are read together."""

    @property
    def key(self) -> CommandKey:
        """The id, which belongs to its party."""
        return CommandKey(self.party, self.command_id)


Outcome = Json | MarketError


def _nothing(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class WriterHooks:
    """What surrounds a batch, in the writer's thread."""

    committed: Callable[[], None]
    failed: Callable[[], None]
    """Views in memory may differ from the database and must be read again."""
    begun: Callable[[Session], None] = _nothing
    """First in the transaction: all that others have committed can be seen now."""
    changed: Callable[[Session, Sequence[str]], None] = _nothing
    """Last in the transaction, with the keys that commands have announced."""
    wake: Callable[[Sequence[str]], None] = _nothing
    """The same keys, once it is durable."""


class _RefusedError(Exception):
    """A command was refused in a batch that has no savepoints."""


_Requests = Sequence[Sequence[Command]]
_Answer = tuple[Outcome, str | None]
"""An outcome, and how it is kept; None if it is not."""
_ENDING = (OperationalError, InternalError, InterfaceError)
"""Errors after which a transaction cannot go on."""
_Run = Callable[[Transaction, Command], _Answer]


class Writer:
    """Runs commands in a thread of its own, between `start` and `stop`."""

    def __init__(
        self, database: Database, log: Log, clock: Clock, hooks: WriterHooks
    ) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        self._hooks = hooks
        self._group = GroupCommit[Command, list[Outcome]](
            self._commit, committed=hooks.committed, passes=is_passing
        )

    def start(self) -> None:
        """Begin to take commands."""
        self._group.start()

    def stop(self) -> None:
        """Finish what is queued, then stop."""
        self._group.stop()

    async def submit(self, commands: Sequence[Command]) -> list[Outcome]:
        """Run commands and wait until their effects are durable.

        Returns:
            For each command its answer, or the error that refused it alone.

        Raises:
            LimitError: Too many requests wait; nothing ran.
            UnavailableError: The commit failed. The same commands may be sent again.
        """
        future = self._enqueue(commands)
        try:
            return await asyncio.wrap_future(future)
        except LedgerError as error:
            raise refusal_of(error) from error

    async def submit_one(self, command: Command) -> Json:
        """As `submit`, for one command; its refusal is raised."""
        (outcome,) = await self.submit([command])
        if isinstance(outcome, MarketError):
            raise outcome
        return outcome

    def submit_and_wait(self, commands: Sequence[Command]) -> list[Outcome]:
        """As `submit`, from a plain thread."""
        future = self._enqueue(commands)
        try:
            return future.result()
        except LedgerError as error:
            raise refusal_of(error) from error

    def _enqueue(self, commands: Sequence[Command]) -> Future[list[Outcome]]:
        try:
            return self._group.submit(commands)
        except LedgerError as error:
            raise refusal_of(error) from error

    def _commit(self, requests: _Requests) -> list[list[Outcome] | Exception]:
        try:
            try:
                transaction, results = self._run_batch(requests, _run_plainly)
            except (_RefusedError, DataError, IntegrityError):
                # Savepoints cost as much as the work itself, and are needed only
                # where a command must be taken back alone.
                transaction, results = self._run_batch(requests, _run_in_savepoint)
        except Exception:
            self._guard(self._hooks.failed)
            raise
        # From here on everything in the batch is durable and may be promised.
        done = [self._guard(effect) for effect in transaction.effects]
        if not all(done):
            self._guard(self._hooks.failed)
        self._guard(lambda: self._hooks.wake(transaction.changed))
        return [*results]

    def _run_batch(
        self, requests: _Requests, run: _Run
    ) -> tuple[Transaction, list[list[Outcome]]]:
        with self._database.writing() as session:
            batch = self._log.begin(session)
            self._hooks.begun(session)
            transaction = Transaction(session, batch, now_ms=self._clock.now_ms())
            transaction.commands.prefetch(item.key for item in _commands_of(requests))
            transaction.prefetch(
                row for item in _commands_of(requests) for row in item.reads
            )
            try:
                results = [
                    [_run_once(transaction, command, run) for command in commands]
                    for commands in requests
                ]
                transaction.finish()
                self._hooks.changed(session, transaction.changed)
            except BaseException:
                transaction.abandon()
                raise
        return transaction, results

    def _guard(self, follow_up: Callable[[], None]) -> bool:
        try:
            follow_up()
        except Exception:
            # The batch is decided; what follows it must not stop the writer.
            logger.exception("What follows a batch has failed.")
            return False
        return True


def _commands_of(requests: _Requests) -> Iterator[Command]:
    for commands in requests:
        yield from commands


def _run_once(transaction: Transaction, command: Command, run: _Run) -> Outcome:
    payload_hash = hashlib.sha256(canonical_json(command.payload)).digest()
    try:
        known = transaction.commands.answer(command.key, payload_hash)
    except CommandError as error:
        return refusal_of(error)
    if known is not None:
        return json.loads(known)  # type: ignore[no-any-return]
    answer, text = run(transaction, command)
    if text is not None:
        transaction.commands.keep(command.key, payload_hash, text)
    return answer


def _apply(transaction: Transaction, command: Command) -> _Answer:
    answer = command.apply(transaction)
    # An answer that has no canonical form is the command's fault, and its alone.
    return answer, None if answer is None else canonical_json(answer).decode()


def _run_plainly(transaction: Transaction, command: Command) -> _Answer:
    try:
        return _apply(transaction, command)
    except _ENDING:
        raise
    except Exception as error:
        raise _RefusedError from error


def _run_in_savepoint(transaction: Transaction, command: Command) -> _Answer:
    mark = transaction.savepoint()
    try:
        with transaction.session.begin_nested():
            return _apply(transaction, command)
    except (MarketError, LedgerError, EnclaveError) as error:
        transaction.rollback_to(mark)
        return refusal_of(error), None
    except DataError:
        transaction.rollback_to(mark)
        return InvalidError("A value is out of form."), None
    except _ENDING:
        # SQLite may have ended the whole transaction, as it does when the disk is
        # full: what the next commands did would be stored without their statements.
        # PostgreSQL has ended it whenever the connection is lost.
        raise
    except Exception:
        # A fault of ours in one command must not take the others' commit along.
        transaction.rollback_to(mark)
        logger.exception("Command %s of %s failed.", command.command_id, command.party)
        fault = MarketError("The market could not do this; it has been noted.")
        return fault, None
