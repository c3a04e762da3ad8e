"""Key files: where the key of a person, a node or a log rests.

A key file is JSON, readable by its owner alone. Whoever can read it can act and
pay in its owner's name, so a file that is open to others is refused, not mended:
it may have been read. Files are never overwritten.
"""

import os
import stat
import tempfile
from pathlib import Path
from typing import Literal

from ledger.document import Base64, Digest, Document, PublicKeyText
from ledger.encoding import decode_base64, encode_base64, sha256_text
from ledger.errors import KeyFileError, LedgerError
from ledger.mldsa import SEED_BYTES as ML_DSA_SEED_BYTES
from ledger.mldsa import MlDsaPrivateKey
from ledger.signing import SEED_BYTES, PrivateKey

KEY_FILE_BYTES_MAX = 1_024
"""Ours have about 200 bytes; a larger file is something else."""


class _KeyFile(Document):
    """What an Ed25519 key file holds. Only the seed is secret; all follows from it."""

    format: Literal["sixfold-key/v1"]
    public_key: PublicKeyText
    seed: Base64


class _MlDsaKeyFile(Document):
    """What an ML-DSA-44 key file holds. Only the seed is secret."""

    format: Literal["sixfold-mldsa-key/v1"]
    public_key_digest: Digest
    seed: Base64


def load_key(path: Path) -> PrivateKey:
    """Load the Ed25519 key in a file.

    Raises:
        KeyFileError: The file is missing, open to others than its owner, or not a
            key file.
    """
    return _parse_key(read_private_file(path), path)


def create_key(path: Path) -> PrivateKey:
    """Make a new Ed25519 key and keep it in a new file; missing folders are made.

    Raises:
        KeyFileError: The file exists, or cannot be written.
    """
    key = PrivateKey.generate()
    document = _KeyFile(
        format="sixfold-key/v1",
        public_key=key.public.text,
        seed=encode_base64(key.seed),
    )
    create_private_file(path, document.to_bytes() + b"\n")
    return key


def load_or_create_key(path: Path) -> PrivateKey:
    """Load the Ed25519 key in a file, or make one if there is no such file.

    Raises:
        KeyFileError: As for `load_key` and `create_key`.
    """
    return load_key(path) if os.path.lexists(path) else create_key(path)


def load_ml_dsa_key(path: Path) -> MlDsaPrivateKey:
    """Load the ML-DSA-44 key in a file.

    Raises:
        KeyFileError: As for `load_key`.
    """
    data = read_private_file(path)
    try:
        document = _MlDsaKeyFile.from_bytes(data, size_max=KEY_FILE_BYTES_MAX)
        key = MlDsaPrivateKey(decode_base64(document.seed, size=ML_DSA_SEED_BYTES))
    except LedgerError:
        # Without its cause, which may hold the text of the file.
        raise KeyFileError(f"{path} is damaged, or not a key file.") from None
    if document.public_key_digest != _digest(key):
        raise KeyFileError(f"{path} is damaged: its two keys do not belong together.")
    return key


def create_ml_dsa_key(path: Path) -> MlDsaPrivateKey:
    """Make a new ML-DSA-44 key and keep it in a new file; missing folders are made.

    Raises:
        KeyFileError: The file exists, or cannot be written.
    """
    key = MlDsaPrivateKey.generate()
    document = _MlDsaKeyFile(
        format="sixfold-mldsa-key/v1",
        public_key_digest=_digest(key),
        seed=encode_base64(key.seed),
    )
    create_private_file(path, document.to_bytes() + b"\n")
    return key


def read_private_file(path: Path) -> bytes:
    """Read a file with secrets, at most `KEY_FILE_BYTES_MAX` bytes and one more.

    Raises:
        KeyFileError: The file is missing, or open to others than its owner.
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
    return data


def create_private_file(path: Path, data: bytes) -> None:
    """Keep secrets in a new file, for its owner alone; missing folders are made.

    Raises:
        KeyFileError: The file exists, or cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # Whole or not at all, and never in the place of another: a link does both.
            os.link(unfinished, path)
        finally:
            Path(unfinished).unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeyFileError(f"Cannot write {path}: {error.strerror}.") from error


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


def _digest(key: MlDsaPrivateKey) -> str:
    return sha256_text(key.public.data)
