"""Changes the keys of the log: records each change, and lets the old keys go in time.

New key files are the wish, made by `sixfold market rotate-log-key`. From then on
both sets sign. The statement goes into the log once, whatever happens in between, as
its command has an id. When the agreed time is over and the proof of the change is
published, the old keys sign no more. All of it is found again after a crash.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from ledger.audit.key_rotation import verify_key_change
from ledger.encoding import Json
from ledger.errors import LedgerError, LogError
from ledger.log.log import Log
from ledger.log.models import LogEntry
from ledger.log.proof import TlogProof
from ledger.statements.kinds import LogKeyStatement
from ledger.statements.statement import make_statement
from market.broker import Broker
from market.clock import Clock
from market.database import Database
from market.log_site.key_folder import FolderSigners
from market.transaction import Transaction
from market.writer import Command

logger = logging.getLogger(__name__)

Prove = Callable[[int], TlogProof]
"""Proves an entry under the best checkpoint there is; `LogError` if there is none."""


@dataclass(frozen=True)
class _Recorded:
    """A change that is in the log."""

    index: int
    until_ms: int


class KeyRotation:
    """Brings changes of keys forward, one at a time; for one thread at a time."""

    def __init__(
        self,
        log: Log,
        signers: FolderSigners,
        broker: Broker,
        clock: Clock,
        *,
        transition_ms: int,
    ) -> None:
        """Begin where the key files and the database are.

        Args:
            log: Whose keys change.
            signers: Of this log.
            broker: Whose key signs the statements.
            clock: What tells the time.
            transition_ms: How long old keys sign beside the new ones.
        """
        self._log = log
        self._signers = signers
        self._broker = broker
        self._clock = clock
        self._transition_ms = transition_ms
        self._recorded: dict[int, _Recorded] = {}

    def pending(self) -> Command | None:
        """The command that records a change which is not known to be recorded.

        Its answer goes to `settle`. New key files are taken up by this.

        Raises:
            KeyFileError: A new key file is damaged, or open to others.
        """
        self._signers.adopt()
        generation = self._signers.oldest_signing + 1
        if generation > self._signers.generation or generation in self._recorded:
            return None
        return self._command(generation)

    def settle(self, answer: Json) -> None:
        """Take the answer to `pending`: now, or at the first time, it was recorded."""
        assert isinstance(answer, dict)
        generation, index, until_ms = (
            answer[name] for name in ("generation", "index", "untilMs")
        )
        assert isinstance(generation, int)
        assert isinstance(index, int)
        assert isinstance(until_ms, int)
        self._recorded[generation] = _Recorded(index, until_ms)

    def advance(self, database: Database, prove: Prove) -> None:
        """Publish the proof of a recorded change, and let the old keys go in time.

        Args:
            database: Where the recorded statement is read again.
            prove: Proves an entry under the best checkpoint that counts it.
        """
        generation = self._signers.oldest_signing + 1
        recorded = self._recorded.get(generation)
        if recorded is None:
            return
        is_over = self._clock.now_ms() >= recorded.until_ms
        is_published = self._log.key_change(generation) is not None
        if is_over or not is_published:
            # At the end once more: it may have more cosignatures than at first.
            is_published |= self._publish(generation, recorded, database, prove)
        if is_over and is_published:
            self._signers.retire_before(generation)
            logger.warning("The log signs with its keys %d alone now.", generation)

    def _command(self, generation: int) -> Command:
        before = self._signers.keys_of(generation - 1).vkeys
        after = self._signers.keys_of(generation).vkeys
        market = self._broker.market

        def apply(transaction: Transaction) -> Json:
            until_ms = transaction.now_ms + self._transition_ms
            body = LogKeyStatement(
                market=market,
                origin=self._log.origin,
                generation=generation,
                before=before,
                after=after,
                changed_at_ms=transaction.now_ms,
                before_until_ms=until_ms,
            )
            statement = make_statement(body).signed_by("market", self._broker.key)
            index = transaction.record(statement, parties=[market])
            return {"generation": generation, "index": index, "untilMs": until_ms}

        return Command(
            party=market,
            command_id=f"log-key/{generation}",
            payload={"before": list(before), "after": list(after)},
            apply=apply,
        )

    def _publish(
        self, generation: int, recorded: _Recorded, database: Database, prove: Prove
    ) -> bool:
        """Publish the proof of a change, if its statement is under a checkpoint."""
        with database.reading() as session:
            entry = session.get(LogEntry, recorded.index)
        assert entry is not None
        try:
            proof = replace(prove(recorded.index), extra=entry.data).encode()
            # What readers will do; nothing is published that they could not follow.
            keys = self._signers.keys_of(generation - 1)
            verify_key_change(keys, proof, market=self._broker.market)
        except LogError:
            return False
        except LedgerError:
            logger.exception("The change of keys %d cannot be proved.", generation)
            return False
        self._log.publish_key_change(generation, proof)
        return True
