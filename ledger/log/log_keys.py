"""The keys of a log: all of them sign every checkpoint, and readers demand each one.

A log has an Ed25519 key and, beside it, an ML-DSA-44 key. A reader who knows both
accepts no checkpoint that only one has signed: who breaks one algorithm gains nothing.

Source: C2SP signed-note, tlog-checkpoint; one verifier key a line is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import NoteError
from ledger.log.checkpoint import Checkpoint, parse_checkpoint
from ledger.log.note import VKEY_CHARACTERS_MAX, Note, Verifier, open_note
from ledger.log.signature_types import SignatureType

LOG_KEYS_MAX = 4
"""Two algorithms, and as many again that are not thought of yet."""

LOG_KEYS_CHARACTERS_MAX = LOG_KEYS_MAX * (VKEY_CHARACTERS_MAX + 1)
"""That many verifier keys at their longest, each with its newline."""


@dataclass(frozen=True)
class LogKeys:
    """The verifier keys of one log; each must have signed.

    The first is the Ed25519 key (type 0x01) that the standard demands. Others have
    the same name and a type that cosigns.

    Raises:
        NoteError: No log can have these keys.
    """

    verifiers: tuple[Verifier, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.verifiers) <= LOG_KEYS_MAX:
            raise NoteError(f"A log has 1 to {LOG_KEYS_MAX} verifier keys.")
        if self.verifiers[0].signature_type is not SignatureType.ED25519:
            raise NoteError("The first key of a log is its Ed25519 key.")
        if len({verifier.name for verifier in self.verifiers}) != 1:
            raise NoteError("The keys of a log have one name, its origin.")
        types = {verifier.signature_type for verifier in self.verifiers}
        if len(types) != len(self.verifiers):
            raise NoteError("A log has one key of each type.")
        if SignatureType.COSIGNATURE_ED25519 in types:
            raise NoteError("A log does not sign as an Ed25519 witness of itself.")

    @classmethod
    def parse(cls, text: str) -> "LogKeys":
        """Parse a `log.vkey` file: one verifier key a line.

        Raises:
            NoteError: Something else, or keys that do not belong to one log.
        """
        if len(text) > LOG_KEYS_CHARACTERS_MAX:
            raise NoteError(f"A log has at most {LOG_KEYS_MAX} verifier keys.")
        lines = text.removesuffix("\n").split("\n")
        return cls(tuple(Verifier.parse(line) for line in lines[: LOG_KEYS_MAX + 1]))

    @property
    def origin(self) -> str:
        """The name of the log, first line of its checkpoints."""
        return self.verifiers[0].name

    @property
    def text(self) -> str:
        """The `log.vkey` file, to hand to others."""
        return "".join(f"{vkey}\n" for vkey in self.vkeys)

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The verifier keys as text, the Ed25519 key first."""
        return tuple(verifier.vkey for verifier in self.verifiers)


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint with the signatures on it that were checked."""

    checkpoint: Checkpoint
    note: Note
    keys: LogKeys
    """Those that have signed it."""


def open_signed_checkpoint(
    data: bytes, keys: LogKeys | Verifier, witnesses: Sequence[Verifier] = ()
) -> SignedCheckpoint:
    """Parse a signed checkpoint, check that its log signed it, and who cosigned.

    Args:
        data: The note, as served at `checkpoint`.
        keys: Of the log. Each must have signed.
        witnesses: Keys of cosigners that are trusted. Their lines may be missing;
            those that are there must verify.

    Raises:
        NoteError: Malformed; a key of the log has not signed; a known line is wrong;
            or the checkpoint is of another log. No other error leaves this function.
    """
    all_keys = keys if isinstance(keys, LogKeys) else LogKeys((keys,))
    note = open_note(data, [*all_keys.verifiers, *witnesses])
    signed_by = {(item.name, item.key_id) for item in note.signatures}
    for verifier in all_keys.verifiers:
        if (verifier.name, verifier.key_id) not in signed_by:
            raise NoteError(
                f"The key {verifier.name}+{verifier.key_id.hex()} has not signed."
            )
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != all_keys.origin:
        raise NoteError(f"A checkpoint of {checkpoint.origin}, not {all_keys.origin}.")
    return SignedCheckpoint(checkpoint, note, all_keys)


def open_checkpoint(data: bytes, keys: LogKeys | Verifier) -> Checkpoint:
    """Parse a signed checkpoint and check that its log signed it.

    Args:
        data: The note, as served at `checkpoint`.
        keys: Of the log. Each must have signed.

    Raises:
        NoteError: As for `open_signed_checkpoint`.
    """
    return open_signed_checkpoint(data, keys).checkpoint
