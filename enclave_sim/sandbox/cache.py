"""The folder where artefacts and compiled code are kept between runs.

wasmtime runs compiled code as it finds it, so everything here that is trusted bears
a MAC (HMAC-SHA-256) over its name and its bytes; the key is in the same folder,
readable by its owner only. What does not verify is as if it were not there, and is
made again. A reader gets the bytes that were verified, not a path to them.
"""

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from enclave_sim.errors import CodeCacheError

KEY_BYTES = 32
MAC_BYTES = 32

SEALED_BYTES_MAX = 2**28
"""The compiled runner has 42 MB."""

_KEY_NAME = "cache.key"
_LABEL = b"sixfold/cache/v1"


def default_cache(environment: Mapping[str, str]) -> Path:
    """The folder that is used unless the caller names another.

    `SIXFOLD_CACHE_DIR` if set, else `sixfold` in `XDG_CACHE_HOME`, else
    `~/.cache/sixfold`.

    Args:
        environment: The process's environment variables.

    Source: XDG Base Directory Specification 0.8.
    """
    if chosen := environment.get("SIXFOLD_CACHE_DIR"):
        return Path(chosen)
    caches = Path(environment.get("XDG_CACHE_HOME", ""))
    if not caches.is_absolute():
        caches = Path(environment.get("HOME", tempfile.gettempdir())) / ".cache"
    return caches / "sixfold"


def write_sealed(cache: Path, name: str, data: bytes) -> None:
    """Keep bytes under a name, so that only :func:`read_sealed` of here finds them.

    Raises:
        CodeCacheError: The folder cannot be written.
    """
    with _errors_named():
        mac = _compute_mac(_read_key(cache), name, data)
        write_whole(_path(cache, name), mac + data)


def read_sealed(cache: Path, name: str) -> bytes | None:
    """The bytes kept under a name, or None if absent or altered in any way.

    Raises:
        CodeCacheError: The folder cannot be read or written.
    """
    with _errors_named():
        try:
            sealed = read_bounded(_path(cache, name), SEALED_BYTES_MAX)
        except FileNotFoundError:
            return None
        data = sealed[MAC_BYTES:]
        mac = _compute_mac(_read_key(cache), name, data)
    return data if hmac.compare_digest(mac, sealed[:MAC_BYTES]) else None


def remove_sealed(cache: Path, name: str) -> None:
    """Forget what is kept under a name, if anything.

    Raises:
        CodeCacheError: The folder cannot be written.
    """
    with _errors_named():
        _path(cache, name).unlink(missing_ok=True)


@contextlib.contextmanager
def locked(cache: Path, name: str) -> Iterator[None]:
    """Keep all other processes and threads out of the same lock of this folder.

    The lock ends with the process at the latest.

    Raises:
        CodeCacheError: The folder cannot be written.
    """
    with _errors_named():
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (cache / f"{name}.lock").open("wb")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that readers see all of it or none of it; mode 0600."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def read_bounded(path: Path, size_max: int) -> bytes:
    """Read a file of at most `size_max` bytes; of a larger one, one byte more."""
    with path.open("rb") as file:
        return file.read(size_max + 1)


def _path(cache: Path, name: str) -> Path:
    return cache / "sealed" / hashlib.sha256(name.encode()).hexdigest()


def _compute_mac(key: bytes, name: str, data: bytes) -> bytes:
    context = _LABEL + len(name.encode()).to_bytes(8, "big") + name.encode()
    # A key for this name, so that the large data is hashed in place, uncopied.
    name_key = hmac.digest(key, context, "sha256")
    return hmac.digest(name_key, data, "sha256")


def _read_key(cache: Path) -> bytes:
    with locked(cache, "key"):
        path = cache / _KEY_NAME
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            is_private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077
            key = read_bounded(path, KEY_BYTES)
            if is_private and status.st_uid == os.geteuid() and len(key) == KEY_BYTES:
                return key
        # Others could have read it, and have forged what it seals.
        key = secrets.token_bytes(KEY_BYTES)
        write_whole(path, key)
        return key


@contextlib.contextmanager
def _errors_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"The cache folder cannot be used: {error.strerror}."
        raise CodeCacheError(message) from error
