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
import concurrent.futures
import hashlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import OperationalError

from enclave_sim.errors import EnclaveError
from ledger.encoding import Json, canonical_json
from ledger.errors import LedgerError
from ledger.log.log import Log
from market.clock import Clock
from market.database import Database
from market.errors import (
    ConflictError,
    LimitError,
    MarketError,
    UnavailableError,
)
from market.models import CommandRecord
from market.refusals import refusal_of
from market.transaction import RowKey, Transaction

COMMANDS_PER_COMMIT_MAX = 512
"""More would make the first caller wait for the last without saving much."""
REQUESTS_QUEUED_MAX = 4096
"""Beyond this the market says that it is busy instead of growing without bound."""

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


Outcome = Json | MarketError


@dataclass
class _Request:
    commands: Sequence[Command]
    future: concurrent.futures.Future[list[Outcome]] = field(
        default_factory=concurrent.futures.Future
    )


@dataclass(frozen=True)
class WriterHooks:
    """What follows a batch, in the writer's thread."""

    committed: Callable[[], None]
    failed: Callable[[], None]
    """Views in memory may differ from the database and must be read again."""


class _RefusedError(Exception):
    """A command was refused in a batch that has no savepoints."""


_Answer = tuple[Outcome, str | None]
"""An outcome, and how it is kept; None if it is not."""
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
        self._queue: queue.Queue[_Request | None] = queue.Queue(REQUESTS_QUEUED_MAX)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to take commands."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued, then stop."""
        self._queue.put(None)
        self._thread.join()

    async def submit(self, commands: Sequence[Command]) -> list[Outcome]:
        """Run commands and wait until their effects are durable.

        Returns:
            For each command its answer, or the error that refused it alone.

        Raises:
            LimitError: Too many requests wait; nothing ran.
            UnavailableError: The commit failed; nothing took effect.
        """
        return await asyncio.wrap_future(self._enqueue(commands))

    async def submit_one(self, command: Command) -> Json:
        """As `submit`, for one command; its refusal is raised."""
        (outcome,) = await self.submit([command])
        if isinstance(outcome, MarketError):
            raise outcome
        return outcome

    def submit_and_wait(self, commands: Sequence[Command]) -> list[Outcome]:
        """As `submit`, from a plain thread."""
        return self._enqueue(commands).result()

    def _enqueue(
        self, commands: Sequence[Command]
    ) -> concurrent.futures.Future[list[Outcome]]:
        request = _Request(commands)
        try:
            self._queue.put_nowait(request)
        except queue.Full:
            raise LimitError("The market is busy; try again in a moment.") from None
        return request.future

    def _run(self) -> None:
        running = True
        while running:
            requests, running = self._collect()
            if requests:
                self._commit(requests)

    def _collect(self) -> tuple[list[_Request], bool]:
        requests: list[_Request] = []
        count = 0
        request = self._queue.get()
        while request is not None:
            # A caller who has gone away must not be able to cancel from here on.
            if request.future.set_running_or_notify_cancel():
                requests.append(request)
                count += len(request.commands)
            if count >= COMMANDS_PER_COMMIT_MAX:
                return requests, True
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return requests, True
        return requests, False

    def _commit(self, requests: list[_Request]) -> None:
        try:
            try:
                transaction, results = self._run_batch(requests, _run_plainly)
            except _RefusedError:
                # Savepoints cost as much as the work itself, and are needed only
                # where a command must be taken back alone.
                transaction, results = self._run_batch(requests, _run_in_savepoint)
        except Exception as error:
            # Whatever it was, callers must hear of it and the next batch must run.
            logger.exception("A batch of %d requests did not commit.", len(requests))
            self._guard(self._hooks.failed)
            for request in requests:
                refusal = UnavailableError("The market could not store this; retry.")
                refusal.__cause__ = error
                request.future.set_exception(refusal)
            return
        # From here on everything in the batch is durable and may be promised.
        done = [self._guard(effect) for effect in transaction.effects]
        if not all(done):
            self._guard(self._hooks.failed)
        for request, result in zip(requests, results, strict=True):
            request.future.set_result(result)
        self._guard(self._hooks.committed)

    def _run_batch(
        self, requests: list[_Request], run: _Run
    ) -> tuple[Transaction, list[list[Outcome]]]:
        with self._database.writing() as session:
            transaction = Transaction(
                session, self._log.begin(session), now_ms=self._clock.now_ms()
            )
            transaction.prefetch(_rows_read(requests))
            try:
                results = [
                    [_run_once(transaction, command, run) for command in item.commands]
                    for item in requests
                ]
                transaction.finish()
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


def _rows_read(requests: Sequence[_Request]) -> Iterator[RowKey]:
    for request in requests:
        for command in request.commands:
            yield CommandRecord, (command.party, command.command_id)
            yield from command.reads


def _run_once(transaction: Transaction, command: Command, run: _Run) -> Outcome:
    payload_hash = hashlib.sha256(canonical_json(command.payload)).digest()
    known = transaction.find(CommandRecord, command.party, command.command_id)
    if known is not None:
        if known.payload_hash != payload_hash:
            return ConflictError("This id was used before with another payload.")
        return json.loads(known.answer)  # type: ignore[no-any-return]
    answer, text = run(transaction, command)
    if text is not None:
        transaction.keep_answer(command.party, command.command_id, payload_hash, text)
    return answer


def _apply(transaction: Transaction, command: Command) -> _Answer:
    answer = command.apply(transaction)
    # An answer that has no canonical form is the command's fault, and its alone.
    return answer, None if answer is None else canonical_json(answer).decode()


def _run_plainly(transaction: Transaction, command: Command) -> _Answer:
    try:
        return _apply(transaction, command)
    except OperationalError:
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
    except OperationalError:
        # SQLite may have ended the whole transaction, as it does when the disk is
        # full: what the next commands did would be stored without their statements.
        raise
    except Exception:
        # A fault of ours in one command must not take the others' commit along.
        transaction.rollback_to(mark)
        logger.exception("Command %s of %s failed.", command.command_id, command.party)
        fault = MarketError("The market could not do this; it has been noted.")
        return fault, None
