"""Key files: where a person's or a node's Ed25519 key rests.

A key file is JSON, readable by its owner alone. Whoever can read it can act and
pay in its owner's name, so a file that is open to others is refused, not mended:
it may have been read. Files are never overwritten.
"""

import os
import stat
from pathlib import Path
from typing import Literal

from ledger.document import Base64, Document, PublicKeyText
from ledger.encoding import decode_base64, encode_base64
from ledger.errors import KeyFileError, LedgerError
from ledger.signing import SEED_BYTES, PrivateKey

KEY_FILE_BYTES_MAX = 1_024
"""Ours have about 200 bytes; a larger file is something else."""


class _KeyFile(Document):
    """What a key file holds. Only the seed is secret, and all follows from it."""

    format: Literal["sixfold-key/v1"]
    public_key: PublicKeyText
    seed: Base64


def load_key(path: Path) -> PrivateKey:
    """Load the key in a file.

    Raises:
        KeyFileError: The file is missing, open to others than its owner, or not a
            key file.
    """
    try:
        with path.open("rb") as file:
            # Of the opened file: what the path names may change in between.
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileError(f"Cannot read {path}: {error.strerror}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(
            f"{path} is open to others (mode {stat.S_IMODE(mode):04o}). If nobody "
            f"else can have read it: chmod 600 {path}"
        )
    return _parse_key(data, path)


def create_key(path: Path) -> PrivateKey:
    """Make a new key and keep it in a new file; missing folders are made.

    Raises:
        KeyFileError: The file exists, or cannot be written.
    """
    key = PrivateKey.generate()
    document = _KeyFile(
        format="sixfold-key/v1",
        public_key=key.public.text,
        seed=encode_base64(key.seed),
    )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(document.to_bytes() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise KeyFileError(f"Cannot write {path}: {error.strerror}.") from error
    return key


def load_or_create_key(path: Path) -> PrivateKey:
    """Load the key in a file, or make one if there is no such file.

    Raises:
        KeyFileError: As for `load_key` and `create_key`.
    """
    return load_key(path) if os.path.lexists(path) else create_key(path)


def _parse_key(data: bytes, path: Path) -> PrivateKey:
    try:
        document = _KeyFile.from_bytes(data, size_max=KEY_FILE_BYTES_MAX)
        key = PrivateKey(decode_base64(document.seed, size=SEED_BYTES))
    except LedgerError:
        # Without its cause, which may hold the text of the file.
        raise KeyFileError(f"{path} is damaged, or not a key file.") from None
    if document.public_key != key.public.text:
        raise KeyFileError(f"{path} is damaged: its two keys do not belong together.")
    return key
