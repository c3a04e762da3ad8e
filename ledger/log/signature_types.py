"""What a signature of each type signs, and how it is checked.

A log's Ed25519 key signs the text itself. Cosigners sign a time with it, so their
line says when they saw the checkpoint. With ML-DSA a log cosigns its own head.

Source: C2SP signed-note (types), tlog-cosignature (messages).
"""

from enum import IntEnum
from functools import lru_cache

from ledger.errors import NoteError, SignatureError
from ledger.log.checkpoint import Checkpoint, parse_checkpoint
from ledger.mldsa import MlDsaPublicKey
from ledger.signing import PublicKey

TIME_S_MAX = 2**63 - 1
"""A time in a cosignature fits a signed 64-bit number, as sizes do."""

KEYS_CACHED_MAX = 256
"""Parsed ML-DSA keys that are kept; a policy has a few dozen witnesses."""

_TIME_BYTES = 8
_SUBTREE_LABEL = b"subtree/v1\n\0"


class SignatureType(IntEnum):
    """The byte that names an algorithm, inside key ids and verifier keys."""

    ED25519 = 0x01
    COSIGNATURE_ED25519 = 0x04
    COSIGNATURE_ML_DSA_44 = 0x06

    @property
    def is_timed(self) -> bool:
        """Whether its signatures begin with the time at which they were made."""
        return self is not SignatureType.ED25519


def cosignature_message(text: str, *, time_s: int) -> bytes:
    """Return what a cosigner signs with Ed25519 (type 0x04)."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def subtree_message(name: str, checkpoint: Checkpoint, *, time_s: int) -> bytes:
    """Return what a cosigner signs with ML-DSA-44 (type 0x06) for a checkpoint.

    Raises:
        NoteError: The origin is longer than 255 bytes, which it frames with one byte.
    """
    origin = checkpoint.origin.encode()
    if len(origin) > 255:
        raise NoteError("An origin has at most 255 bytes where ML-DSA signs it.")
    return b"".join(
        (
            _SUBTREE_LABEL,
            _framed(name.encode()),
            encode_time(time_s),
            _framed(origin),
            # A checkpoint is the subtree that begins at the first entry.
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def encode_time(time_s: int) -> bytes:
    """Return a time as the eight bytes that timed signatures begin with."""
    return time_s.to_bytes(_TIME_BYTES, "big")


def split_time(data: bytes) -> tuple[int, bytes]:
    """Split a timed signature in its time, in seconds since 1970, and the rest.

    Raises:
        NoteError: Too short, or the time is 2**63 or later.
    """
    time_s = int.from_bytes(data[:_TIME_BYTES], "big")
    if len(data) <= _TIME_BYTES or time_s > TIME_S_MAX:
        raise NoteError("A cosignature is a time below 2**63 and a signature.")
    return time_s, data[_TIME_BYTES:]


def check_key(signature_type: SignatureType, key: bytes) -> None:
    """Check that bytes can be a public key of a type.

    Raises:
        NoteError: They cannot.
    """
    try:
        if signature_type is SignatureType.COSIGNATURE_ML_DSA_44:
            _ml_dsa_key(key)
        else:
            PublicKey(key)
    except SignatureError as error:
        raise NoteError(str(error)) from error


def verify_signature(
    signature_type: SignatureType, name: str, key: bytes, text: str, data: bytes
) -> None:
    """Check what follows the key id in a signature line.

    Raises:
        SignatureError: The signature is not one of this key over `text`.
        NoteError: It is out of form, or `text` is no checkpoint and ML-DSA is to
            have signed it.
    """
    if signature_type is SignatureType.ED25519:
        PublicKey(key).verify(text.encode(), data)
        return
    time_s, signature = split_time(data)
    if signature_type is SignatureType.COSIGNATURE_ED25519:
        PublicKey(key).verify(cosignature_message(text, time_s=time_s), signature)
        return
    message = subtree_message(name, parse_checkpoint(text), time_s=time_s)
    _ml_dsa_key(key).verify(message, signature)


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _ml_dsa_key(key: bytes) -> MlDsaPublicKey:
    return MlDsaPublicKey(key)


def _framed(data: bytes) -> bytes:
    return bytes([len(data)]) + data
