"""`sixfold market export-log`: a folder that any host of files serves to auditors."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from checkers import log_is_published
from parties import Cast, RunningMarket, wait_until
from serving import serve_in_thread
from typer.testing import CliRunner, Result

from ledger.audit.cli import app as audit
from market.cli import app


class QuietHandler(SimpleHTTPRequestHandler):
    """What `python -m http.server` does, without its log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def market(tmp_path: Path) -> Iterator[RunningMarket]:
    """A market with some statements, all of them published."""
    with serve_in_thread(tmp_path / "market") as market:
        top_up(market)
        yield market


def top_up(market: RunningMarket) -> None:
    with Cast(market) as cast:
        consumer = cast.consumer(funds=1)
        for _ in range(5):
            consumer.top_up(1)
    context = market.context
    wait_until(lambda: log_is_published(context.log, context.database))


def export(folder: Path, target: Path, *options: str) -> Result:
    arguments = ["export-log", str(target), "--folder", str(folder), *options]
    return CliRunner().invoke(app, arguments)


@contextmanager
def host(folder: Path) -> Iterator[str]:
    """Serve a folder as plain files, and give the URL."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def fetch(url: str, copy: Path, key: Path) -> Result:
    return CliRunner().invoke(audit, ["fetch", url, str(copy), "--key", str(key)])


def test_plain_host_of_an_export_satisfies_the_auditor(market, tmp_path) -> None:
    target, copy = tmp_path / "site", tmp_path / "copy"
    answer = export(market.folder, target, "--json")
    assert answer.exit_code == 0, answer.output
    size = json.loads(answer.stdout)["size"]
    key = target / "log" / "log.vkey"
    with host(target) as url:
        done = fetch(url, copy, key)
        assert done.exit_code == 0, done.output
        top_up(market)
        again = export(market.folder, target, "--json")
        assert json.loads(again.stdout)["size"] > size
        done = fetch(url, copy, key)
        assert done.exit_code == 0, done.output
    tiles = ("checkpoint", "tile")
    for name in tiles:
        assert (copy / "log" / name).exists()
    assert (copy / "log/checkpoint").read_bytes() == (
        market.folder / "log/checkpoint"
    ).read_bytes()


def test_export_works_without_market_and_without_tiles(tmp_path) -> None:
    folder, target = tmp_path / "market", tmp_path / "site"
    with serve_in_thread(folder) as market:
        top_up(market)
    signed = (folder / "log/checkpoint").read_bytes()
    shutil.rmtree(folder / "log")
    answer = export(folder, target)
    assert answer.exit_code == 0, answer.output
    assert "entries" in answer.stdout
    assert not (folder / "log").exists()
    # Signed anew, so only what the old one says is the same.
    text = (target / "log/checkpoint").read_bytes().split(b"\n\n")[0]
    assert text == signed.split(b"\n\n")[0]
    with host(target) as url:
        done = fetch(url, tmp_path / "copy", target / "log/log.vkey")
    assert done.exit_code == 0, done.output


def test_nothing_new_writes_nothing(market, tmp_path) -> None:
    export(market.folder, tmp_path / "site")
    answer = export(market.folder, tmp_path / "site", "--json")
    assert json.loads(answer.stdout)["filesWritten"] == 0


@pytest.mark.parametrize("missing", ["log.key", "market.sqlite"])
def test_folder_that_holds_no_market_is_told(tmp_path, missing) -> None:
    folder = tmp_path / "market"
    with serve_in_thread(folder):
        pass
    (folder / missing).unlink()
    answer = export(folder, tmp_path / "site", "--json")
    assert answer.exit_code == 1
    assert json.loads(answer.output)["code"] in {"LEDGER.KEY_FILE", "LEDGER.LOG"}
    assert not (folder / missing).exists()
    assert not (tmp_path / "site").exists()


def test_export_over_another_log_is_refused(market, tmp_path) -> None:
    target = tmp_path / "site"
    with serve_in_thread(tmp_path / "other") as other:
        top_up(other)
    assert export(tmp_path / "other", target).exit_code == 0
    before = (target / "log/checkpoint").read_bytes()
    answer = export(market.folder, target)
    assert answer.exit_code == 1
    assert "LEDGER.NOTE" in answer.output
    assert (target / "log/checkpoint").read_bytes() == before
