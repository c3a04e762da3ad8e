"""A lock on a file: what only one process may have, from its start to its end.

The operating system holds it, so it is gone with its holder, however that ends, and
nothing needs to be cleaned up after a crash. It keeps honest mistakes apart (the same
server started twice); what must hold against anything is checked where it is written.
"""

import fcntl
import os
import socket
from pathlib import Path

from ledger.errors import LockedError

_HOLDER_BYTES_MAX = 1000


class ProcessLock:
    """One lock, known by the path of its file. The file stays; it means nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock until `release`, or until this process ends.

        Raises:
            LockedError: Somebody holds it; the message says who, as far as is known.
            OSError: The file cannot be made.
        """
        assert self._descriptor is None, "one lock is taken once"
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, _HOLDER_BYTES_MAX).decode(errors="replace")
            os.close(descriptor)
            raise LockedError(
                f"{self.path} is held by {holder.strip() or 'another process'}."
            ) from None
        os.ftruncate(descriptor, 0)
        holder = f"process {os.getpid()} on {socket.gethostname()}\n"
        os.pwrite(descriptor, holder.encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it; does nothing if it was not taken."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
