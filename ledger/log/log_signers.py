"""The private keys of a log: those that sign now, and those that did before.

While keys are exchanged, both the old and the new ones sign, so that readers who
know only the old ones learn the new from a checkpoint that they can still check.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from ledger.errors import NoteError
from ledger.log.log_keys import LogKeys, SignedCheckpoint, open_signed_checkpoint
from ledger.log.note import NoteSigner, sign_note


class _Generation(NamedTuple):
    signers: tuple[NoteSigner, ...]
    keys: LogKeys


class LogSigners:
    """Signs checkpoints with all keys that are due. May be used by several threads."""

    def __init__(self, signers: Sequence[NoteSigner]) -> None:
        """Begin with the first keys of a log.

        Args:
            signers: The Ed25519 key first, then others of the same name.

        Raises:
            NoteError: No log can have these keys.
        """
        self._generations: tuple[_Generation, ...] = (_generation(signers),)
        self._oldest_signing = 1

    @property
    def keys(self) -> LogKeys:
        """The keys that readers should know now, which are the newest."""
        return self._generations[-1].keys

    @property
    def generation(self) -> int:
        """Which set of keys these are, counted from 1."""
        return len(self._generations)

    @property
    def oldest_signing(self) -> int:
        """The first set of keys that still signs, counted from 1."""
        return self._oldest_signing

    def keys_of(self, generation: int) -> LogKeys:
        """One set of keys that the log has, or had; the first is 1."""
        return self._generations[generation - 1].keys

    def add(self, signers: Sequence[NoteSigner]) -> None:
        """Let new keys sign as well; those before go on until `retire_before`.

        Raises:
            NoteError: No log can have these keys, or they are of another log.
        """
        new = _generation(signers)
        if new.keys.origin != self.keys.origin:
            raise NoteError(f"These are not keys of {self.keys.origin}.")
        self._generations = (*self._generations, new)

    def retire_before(self, generation: int) -> None:
        """Let the sets of keys before this one sign no more."""
        assert 1 <= generation <= self.generation
        self._oldest_signing = max(self._oldest_signing, generation)

    def sign(self, text: str) -> bytes:
        """Sign the text of a checkpoint with every key that is due."""
        signing = self._generations[self._oldest_signing - 1 :]
        return sign_note(text, [signer for item in signing for signer in item.signers])

    def open(self, note: bytes) -> SignedCheckpoint:
        """Open a checkpoint that these keys, or those before them, have signed.

        Raises:
            NoteError: None of them have.
        """
        generations = self._generations
        try:
            return open_signed_checkpoint(note, generations[-1].keys)
        except NoteError:
            for generation in reversed(generations[:-1]):
                with suppress(NoteError):
                    return open_signed_checkpoint(note, generation.keys)
            raise


def _generation(signers: Sequence[NoteSigner]) -> _Generation:
    keys = LogKeys(tuple(signer.verifier for signer in signers))
    return _Generation(tuple(signers), keys)
