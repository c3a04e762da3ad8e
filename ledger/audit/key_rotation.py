"""How readers learn the new keys of a log from its old ones, and which count where.

A `log_key` statement names the keys before and after. The checkpoints that first
count it are signed with both, so whoever knows the old keys can check it, and knows
the new ones from then on. A market publishes each as a `.tlog-proof` whose extra
data is the statement itself. Everything here is pure.
"""

from dataclasses import dataclass

from ledger.audit.checked_statement import check_signatures, read_statement
from ledger.audit.errors import RuleError
from ledger.audit.rules import Rule
from ledger.errors import NoteError, ProofError
from ledger.log.checkpoint import Checkpoint, parse_checkpoint
from ledger.log.log_keys import LogKeys
from ledger.log.note import read_text
from ledger.log.proof import parse_proof, verify_proof
from ledger.log.witness_policy import NO_WITNESSES, WitnessedCheckpoint, WitnessPolicy
from ledger.statements.kinds import LogKeyStatement


@dataclass(frozen=True)
class KeyChange:
    """One change of a log's keys. It counts for checkpoints above `index` entries."""

    index: int
    """Place of the statement in the log."""
    generation: int
    market: str
    """The account that signed it."""
    before: LogKeys
    after: LogKeys


@dataclass(frozen=True)
class KeyHistory:
    """The keys that a log has now, and the changes that led to them, oldest first.

    Raises:
        RuleError: The changes do not follow each other.
    """

    keys: LogKeys
    changes: tuple[KeyChange, ...] = ()

    def __post_init__(self) -> None:
        index = -1
        for place, change in enumerate(self.changes):
            later = self.changes[place + 1 :]
            after = later[0].before if later else self.keys
            if change.index <= index or change.after != after:
                raise RuleError(Rule.LOG_KEY, "These changes do not follow each other.")
            index = change.index

    def then(self, change: KeyChange) -> "KeyHistory":
        """Return the history with one more change.

        Raises:
            RuleError: It does not begin with the keys of now.
        """
        if change.before != self.keys:
            raise RuleError(Rule.LOG_KEY, "It replaces other keys than the log had.")
        return KeyHistory(change.after, (*self.changes, change))

    def at(self, size: int) -> LogKeys:
        """Return the keys that must have signed a checkpoint of this many entries."""
        for change in self.changes:
            if size <= change.index:
                return change.before
        return self.keys

    def open(
        self, data: bytes, policy: WitnessPolicy = NO_WITNESSES
    ) -> WitnessedCheckpoint:
        """Open a checkpoint of any time with the keys of that time.

        Args:
            data: The note, as served at `checkpoint` or kept in a receipt.
            policy: Whose cosignatures are looked at; a quorum is not demanded.

        Raises:
            NoteError: As for `WitnessPolicy.open`.
        """
        claimed: Checkpoint = parse_checkpoint(read_text(data))
        return policy.open(data, self.at(claimed.size))


def read_key_change(
    keys: LogKeys, index: int, entry: bytes, *, market: str | None
) -> KeyChange:
    """Read a change of keys from an entry that lies under a checkpoint of the log.

    The caller has checked that checkpoint with `keys`, and that it counts the entry.

    Args:
        keys: Those that the log had until then.
        index: Place of the entry.
        entry: Its bytes.
        market: The market's account, which must have signed; None only where nobody
            knows it, as at a witness.

    Raises:
        RuleError: It is no change of these keys, or not signed by the market.
    """
    statement = read_statement(entry)
    body = statement.body
    if not isinstance(body, LogKeyStatement):
        raise RuleError(Rule.LOG_KEY, f"A {statement.kind} statement changes no keys.")
    check_signatures(statement)
    if market is not None and body.market != market:
        raise RuleError(Rule.MARKET, f"Signed by {body.market}, not by {market}.")
    try:
        before, after = _parse_keys(body.before), _parse_keys(body.after)
    except NoteError as error:
        raise RuleError(Rule.LOG_KEY, str(error)) from error
    if before != keys or not before.origin == after.origin == body.origin:
        raise RuleError(Rule.LOG_KEY, "It replaces other keys than the log had.")
    return KeyChange(index, body.generation, body.market, before, after)


def verify_key_change(
    keys: LogKeys,
    data: bytes,
    *,
    market: str | None,
    policy: WitnessPolicy = NO_WITNESSES,
) -> KeyChange:
    """Check a published change of keys, from the keys before it alone.

    Args:
        keys: Those that are known, the ones before the change.
        data: The `.tlog-proof` that the market publishes of it.
        market: As for `read_key_change`.
        policy: Whose cosignatures are demanded of the checkpoint.

    Raises:
        RuleError: It does not hold. No other error leaves this function.
    """
    try:
        proof = parse_proof(data)
        entry = proof.extra or b""
        verify_proof(proof, entry, keys, policy)
    except (NoteError, ProofError) as error:
        raise RuleError(Rule.LOG_KEY, str(error)) from error
    return read_key_change(keys, proof.index, entry, market=market)


def keys_after(keys: LogKeys, data: bytes, *, market: str | None) -> LogKeys:
    """Return the keys of a log after one published change.

    Args:
        keys: Those that are known, the ones before the change.
        data: The `.tlog-proof` that the market publishes of it.
        market: As for `read_key_change`.

    Raises:
        RuleError: As for `verify_key_change`.
    """
    return verify_key_change(keys, data, market=market).after


def _parse_keys(vkeys: tuple[str, ...]) -> LogKeys:
    return LogKeys.parse("\n".join(vkeys))
