"""A market whose disk is full refuses, keeps its promises, and goes on by itself."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from insistent_play import Play, check_play
from market_process import MarketProcess
from parties import Consumer, Provider, wait_until

DISK = "16m"
"""A small one: room for the market, and soon filled."""
FILE_BYTES_MAX = 32_768
"""Less than any file of the market that still grows."""
MOUNT, UNMOUNT = "/bin/mount", "/bin/umount"
REFUSALS = 2
ROUNDS = 2
LEASE_MS = 60_000
"""Longer than the test: no lease is lost here, only answers are."""

pytestmark = pytest.mark.slow


class SmallDisk:
    """A file system of its own, which a file without content can fill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = [MOUNT, "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
        if not Path(MOUNT).exists():
            pytest.skip(f"there is no {MOUNT}")
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        if done.returncode != 0:
            pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")

    def close(self) -> None:
        subprocess.run([UNMOUNT, "--lazy", str(self.folder)], check=True)

    @contextmanager
    def full(self, _process: MarketProcess) -> Iterator[None]:
        """Leave no room while the block runs."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert os.statvfs(self.folder).f_bfree == 0
        try:
            yield
        finally:
            filler.unlink()


class LimitedFiles:
    """A folder whose files cannot grow: much the same, and always at hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def close(self) -> None:
        """There is nothing to take away."""

    @contextmanager
    def full(self, process: MarketProcess) -> Iterator[None]:
        """Let no file be written beyond a size while the block runs."""
        limit = (FILE_BYTES_MAX, resource.RLIM_INFINITY)
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
        yield
        # It may have been killed, and another has no such limit.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture(params=[SmallDisk, LimitedFiles])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[object]:
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = request.param(folder)
    yield disk
    disk.close()


@pytest.fixture
def process(disk: SmallDisk) -> Iterator[MarketProcess]:
    process = MarketProcess(disk.folder / "market", lease_ms=LEASE_MS)
    process.start()
    yield process
    process.kill()


def size_of(checkpoint: bytes) -> int:
    return int(checkpoint.split(b"\n")[1])


def endure(
    process: MarketProcess, play: Play, full: AbstractContextManager[None]
) -> int:
    """Be refused for a while; returns how much was published then."""
    before = play.refusals
    with full:
        wait_until(lambda: play.refusals >= before + REFUSALS, timeout_s=60)
        # What was published can be read all the time.
        return size_of(process.checkpoint())


def test_full_disk_refuses_and_is_survived(disk, process) -> None:
    play = Play(Consumer(process.url), Provider(process.url))
    play.begin()
    play.top_up()
    wait_until(process.checkpoint)
    seen: list[bytes] = []
    with play.going_on():
        for turn in range(ROUNDS):
            published = endure(process, play, disk.full(process))
            done = len(play.accepted)
            if turn == ROUNDS - 1:
                process.kill()
                process.start()
            wait_until(lambda done=done: len(play.accepted) > done + 3, timeout_s=60)
            # The publisher was not told that there is room again.
            wait_until(
                lambda published=published: size_of(process.checkpoint()) > published,
                timeout_s=60,
            )
            seen.append(process.checkpoint())
    check_play(process, play, seen)
    play.close()
