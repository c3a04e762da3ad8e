"""Cosigners: who states, with the time, that a checkpoint extends all before it.

A witness cosigns with Ed25519 or ML-DSA-44. A log cosigns its own checkpoints with
ML-DSA-44, under the name that is its origin. One key has one role: never use the
key of a note signer (0x01) for cosignatures (0x04).

Source: C2SP tlog-cosignature.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from ledger.errors import NoteError
from ledger.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX
from ledger.log.checkpoint import parse_checkpoint
from ledger.log.note import NoteSignature, Verifier, parse_signature
from ledger.log.signature_types import (
    SignatureType,
    cosignature_message,
    encode_time,
    split_time,
    subtree_message,
)
from ledger.mldsa import MlDsaPrivateKey
from ledger.signing import PrivateKey


class Cosigner(Protocol):
    """Whoever can cosign a checkpoint."""

    @property
    def verifier(self) -> Verifier:
        """The key that its cosignatures are checked with; `.vkey` is its text."""

    def cosign(self, text: str, *, time_s: int) -> NoteSignature:
        """Cosign the text of a checkpoint; `.line` of the result is the note's line.

        Args:
            text: Of a checkpoint, without signatures, with its final newline.
            time_s: Now, in seconds since 1970.

        Raises:
            NoteError: `text` is not the text of a checkpoint.
        """


class CosignatureSigner:
    """A witness's name and Ed25519 key (type 0x04)."""

    def __init__(self, name: str, key: PrivateKey) -> None:
        self._key = key
        self.verifier = Verifier(
            name, SignatureType.COSIGNATURE_ED25519, key.public.data
        )

    def cosign(self, text: str, *, time_s: int) -> NoteSignature:
        """See :meth:`Cosigner.cosign`."""
        parse_checkpoint(text)
        signature = self._key.sign(cosignature_message(text, time_s=time_s))
        return _timed_signature(self.verifier, time_s, signature)


class MlDsaSigner:
    """The name and ML-DSA-44 key of a witness or a log (type 0x06)."""

    def __init__(self, name: str, key: MlDsaPrivateKey) -> None:
        self._key = key
        self.verifier = Verifier(
            name, SignatureType.COSIGNATURE_ML_DSA_44, key.public.data
        )

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> "MlDsaSigner":
        """Make the signer of a 32-byte seed."""
        return cls(name, MlDsaPrivateKey(seed))

    def cosign(self, text: str, *, time_s: int) -> NoteSignature:
        """See :meth:`Cosigner.cosign`."""
        checkpoint = parse_checkpoint(text)
        message = subtree_message(self.verifier.name, checkpoint, time_s=time_s)
        return _timed_signature(self.verifier, time_s, self._key.sign(message))


class TimedSigner:
    """A cosigner with a clock, which signs notes as others do that need none."""

    def __init__(self, cosigner: Cosigner, now_s: Callable[[], int]) -> None:
        self._cosigner = cosigner
        self._now_s = now_s
        self.verifier = cosigner.verifier

    def sign(self, text: str) -> NoteSignature:
        """Cosign the text of a checkpoint, now."""
        return self._cosigner.cosign(text, time_s=self._now_s())


def cosignature_time_s(signature: NoteSignature) -> int:
    """Return when a cosignature was made, in seconds since 1970.

    Args:
        signature: Of a cosigner (types 0x04 and 0x06), and checked.

    Raises:
        NoteError: It is too short to be timed.
    """
    return split_time(signature.data)[0]


def verify_cosignature(text: str, signature: NoteSignature, verifier: Verifier) -> int:
    """Check one signature line over the text of a checkpoint.

    Args:
        text: Of the checkpoint, without signatures, with its final newline.
        signature: From `parse_signature_lines` or `Note.signatures`.
        verifier: The key of the cosigner (types 0x04 and 0x06).

    Returns:
        When it was made, in seconds since 1970.

    Raises:
        NoteError: It is not a cosignature of this key over `text`.
    """
    if not verifier.signature_type.is_timed:
        raise NoteError(f"The key of {verifier.name} is not one that cosigns.")
    if (signature.name, signature.key_id) != (verifier.name, verifier.key_id):
        raise NoteError(f"A signature of {signature.name}, not of {verifier.name}.")
    parse_checkpoint(text)
    verifier.verify(text, signature.data)
    return cosignature_time_s(signature)


def parse_signature_lines(data: bytes) -> list[NoteSignature]:
    """Parse signature lines that stand alone, as a witness answers them; unchecked.

    Args:
        data: One to 64 lines, each with its newline.

    Raises:
        NoteError: Something else.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise NoteError(f"Signature lines have at most {NOTE_BYTES_MAX} bytes.")
    try:
        *lines, rest = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise NoteError("A signature line is UTF-8.") from error
    if rest or not 0 < len(lines) <= NOTE_SIGNATURES_MAX:
        raise NoteError(f"One to {NOTE_SIGNATURES_MAX} whole signature lines are due.")
    return [parse_signature(line) for line in lines]


def encode_signature_lines(signatures: Sequence[NoteSignature]) -> bytes:
    """Return signature lines as a witness answers them."""
    return "".join(signature.line for signature in signatures).encode()


def _timed_signature(
    verifier: Verifier, time_s: int, signature: bytes
) -> NoteSignature:
    data = encode_time(time_s) + signature
    return NoteSignature(verifier.name, verifier.key_id, data)
