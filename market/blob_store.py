"""Large payloads as files named by their SHA-256, in a folder of their own."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ledger.encoding import decode_base64, sha256_text
from market.errors import InvalidError, NotFoundError

INLINE_BYTES_MAX = 64 * 2**10
"""Payloads up to this size travel and rest with their job; larger ones are blobs."""

_UNFINISHED = "unfinished-"


class BlobStore:
    """Content-addressed files. Writing is atomic; reading checks the digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(BlockingIOError), _locked(folder, alone=True):
            # Nobody writes now, so these are of somebody who was stopped.
            for unfinished in folder.glob(f"{_UNFINISHED}*"):
                unfinished.unlink()

    def put(self, data: bytes) -> str:
        """Keep bytes; returns their SHA-256 in base64."""
        digest = sha256_text(data)
        path = self._path(digest)
        if not path.exists():
            with _locked(self._folder, alone=False) as folder:
                with tempfile.NamedTemporaryFile(
                    dir=self._folder, prefix=_UNFINISHED, delete=False
                ) as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(file.name).rename(path)
                # Else a power failure could take the new name along.
                os.fsync(folder)
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
        if sha256_text(data) != digest:
            raise NotFoundError("The blob is damaged.")
        return data

    def _path(self, digest: str) -> Path:
        raw = decode_base64(digest, size=32)
        return self._folder / raw.hex()


@contextmanager
def _locked(folder: Path, *, alone: bool) -> Iterator[int]:
    """Hold a folder with others who write, or alone unless somebody writes now."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        how = fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH
        fcntl.flock(descriptor, how)
        yield descriptor
    finally:
        os.close(descriptor)


def check_digest(data: bytes, digest: str) -> None:
    """Refuse bytes that are not those that were announced.

    Raises:
        InvalidError: The digest differs.
    """
    if sha256_text(data) != digest:
        raise InvalidError("The bytes do not have the announced SHA-256.")
