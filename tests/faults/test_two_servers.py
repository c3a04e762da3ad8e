"""Two servers on one log by mistake: the second is turned away, and nothing forks."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import crashing_log
import pytest

from ledger.process_lock import ProcessLock

PROGRAM = Path(crashing_log.__file__)

pytestmark = pytest.mark.slow


def serve(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sdk.cli", "market", "serve", "--json"]
    return subprocess.Popen(
        [*command, "--folder", str(folder), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def first(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with serve(tmp_path) as first:
        assert first.stdout is not None
        assert json.loads(first.stdout.readline())["event"] == "ready"
        yield first
        first.kill()


def test_second_server_is_turned_away_with_a_reason(first, tmp_path) -> None:
    second = serve(tmp_path)
    said, errors = second.communicate(timeout=60)
    assert second.returncode == 1
    answer = json.loads(said)
    assert answer["code"] == "LEDGER.LOCKED"
    assert f"process {first.pid} on " in answer["message"]
    assert "Stop that process first" in answer["nextStep"]
    assert "Traceback" not in errors
    assert first.poll() is None


def test_server_takes_over_from_one_that_was_killed(first, tmp_path) -> None:
    first.send_signal(signal.SIGKILL)
    first.wait(timeout=10)
    with serve(tmp_path) as second:
        assert second.stdout is not None
        assert json.loads(second.stdout.readline())["event"] == "ready"
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=60)


def test_stopped_server_lets_go(first, tmp_path) -> None:
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    lock = ProcessLock(tmp_path / "market.sqlite.lock")
    lock.acquire()
    lock.release()


@pytest.mark.parametrize("kind", ["locked", "unlocked"])
def test_writers_whom_no_lock_keeps_apart_write_one_history(tmp_path, kind) -> None:
    """Four processes append to one database and publish one folder, all at once.

    Unlocked, they do not even wait for each other's transactions; then only the
    comparison of the head stands between them.
    """
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), "--rivals", kind],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    has_collided = "Another writer" in done.stderr
    assert has_collided == (kind == "unlocked")
