"""`sixfold audit fetch`: answers and exit codes."""

import json
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from audit_command import flip, run
from audited_market import WrittenMarket


def test_fetch_copies_a_log_that_audits(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    result = run("fetch", url, folder)
    assert result.exit_code == 0
    assert "17 statements" in result.stdout
    assert "trusted on first use" in result.stderr
    assert run("log", folder).exit_code == 0
    result = run("fetch", url, folder, "--json")
    assert result.exit_code == 0
    value = json.loads(result.stdout)
    assert (value["size"], value["earlierSize"], value["filesKept"]) == (17, 17, 2)
    assert value["trustedOnFirstUse"] is False
    assert "extends the earlier copy of 17" in run("fetch", url, folder).stdout


def test_fetch_takes_a_key(url: str, audited: WrittenMarket, tmp_path: Path) -> None:
    key = audited.copy.log / "log.vkey"
    result = run("fetch", url, tmp_path / "copy", "--key", key)
    assert result.exit_code == 0
    assert "first use" not in result.stderr


def test_fetch_of_nothing_fails(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("ledger.audit.remote_log.ATTEMPTS_MAX", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        port = server.server_address[1]
    result = run("fetch", f"http://127.0.0.1:{port}", tmp_path / "copy")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "run the same command again" in result.stderr


def test_fetch_of_false_log_is_refused(
    url: str, audited: WrittenMarket, tmp_path: Path
) -> None:
    flip(audited.copy.log / "tile/0/000.p/17", 40)
    result = run("fetch", url, tmp_path / "copy")
    assert result.exit_code == 3
    assert "Do not trust" in result.stderr


def test_fetch_into_a_file_fails(url: str, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "log").write_text("in the way")
    result = run("fetch", url, tmp_path / "copy")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
