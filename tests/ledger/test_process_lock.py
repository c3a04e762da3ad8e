"""A lock that one process has, and that its end gives back."""

import os
import signal
import subprocess
import sys

import pytest

from ledger.errors import LockedError
from ledger.process_lock import ProcessLock

HOLDER = """
import sys
from pathlib import Path
from ledger.process_lock import ProcessLock
lock = ProcessLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_second_is_refused_until_the_first_lets_go(tmp_path) -> None:
    first, second = (ProcessLock(tmp_path / "lock") for _ in range(2))
    first.acquire()
    with pytest.raises(LockedError, match=f"process {os.getpid()} on "):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    second.release()


def test_killed_holder_holds_nothing(tmp_path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = ProcessLock(path)
        with pytest.raises(LockedError, match=rf"process {holder.pid} on "):
            lock.acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=10)
    lock.acquire()
    assert path.read_text().startswith(f"process {os.getpid()} on ")
    lock.release()


def test_holder_of_unknown_name_is_told_of(tmp_path) -> None:
    path = tmp_path / "lock"
    first = ProcessLock(path)
    first.acquire()
    path.write_bytes(b"\xff")
    with pytest.raises(LockedError):
        ProcessLock(path).acquire()
    path.write_bytes(b"")
    with pytest.raises(LockedError, match="held by another process"):
        ProcessLock(path).acquire()
    first.release()
