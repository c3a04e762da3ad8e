"""Reads files that somebody else has put there: bounded, and without ever waiting."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular_file(path: Path) -> BinaryIO:
    """Open a file for reading, if it is one.

    A pipe or a device could make the reader wait for ever.

    Raises:
        OSError: It is not there, is no regular file, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_regular_file(path: Path, *, bytes_max: int) -> bytes:
    """Read a file, or as much of it as is allowed.

    Raises:
        OSError: As `open_regular_file`.
    """
    with open_regular_file(path) as file:
        return file.read(bytes_max)
