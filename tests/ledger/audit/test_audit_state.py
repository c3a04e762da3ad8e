"""An interrupted audit goes on where it stopped, and only from what it wrote itself."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from long_market import STATEMENTS, LongMarket

from ledger.audit import audit_state
from ledger.audit.errors import AuditStoppedError
from ledger.audit.log_audit import AuditOptions, Watch, audit_log
from ledger.audit.log_copy import LogCopy
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.errors import AuditError
from ledger.log import LogKeys, sign_note


@pytest.fixture(scope="module")
def long_market(tmp_path_factory: pytest.TempPathFactory) -> LongMarket:
    return LongMarket(tmp_path_factory.mktemp("long"))


@pytest.fixture
def copy(long_market: LongMarket, tmp_path: Path) -> LogCopy:
    return long_market.copy_to(tmp_path / "copy")


@pytest.fixture
def disclosed(long_market: LongMarket, tmp_path: Path) -> LogCopy:
    return long_market.copy_to(tmp_path / "disclosed", disclosed=True)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def stopped_after(bundles: int) -> Callable[[], bool]:
    left = [bundles]

    def is_stopped() -> bool:
        left[0] -= 1
        return left[0] == 0

    return is_stopped


def interrupt(copy: LogCopy, state: Path, *, bundles: int, jobs: int = 1) -> None:
    with pytest.raises(AuditStoppedError):
        audit_log(
            copy,
            options=AuditOptions(state=state, jobs=jobs),
            watch=Watch(is_stopped=stopped_after(bundles)),
        )


def go_on(copy: LogCopy, state: Path) -> tuple[AuditReport, list[int], list[str]]:
    told: list[int] = []
    notices: list[str] = []
    report = audit_log(
        copy,
        options=AuditOptions(state=state),
        watch=Watch(progress=lambda done, _: told.append(done), notice=notices.append),
    )
    return report, told, notices


@pytest.mark.parametrize(("bundles", "jobs"), [(1, 1), (2, 1), (1, 2)])
def test_interrupted_audit_comes_to_the_same_report(
    disclosed: LogCopy, tmp_path: Path, bundles: int, jobs: int
) -> None:
    flip(disclosed.openings, 400)
    flip(disclosed.log / "tile/entries/000", 5000)
    flip(disclosed.log / "tile/entries/002.p/135", 5000)
    whole = audit_log(disclosed)
    assert {problem.rule for problem in whole.problems} >= {Rule.ENTRY}
    state = tmp_path / "state"
    interrupt(disclosed, state, bundles=bundles, jobs=jobs)
    report, told, notices = go_on(disclosed, state)
    assert told[0] == min((bundles + 1) * 256, STATEMENTS)
    assert notices == [f"The audit goes on after {bundles * 256} statements."]
    assert report.to_json() == whole.to_json()
    assert not state.exists()


def test_audit_is_interrupted_again_and_again(
    disclosed: LogCopy, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    interrupt(disclosed, state, bundles=1)
    interrupt(disclosed, state, bundles=1)
    report, told, _ = go_on(disclosed, state)
    assert told[0] == STATEMENTS
    assert report.is_ok
    assert report.charges_computed == 160


def test_earlier_checkpoint_that_was_met_is_kept_in_mind(
    copy: LogCopy, long_market: LongMarket, tmp_path: Path
) -> None:
    copy.earlier.write_bytes((copy.log / "checkpoint").read_bytes())
    state = tmp_path / "state"
    interrupt(copy, state, bundles=2)
    assert go_on(copy, state)[0].earlier is not None


def test_nothing_is_kept_of_what_is_not_a_whole_bundle(
    copy: LogCopy, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    interrupt(copy, state, bundles=3)
    assert not state.exists()
    interrupt(copy, state, bundles=1)
    before = state.read_bytes()
    with pytest.raises(AuditStoppedError):
        audit_log(copy, watch=Watch(is_stopped=lambda: True))
    assert state.read_bytes() == before


@pytest.mark.parametrize("place", [0, 30, 90, 130, 200, 5000])
def test_changed_state_is_refused(copy: LogCopy, tmp_path: Path, place: int) -> None:
    state = tmp_path / "state"
    interrupt(copy, state, bundles=2)
    flip(state, place)
    report, told, notices = go_on(copy, state)
    assert told[0] == 256
    assert "starts over" in notices[0]
    assert report.is_ok


@pytest.mark.parametrize("content", [b"", b"{}", b"\n\n", b"x" * 10_000, b"[" * 9000])
def test_garbage_is_refused(copy: LogCopy, tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "state"
    state.write_bytes(content)
    report, told, notices = go_on(copy, state)
    assert told[0] == 256
    assert "starts over" in notices[0]
    assert report.is_ok


def test_state_of_other_content_with_its_digest_is_refused(
    copy: LogCopy, tmp_path: Path
) -> None:
    """Whoever computes the digest can still not make the audit crash."""
    state = tmp_path / "state"
    interrupt(copy, state, bundles=1)
    head, content = state.read_bytes().split(b"\n", 1)
    for change in (
        content.replace(b'"is_extension":false', b'"is_extension":7'),
        content.replace(b'"statements":256', b'"statements":"256"'),
        content.replace(b'"edge":[[', b'"edge":[["x"'),
        content.replace(b'"jobs":{', b'"jobs":{"x":{},'),
        b"{}",
        b"",
    ):
        assert change != content
        header = {**json.loads(head), "content": audit_state._digest(change)}
        state.write_bytes(json.dumps(header).encode() + b"\n" + change)
        _, told, notices = go_on(copy, state)
        assert (told[0], "starts over" in notices[0]) == (256, True)


def test_state_belongs_to_one_audit(
    copy: LogCopy, long_market: LongMarket, tmp_path: Path, monkeypatch: object
) -> None:
    state = tmp_path / "state"
    signer = long_market.market.signer

    def starts_over() -> bool:
        _, told, _ = go_on(copy, state)
        return told[0] == 256

    interrupt(copy, state, bundles=1)
    copy.openings.write_bytes(b"\n")
    assert starts_over()
    interrupt(copy, state, bundles=1)
    copy.earlier.write_bytes((copy.log / "checkpoint").read_bytes())
    assert starts_over()
    interrupt(copy, state, bundles=1)
    note = (copy.log / "checkpoint").read_text().partition("\n\n")[0] + "\n"
    name, size, root = note.splitlines()
    text = f"{name}\n{int(size) - 1}\n{root}\n"
    (copy.log / "checkpoint").write_bytes(sign_note(text, [signer]))
    assert starts_over()


def test_state_belongs_to_one_version_of_the_rules(
    copy: LogCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    interrupt(copy, state, bundles=1)
    monkeypatch.setattr(audit_state, "_rules_digest", lambda: "A" * 43 + "=")
    _, told, notices = go_on(copy, state)
    assert told[0] == 256
    assert "another version of the rules" in notices[0]


def test_state_belongs_to_the_keys(
    copy: LogCopy, long_market: LongMarket, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    interrupt(copy, state, bundles=1)
    keys = LogKeys((long_market.market.signer.verifier,))
    report = audit_log(copy, keys=keys, options=AuditOptions(state=state))
    assert report.is_ok


def test_state_that_cannot_be_kept_is_told(copy: LogCopy, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="cannot be read"):
        go_on(copy, tmp_path)
    options = AuditOptions(state=tmp_path / "no" / "where")
    with pytest.raises(AuditError, match="cannot be written"):
        audit_log(copy, options=options, watch=Watch(is_stopped=lambda: True))


def test_state_is_saved_when_it_is_time(
    copy: LogCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    monkeypatch.setattr(audit_state, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(audit_state, "SAVING_SHARE_MAX", 10**9)
    save = audit_state.StateFile.save

    def count(self: audit_state.StateFile, state: audit_state.AuditState) -> None:
        saved.append(state.report.statements)
        save(self, state)

    monkeypatch.setattr(audit_state.StateFile, "save", count)
    assert audit_log(copy, options=AuditOptions(state=tmp_path / "state")).is_ok
    assert saved == [256, 512]


PROGRAM = """
import sys
from pathlib import Path
from ledger.audit import audit_state
from ledger.audit.log_audit import AuditOptions, Watch, audit_log
from ledger.audit.log_copy import LogCopy

audit_state.SAVE_EVERY_S = 0.0
audit_state.SAVING_SHARE_MAX = 10**9
if __name__ == "__main__":
    watch = Watch(progress=lambda done, _: print(done, flush=True))
    options = AuditOptions(state=Path(sys.argv[2]), jobs=2)
    audit_log(LogCopy.at(Path(sys.argv[1])), options=options, watch=watch)
"""


@pytest.mark.slow
def test_killed_audit_goes_on(copy: LogCopy, tmp_path: Path) -> None:
    """After SIGKILL what was saved counts, and no process is left behind."""
    state, program = tmp_path / "state", tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, program, copy.folder, state],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["256\n", "512\n"]
        process.send_signal(signal.SIGKILL)
        process.wait()
        # The workers hold the pipe open until they see that their parent is gone.
        assert process.stdout.read() in {"", f"{STATEMENTS}\n", f"{STATEMENTS}\n" * 2}
    if state.exists():
        report, told, _ = go_on(copy, state)
        assert told[0] > 256
        assert report.is_ok
