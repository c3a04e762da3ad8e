"""Large payloads as files named by their SHA-256, in a folder of their own."""

import hashlib
import os
import tempfile
from pathlib import Path

from ledger.encoding import decode_base64, encode_base64
from market.errors import InvalidError, NotFoundError

INLINE_BYTES_MAX = 64 * 2**10
"""Payloads up to this size travel and rest with their job; larger ones are blobs."""

_UNFINISHED = "unfinished-"


class BlobStore:
    """Content-addressed files. Writing is atomic; reading checks the digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(f"{_UNFINISHED}*"):
            unfinished.unlink()

    def put(self, data: bytes) -> str:
        """Keep bytes; returns their SHA-256 in base64."""
        digest = payload_digest(data)
        path = self._path(digest)
        if not path.exists():
            with tempfile.NamedTemporaryFile(
                dir=self._folder, prefix=_UNFINISHED, delete=False
            ) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).rename(path)
            _sync_folder(self._folder)
        return digest

    def get(self, digest: str) -> bytes:
        """Read bytes back.

        Raises:
            NotFoundError: There is no such blob, or it is damaged.
        """
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFoundError("There is no such blob.") from None
        if payload_digest(data) != digest:
            raise NotFoundError("The blob is damaged.")
        return data

    def _path(self, digest: str) -> Path:
        raw = decode_base64(digest, size=32)
        return self._folder / raw.hex()


def _sync_folder(folder: Path) -> None:
    # Else a power failure could take the new name along, though not the bytes.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def payload_digest(data: bytes) -> str:
    """SHA-256 of a payload in padded base64."""
    return encode_base64(hashlib.sha256(data).digest())


def check_digest(data: bytes, digest: str) -> None:
    """Refuse bytes that are not those that were announced.

    Raises:
        InvalidError: The digest differs.
    """
    if payload_digest(data) != digest:
        raise InvalidError("The bytes do not have the announced SHA-256.")
