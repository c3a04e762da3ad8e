"""`sixfold audit follow` as a person and as cron use it: lines, JSON, exit codes."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from grown_log import GrownLog
from served_log import ServedLog, serve_log
from typer.testing import CliRunner

from ledger.audit.cli import app
from ledger.audit.cli import follow as command
from ledger.audit.follow_state import FollowState
from ledger.log.cosignature import CosignatureSigner, TimedSigner
from ledger.signing import PrivateKey

NOW_S = 1_800_000_000
WITNESS = CosignatureSigner("w.example", PrivateKey(b"w" * 32))


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch) -> None:
    monkeypatch.setattr(command, "system_now_ms", lambda: NOW_S * 1_000)


@pytest.fixture
def log() -> GrownLog:
    return GrownLog().grow(300)


@pytest.fixture
def served(log) -> Iterator[ServedLog]:
    with serve_log() as served:
        served.show(log)
        yield served


class Shell:
    """Runs the command on one folder."""

    def __init__(self, folder: Path, served: ServedLog) -> None:
        self.folder = folder
        self._served = served

    def once(self, *more: object) -> Result:
        arguments = ["follow", self._served.url, "--dir", self.folder, "--once", *more]
        return CliRunner().invoke(app, [str(item) for item in arguments])

    def once_as_json(self, *more: object) -> tuple[int, dict[str, object]]:
        result = self.once("--json", *more)
        (line,) = result.stdout.splitlines()
        return result.exit_code, json.loads(line)


@pytest.fixture
def shell(tmp_path, served) -> Shell:
    return Shell(tmp_path / "state", served)


def test_each_look_is_one_line(shell, served, log) -> None:
    first = shell.once()
    assert first.exit_code == 0
    assert first.stdout == "2027-01-15T08:00:00Z log.example/main: 300 entries\n"
    assert log.signer.verifier.vkey in first.stderr
    assert shell.once().stdout.endswith(": 300 entries, +0\n")
    served.show(log.grow(34))
    second = shell.once()
    assert second.stdout.endswith(": 334 entries, +34\n")
    assert second.stderr == ""
    served.show(log, 200)
    assert shell.once().stdout.endswith(": 200 entries, older than the 334 known\n")


def test_look_as_json_is_one_line(shell, log) -> None:
    code, said = shell.once_as_json()
    assert code == 0
    assert said == {
        "event": "checkpoint",
        "time": "2027-01-15T08:00:00Z",
        "origin": "log.example/main",
        "size": 300,
        "root": log.checkpoint().text.splitlines()[2],
        "step": "first",
        "previousSize": None,
        "witnesses": {},
        "ahead": [],
        "isWitnessed": None,
    }


def test_fork_is_loud(shell, served, log) -> None:
    shell.once()
    served.show(log.fork(299).grow(1, "other"))
    result = shell.once()
    assert result.exit_code == 3
    assert result.stdout.startswith("ALARM: The log has signed two roots for 300")
    assert "[LEDGER.FORK]" in result.stderr
    (evidence,) = (shell.folder / "evidence").iterdir()
    assert str(evidence) in result.stderr
    # Also when the log behaves again.
    served.show(log)
    after = shell.once()
    assert after.exit_code == 0
    assert "was caught before" in after.stderr


def test_fork_as_json_is_one_line(shell, served, log) -> None:
    shell.once()
    served.files.clear()
    served.show(log.fork(299).grow(50, "other"))
    code, said = shell.once_as_json()
    assert code == 3
    assert (said["event"], said["code"]) == ("alarm", "LEDGER.FORK")
    assert Path(str(said["evidence"])).is_dir()
    assert said["nextStep"]


def test_log_that_proves_nothing_is_an_alarm_too(shell, served, log) -> None:
    shell.once()
    served.files["checkpoint"] = log.fork(299).grow(50, "other").note()
    code, said = shell.once_as_json()
    assert (code, said["code"]) == (1, "LEDGER.TILE")
    code, said = shell.once_as_json()
    assert (code, said["event"], said["code"]) == (3, "alarm", "LEDGER.UNPROVEN")


def test_evidence_without_room_is_said(shell, served, log, monkeypatch) -> None:
    shell.once()
    served.show(log.fork(299).grow(1, "other"))
    (shell.folder / "evidence").write_bytes(b"in the way")
    result = shell.once()
    assert result.exit_code == 3
    assert "COULD NOT BE WRITTEN" in result.stderr


@pytest.mark.parametrize(
    ("status", "code"), [(500, "LEDGER.AUDIT"), (404, "LEDGER.AUDIT")]
)
def test_failing_server_ends_one_look_with_1(shell, served, status, code) -> None:
    served.status = status
    assert shell.once_as_json()[1]["code"] == code
    assert shell.once().exit_code == 1


def test_note_of_somebody_else_ends_one_look_with_3(shell, served, log) -> None:
    shell.once()
    served.show(GrownLog(log.entries, seed=b"x" * 32))
    code, said = shell.once_as_json()
    assert (code, said["event"], said["code"]) == (3, "failure", "LEDGER.NOTE")


def cosign(log: GrownLog, *, ahead_s: int = 0) -> None:
    log.signers = [log.signer, TimedSigner(WITNESS, lambda: NOW_S + ahead_s)]


@pytest.fixture
def policy(tmp_path, log) -> Path:
    path = tmp_path / "policy"
    path.write_text(
        f"log {log.signer.verifier.vkey}\nwitness w {WITNESS.verifier.vkey}\nquorum w\n"
    )
    return path


def test_quorum_is_asked_for(shell, served, log, policy) -> None:
    below = shell.once("--policy", policy)
    assert below.exit_code == 3
    assert below.stdout.endswith("300 entries, 0 witnesses, BELOW QUORUM\n")
    assert "[LEDGER.QUORUM]" in below.stderr
    # The policy names the log's key, so it is no matter of faith.
    assert "first use" not in below.stderr
    cosign(log)
    served.show(log)
    met = shell.once("--policy", policy)
    assert met.exit_code == 0
    assert met.stdout.endswith("300 entries, +0, 1 witnesses\n")
    served.files["checkpoint.witnessed"] = log.note()
    log.signers = [log.signer]
    served.show(log.grow(5))
    later = shell.once("--policy", policy)
    assert later.exit_code == 0
    assert later.stdout.endswith("+5, 0 witnesses, quorum met shortly before\n")
    _, said = shell.once_as_json("--policy", policy)
    assert said["isWitnessed"] is True


def test_cosignature_from_the_future_is_told(shell, served, log, policy) -> None:
    cosign(log, ahead_s=10_000)
    served.show(log)
    result = shell.once("--policy", policy)
    assert result.exit_code == 3
    assert "w is from the future" in result.stderr


def test_misuse_ends_with_2(shell, tmp_path) -> None:
    (tmp_path / "bad").write_bytes(b"nothing\n")
    for more in (["--key", tmp_path / "bad"], ["--policy", tmp_path / "bad"]):
        assert shell.once(*more).exit_code == 2
    wrong = CliRunner().invoke(app, ["follow", "not-a-url", "--once"])
    assert wrong.exit_code == 2
    shell.folder.touch()
    assert shell.once().exit_code == 2


def test_second_follower_on_one_folder_is_refused(shell) -> None:
    state = FollowState(shell.folder)
    code, said = shell.once("--json").exit_code, shell.once("--json").stdout
    state.close()
    assert code == 1
    assert json.loads(said)["code"] == "LEDGER.LOCKED"


@pytest.mark.slow
def test_follower_goes_on_until_it_is_stopped_or_alarmed(shell, served, log) -> None:
    """A process: through growth, an outage, a restart, and at last a fork."""

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sdk.cli", "audit", "follow", served.url]
        command += ["--dir", str(shell.folder), "--interval", "0.1", "--json"]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def next_said(process: subprocess.Popen[str]) -> tuple[object, object]:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        return said["event"], said.get("size", said.get("code"))

    with start() as process:
        assert next_said(process) == ("checkpoint", 300)
        served.show(log.grow(10))
        assert next_said(process) == ("checkpoint", 310)
        served.files.pop("checkpoint")
        assert next_said(process) == ("failure", "LEDGER.AUDIT")
        served.show(log.grow(1))
        assert next_said(process) == ("checkpoint", 311)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    with start() as process:
        assert next_said(process) == ("checkpoint", 311)
        served.files.clear()
        served.show(log.fork(300).grow(20, "other"))
        assert next_said(process) == ("alarm", "LEDGER.FORK")
        assert process.wait(timeout=10) == 3
