"""`sixfold audit` as a person and as a script use it: answers and exit codes."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from audited_market import WrittenMarket
from click.testing import Result
from typer.testing import CliRunner

from ledger.audit.cli import app


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url(audited: WrittenMarket) -> Iterator[str]:
    """The published log on a loopback port."""
    audited.copy.key.rename(audited.copy.log / "log.vkey")
    handler = partial(_QuietHandler, directory=str(audited.folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def receipt_of(audited: WrittenMarket) -> Path:
    return audited.copy.receipts / audited.copy.receipt_names()[0]


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
    result = run("log", audited.folder, "--key", key, "--openings", openings, "--json")
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


def test_wrong_arguments_are_misuse(tmp_path: Path) -> None:
    assert run("log", tmp_path / "none").exit_code == 2
    assert run("receipt", tmp_path / "none").exit_code == 2
    assert run("log", tmp_path, "--key", tmp_path / "none").exit_code == 2
    assert run("fetch", "no url", tmp_path).exit_code == 2
    assert run().exit_code == 2


def test_key_of_garbage_is_misuse(audited: WrittenMarket, tmp_path: Path) -> None:
    key = tmp_path / "bad.vkey"
    key.write_text("garbage")
    result = run("log", audited.folder, "--key", key)
    assert result.exit_code == 2
    assert "must hold one line" in result.stderr


def test_receipt_that_is_true_is_ok(audited: WrittenMarket) -> None:
    result = run("receipt", receipt_of(audited))
    assert result.exit_code == 0
    assert "log.vkey" in result.stdout
    assert "it does not prove" in result.stdout
    assert "183" in result.stdout
    *_, last = result.stdout.splitlines()
    assert last == "receipt: ok"


def test_receipt_answers_as_json(audited: WrittenMarket) -> None:
    result = run("receipt", receipt_of(audited), "--json")
    assert result.exit_code == 0
    value = json.loads(result.stdout)
    assert value["ok"] is True
    assert value["totalMicrocredits"] == 183
    assert value["key"].endswith("log.vkey")


def test_receipt_that_is_damaged_is_refused(audited: WrittenMarket) -> None:
    receipt = receipt_of(audited)
    flip(receipt, 200)
    result = run("receipt", receipt)
    assert result.exit_code == 3
    assert "LEDGER.RECEIPT" in result.stderr
    assert "Broken rule" in result.stderr
    assert run("receipt", receipt, "--json").exit_code == 3
    receipt.write_bytes(bytes(10**6))
    assert run("receipt", receipt).exit_code == 3


def test_receipt_without_key_is_misuse(audited: WrittenMarket) -> None:
    audited.copy.key.unlink()
    result = run("receipt", receipt_of(audited))
    assert result.exit_code == 2
    assert "--key" in result.stderr


def test_receipt_takes_key_beside_it(audited: WrittenMarket) -> None:
    receipt = receipt_of(audited)
    audited.copy.key.rename(receipt.parent / "log.vkey")
    assert run("receipt", receipt).exit_code == 0


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
    with ThreadingHTTPServer(("127.0.0.1", 0), _QuietHandler) as server:
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


def test_hostile_text_is_shown_harmless(audited: WrittenMarket) -> None:
    """Neither rich's markup nor a terminal's escapes get through."""
    name = "[red]\x1b[31m\x9b31m[nonsense].tlog-proof"
    (audited.copy.receipts / name).write_bytes(b"x")
    result = run("log", audited.folder)
    assert result.exit_code == 3
    assert "[red]\\x1b[31m\\x9b31m[nonsense].tlog-proof" in result.stdout
    assert run("log", audited.folder, "--json").exit_code == 3
