"""Asks the witnesses, again and again, to cosign the newest checkpoint.

Each witness has a thread of its own and is asked with one checkpoint at a time. All
that are idle get the same one, so that their cosignatures meet under it; whoever is
slow is left out of the next rounds until it has answered, and delays nobody.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerError
from ledger.log.log import Log
from ledger.log.note import NoteSignature, Verifier, extend_note
from ledger.log.witness_client import WitnessOutcome, WitnessPool
from market.errors import MarketError

RETRY_S = 5.0
"""A witness that did not cosign the newest checkpoint is asked again after this."""
FIRST_S = 2.0
"""At start the witnesses have so long to say that they know more than the database."""
STOP_S = 1.0
"""What still waits for a witness when the market stops is left after this."""

logger = logging.getLogger(__name__)


@dataclass
class Round:
    """One checkpoint on its way around the witnesses."""

    note: bytes
    """Grows with each cosignature."""
    text: str
    size: int
    signatures: list[NoteSignature]
    """The cosignatures that it has, all checked."""
    is_satisfied: bool = False
    """Whether it has all the cosignatures that are asked for."""

    def add(self, signatures: Sequence[NoteSignature]) -> None:
        """Append cosignatures that were checked.

        Raises:
            NoteError: The note would be too large.
        """
        self.note = extend_note(self.note, signatures)
        self.signatures.extend(signatures)

    def is_cosigned(self, verifiers: Sequence[Verifier]) -> bool:
        """Whether all of these keys have cosigned."""
        signed_by = {(item.name, item.key_id) for item in self.signatures}
        return all((item.name, item.key_id) in signed_by for item in verifiers)


class Contact:
    """One witness, asked in a thread of its own."""

    def __init__(
        self, url: str, verifiers: Sequence[Verifier], pool: WitnessPool
    ) -> None:
        self.url = url
        self.verifiers = tuple(verifiers)
        self.is_idle = True
        """Read and written by the rounds alone, under their lock."""
        self._pool = pool
        self._queue: queue.SimpleQueue[Round | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(
        self, log: Log, take: Callable[["Contact", Round, WitnessOutcome], None]
    ) -> None:
        """Begin to ask; `take` gets each outcome, in this witness's thread."""
        self._thread = threading.Thread(
            target=self._run, args=(log, take), name="witness", daemon=True
        )
        self._thread.start()

    def ask(self, round_: Round) -> None:
        """Have it cosign; only while it is idle."""
        self._queue.put(round_)

    def stop(self) -> None:
        """Ask no more, once it has finished what it does."""
        self._queue.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until it has stopped, but not for longer than that."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(
        self, log: Log, take: Callable[["Contact", Round, WitnessOutcome], None]
    ) -> None:
        while (round_ := self._queue.get()) is not None:
            (outcome,) = self._pool.submit_to_all(
                round_.note,
                consistency=partial(log.consistency, new_size=round_.size),
            )
            take(self, round_, outcome)
        self._pool.close()


class WitnessRounds:
    """Goes around the witnesses in a thread, from `start` to `stop`."""

    def __init__(
        self,
        log: Log,
        contacts: Sequence[Contact],
        *,
        begin: Callable[[bytes], Round],
        take: Callable[[Contact, Round, WitnessOutcome], None],
        is_ours: Callable[[], bool],
    ) -> None:
        """Say whom to ask. Nothing runs before `start`.

        Args:
            log: Whose checkpoints are cosigned.
            contacts: The witnesses.
            begin: Makes a round of the log's newest checkpoint.
            take: Given each outcome, one at a time.
            is_ours: Whether this process is the one that publishes.
        """
        self._log = log
        self._contacts = tuple(contacts)
        self._begin = begin
        self._take = take
        self._is_ours = is_ours
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._has_begun = threading.Event()
        self._changed = threading.Condition()
        self._round: Round | None = None
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        """Begin with the checkpoint that is there, which a crash may have left.

        Returns when the witnesses have answered, but does not wait for long: whoever
        put back an old copy of everything should hear of it before anything is signed.
        """
        for contact in self._contacts:
            contact.start(self._log, self._on_outcome)
        self._wanted.set()
        self._thread.start()
        self._has_begun.wait(FIRST_S)

    def request(self) -> None:
        """Say that there is a new checkpoint."""
        self._wanted.set()

    def stop(self) -> None:
        """Ask no more."""
        self._stopping.set()
        self._wanted.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        for contact in self._contacts:
            contact.stop()
        deadline_s = time.monotonic() + STOP_S
        for contact in self._contacts:
            contact.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait(RETRY_S)
            self._wanted.clear()
            try:
                if not self._stopping.is_set() and self._is_ours():
                    self._go_around()
            except (LedgerError, MarketError, SQLAlchemyError, OSError):
                logger.exception("The witnesses could not be asked.")
            self._has_begun.set()

    def _go_around(self) -> None:
        note = self._log.published_note()
        if note is None:
            return
        fresh = self._begin(note)
        if self._round is None or self._round.text != fresh.text:
            self._round = fresh
        round_ = self._round
        # At first all are asked: what was cosigned once may be an old copy by now.
        is_first = not self._has_begun.is_set()
        with self._changed:
            asked = [
                contact
                for contact in self._contacts
                if contact.is_idle
                and (is_first or not round_.is_cosigned(contact.verifiers))
            ]
            for contact in asked:
                contact.is_idle = False
                contact.ask(round_)
            self._changed.wait_for(
                lambda: (
                    self._stopping.is_set()
                    or (round_.is_satisfied and not is_first)
                    or all(contact.is_idle for contact in asked)
                ),
                timeout=FIRST_S if is_first else None,
            )

    def _on_outcome(
        self, contact: Contact, round_: Round, outcome: WitnessOutcome
    ) -> None:
        with self._changed:
            try:
                self._take(contact, round_, outcome)
            except (LedgerError, MarketError, SQLAlchemyError, OSError):
                logger.exception("What %s has answered is lost.", contact.url)
            contact.is_idle = True
            self._changed.notify_all()
