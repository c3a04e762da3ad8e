"""The keys of a followed log: those that were pinned, and those learned from them.

What is pinned never changes. A change of keys is kept as the proof that the log has
published of it, and is checked again from the pinned keys at each start.
"""

from collections.abc import Sequence
from contextlib import suppress

from ledger.audit.errors import RuleError
from ledger.audit.key_rotation import KeyHistory, verify_key_change
from ledger.audit.remote_log import RemoteLog
from ledger.log.log_keys import LogKeys
from ledger.log.proof import parse_proof
from ledger.log.witness_policy import WitnessedCheckpoint, WitnessPolicy

KEY_CHANGES_MAX = 64
"""A log that changes its keys each year is followed for a lifetime."""


class FollowedKeys:
    """The keys of one log, as far as a follower knows them. Never changed in place."""

    def __init__(self, pinned: LogKeys, proofs: Sequence[bytes] = ()) -> None:
        """Begin with pinned keys, and check what was learned since.

        Args:
            pinned: The keys that are trusted for themselves.
            proofs: Of the changes since, oldest first, as the log published them.

        Raises:
            RuleError: The changes do not follow from the pinned keys.
        """
        self.pinned = pinned
        self.proofs = tuple(proofs)
        history = KeyHistory(pinned)
        for proof in proofs:
            change = verify_key_change(history.keys, proof, market=None)
            history = history.then(change)
        self._history = history

    @property
    def current(self) -> LogKeys:
        """The newest keys that are known."""
        return self._history.keys

    @property
    def text(self) -> str:
        """All keys that are known, one a line, the pinned ones first."""
        later = [change.after.text for change in self._history.changes]
        return "".join([self.pinned.text, *later])

    def open(self, note: bytes, policy: WitnessPolicy) -> WitnessedCheckpoint:
        """Open a checkpoint of any time with the keys of that time.

        Raises:
            NoteError: As for `WitnessPolicy.open`.
        """
        return self._history.open(note, policy)

    def learn(self, remote: RemoteLog) -> "FollowedKeys":
        """Return the keys with all changes that the log has published since.

        Raises:
            AuditError: The log cannot be reached.
            TileError: A proof is larger than it can be.
        """
        known = self
        for generation in range(2, 2 + KEY_CHANGES_MAX):
            proof = remote.read_key_change(generation)
            if proof is None:
                break
            # Those from before the pinned keys do not begin with them.
            with suppress(RuleError):
                known = FollowedKeys(known.pinned, (*known.proofs, proof))
        return known

    def notes_since(self, earlier: "FollowedKeys") -> list[bytes]:
        """The checkpoints that the changes after earlier ones were proven under."""
        proofs = self.proofs[len(earlier.proofs) :]
        return [parse_proof(proof).checkpoint_note for proof in proofs]
