"""A log whose process dies, whose disk fails, or both: what it promised holds, once.

Each test is a campaign of `crashing_log`, which kills real processes at chosen steps
of a commit and of a publication, restarts them on what is left, and checks that
nothing promised is missing, nothing is there twice, the tree matches every checkpoint
that was ever shown, and the log goes on by itself.
"""

import json
import subprocess
import sys
from pathlib import Path

import failing_disk
import pytest

PROGRAM = Path(failing_disk.__file__).with_name("crashing_log.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not failing_disk.is_available(),
        reason="SQLite's file layer can be reached on Linux, with a shared library",
    ),
]


def run_campaign(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )


def lives_of(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stderr[-4000:]
    return int(json.loads(done.stdout)["lives"])


def test_kill_at_every_step(tmp_path) -> None:
    assert lives_of(run_campaign(tmp_path, "--first", "kill")) > 100


@pytest.mark.parametrize(
    ("first", "second", "every"),
    [
        ("kill", "kill", "16"),
        ("tear", "tear", "8"),
        ("power", "power", "5"),
        ("error", "kill", "9"),
        ("error", "error", "7"),
        ("full", "power", "9"),
        ("full", "error", "9"),
    ],
)
def test_faults_in_pairs(tmp_path, first, second, every) -> None:
    done = run_campaign(
        tmp_path, "--first", first, "--second", second, "--every", every
    )
    assert lives_of(done) > 10


def test_kills_of_a_busy_log_at_random(tmp_path) -> None:
    assert lives_of(run_campaign(tmp_path, "--busy", "60")) == 60


def test_log_that_does_not_sync_is_caught(tmp_path) -> None:
    """Else the loss of power would prove nothing."""
    done = run_campaign(tmp_path, "--first", "power", "--every", "3", "--careless")
    assert done.returncode == 1
    assert "what is left is wrong" in done.stderr
