"""`sixfold audit log`: answers, pages and exit codes."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from audit_command import flip, run
from audited_market import WrittenMarket

from ledger.audit.errors import AuditStoppedError
from ledger.audit.log_audit import Watch
from ledger.log.note import Verifier
from ledger.log.signature_types import SignatureType


def test_log_that_is_true_is_ok(audited: WrittenMarket) -> None:
    result = run("log", audited.folder)
    assert result.exit_code == 0
    *_, last = result.stdout.splitlines()
    assert last == "audit: ok (17 statements, 2 receipts, 0 problems)"
    assert "charges computed again" in result.stdout
    assert run("log", audited.copy.log).exit_code == 0


def test_log_answers_as_json(audited: WrittenMarket) -> None:
    result = run("log", audited.folder, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["chargesComputed"] == 2


def test_log_that_is_damaged_is_named(audited: WrittenMarket) -> None:
    flip(audited.copy.log / "tile/0/000.p/17", 40)
    result = run("log", audited.folder)
    assert result.exit_code == 3
    assert "tile/0/000.p/17: LOG.TILE: Hash 1 is not that" in result.stdout
    *_, last = result.stdout.splitlines()
    assert last.startswith("audit: FAILED (17 statements, ")
    result = run("log", audited.folder, "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["problems"][0]["place"] == "tile/0/000.p/17"


def test_log_shows_the_first_of_many_problems(audited: WrittenMarket) -> None:
    audited.copy.openings.write_bytes(b"x\n" * 50)
    result = run("log", audited.folder)
    assert result.exit_code == 3
    assert "... and 30 more" in result.stdout


def test_log_tells_what_it_extends(audited: WrittenMarket) -> None:
    audited.copy.earlier.write_bytes((audited.copy.log / "checkpoint").read_bytes())
    assert "extends an earlier checkpoint of 17" in run("log", audited.folder).stdout


def test_log_takes_key_and_openings(audited: WrittenMarket, tmp_path: Path) -> None:
    key, openings = tmp_path / "pinned.vkey", tmp_path / "shown.jsonl"
    audited.copy.key.rename(key)
    audited.copy.openings.rename(openings)
    result = run(
        "log", audited.folder, "--key", key, "--disclosure", openings, "--json"
    )
    assert result.exit_code == 0
    assert json.loads(result.stdout)["chargesComputed"] == 2


def test_folder_without_log_is_told(tmp_path: Path) -> None:
    result = run("log", tmp_path)
    assert result.exit_code == 1
    assert "sixfold audit fetch" in result.stderr
    result = run("log", tmp_path, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["code"] == "LEDGER.AUDIT"


def test_log_without_head_is_told_as_problem(audited: WrittenMarket) -> None:
    (audited.copy.log / "checkpoint").write_bytes(b"garbage")
    result = run("log", audited.folder)
    assert result.exit_code == 3
    assert "checkpoint: LOG.CHECKPOINT" in result.stdout


def test_key_of_garbage_is_misuse(audited: WrittenMarket, tmp_path: Path) -> None:
    key = tmp_path / "bad.vkey"
    key.write_text("garbage")
    result = run("log", audited.folder, "--key", key)
    assert result.exit_code == 2
    assert "must hold one line" in result.stderr


def test_hostile_text_is_shown_harmless(audited: WrittenMarket) -> None:
    """Neither rich's markup nor a terminal's escapes get through."""
    name = "[red]\x1b[31m\x9b31m[nonsense].tlog-proof"
    (audited.copy.receipts / name).write_bytes(b"x")
    result = run("log", audited.folder)
    assert result.exit_code == 3
    assert "[red]\\x1b[31m\\x9b31m[nonsense].tlog-proof" in result.stdout
    assert run("log", audited.folder, "--json").exit_code == 3


def test_wrong_arguments_are_misuse(tmp_path: Path) -> None:
    assert run("log", tmp_path / "none").exit_code == 2
    assert run("log", "http://no url").exit_code == 2
    assert run("log", tmp_path, "--dir", tmp_path).exit_code == 2
    assert run("log", tmp_path, "--key", tmp_path / "none").exit_code == 2
    assert run("log", tmp_path, "--jobs", 0).exit_code == 2
    assert run("log", tmp_path, "--policy", tmp_path / "none").exit_code == 2
    assert run("receipt", tmp_path / "none").exit_code == 2
    assert run("fetch", "no url", tmp_path).exit_code == 2
    assert run().exit_code == 2


def test_policy_of_garbage_is_misuse(audited: WrittenMarket, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.write_text("garbage")
    result = run("log", audited.folder, "--policy", policy)
    assert result.exit_code == 2
    assert "LEDGER.POLICY" in result.stderr


def test_quorum_that_is_not_met_is_a_problem(
    audited: WrittenMarket, tmp_path: Path
) -> None:
    witness = Verifier(
        "witness.example/w", SignatureType.COSIGNATURE_ED25519, bytes(range(32))
    )
    policy = tmp_path / "policy"
    policy.write_text(f"witness w {witness.vkey}\nquorum w\n")
    result = run("log", audited.folder, "--policy", policy)
    assert result.exit_code == 3
    assert "checkpoint: LOG.WITNESS: 0 of 1 witnesses" in result.stdout
    assert "LOG.WITNESS means: The log itself may be true" in result.stdout


def test_processes_find_what_one_finds(audited: WrittenMarket) -> None:
    flip(audited.copy.openings, 300)
    alone = json.loads(run("log", audited.folder, "--json").stdout)
    shared = json.loads(run("log", audited.folder, "--json", "--jobs", 2).stdout)
    assert shared == alone
    assert alone["problemCount"] > 0


def test_structure_alone_reads_no_statement(audited: WrittenMarket) -> None:
    result = run("log", audited.folder, "--structure", "--json")
    value = json.loads(result.stdout)
    assert (value["structureOnly"], value["statements"]) == (True, 17)
    assert value["kinds"] == {}
    flip(audited.copy.log / "tile/0/000.p/17", 40)
    assert run("log", audited.folder, "--structure").exit_code == 3


def test_page_is_written(audited: WrittenMarket, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert run("log", audited.folder, "--html", page).exit_code == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    result = run("log", audited.folder, "--html", tmp_path / "no" / "where.html")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_log_is_audited_where_it_is_served(url: str, audited: WrittenMarket) -> None:
    key = audited.copy.log / "log.vkey"
    result = run("log", url)
    assert result.exit_code == 0
    assert "came from the market itself" in result.stderr
    assert "audit: ok (17 statements, 0 receipts, 0 problems)" in result.stdout
    result = run("log", url, "--key", key, "--disclosure", audited.copy.openings)
    assert result.exit_code == 0
    assert "came from" not in result.stderr
    assert "invoice of" in result.stdout


def test_log_is_copied_and_audited(url: str, tmp_path: Path) -> None:
    result = run("log", url, "--dir", tmp_path / "copy")
    assert result.exit_code == 0
    assert (tmp_path / "copy" / "log" / "checkpoint").exists()


def test_false_log_behind_url_is_named(url: str, audited: WrittenMarket) -> None:
    flip(audited.copy.log / "tile/0/000.p/17", 40)
    result = run("log", url)
    assert result.exit_code == 3
    assert "tile/0/000.p/17: LOG.TILE" in result.stdout
    (audited.copy.log / "checkpoint").unlink()
    assert run("log", url).exit_code == 3


def test_key_of_garbage_behind_url_is_refused(url: str, audited: WrittenMarket) -> None:
    (audited.copy.log / "log.vkey").write_text("garbage")
    result = run("log", url)
    assert result.exit_code == 3
    assert "Do not trust" in result.stderr


def test_ctrl_c_ends_the_audit_in_order(
    audited: WrittenMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, watch: Watch, **__: Any) -> None:
        assert not watch.is_stopped()
        signal.raise_signal(signal.SIGINT)
        assert watch.is_stopped()
        raise AuditStoppedError("The audit was stopped.")

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("ledger.audit.cli.log.audit_log", interrupted)
    result = run("log", audited.folder)
    assert result.exit_code == 1
    assert "LEDGER.AUDIT_STOPPED" in result.stderr
    assert "with --state FILE" in result.stderr
    result = run("log", audited.folder, "--state", tmp_path / "state")
    assert "same command again" in result.stderr
    assert signal.getsignal(signal.SIGINT) == before


def test_second_ctrl_c_ends_it_at_once(
    audited: WrittenMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("ledger.audit.cli.log.audit_log", deaf)
    assert run("log", audited.folder).exit_code == 130


def test_state_is_told_and_removed(audited: WrittenMarket, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("garbage")
    result = run("log", audited.folder, "--resume", state)
    assert result.exit_code == 0
    assert "starts over" in result.stderr
    assert not state.exists()
