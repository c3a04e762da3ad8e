"""A log is audited where it is served as its copy would be, with little in memory."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from long_market import LongMarket

from ledger.audit.log_audit import AuditOptions, Watch, audit_log
from ledger.audit.log_copy import LogCopy
from ledger.audit.remote_audit import BUNDLES_AHEAD, ReadAhead, audit_remote
from ledger.audit.remote_log import RemoteLog
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.errors import AuditError, TileError
from ledger.log import LogKeys
from ledger.log.tiles import FolderTiles


@pytest.fixture(scope="module")
def long_market(tmp_path_factory: pytest.TempPathFactory) -> LongMarket:
    return LongMarket(tmp_path_factory.mktemp("long"))


@pytest.fixture
def copy(long_market: LongMarket, tmp_path: Path) -> LogCopy:
    return long_market.copy_to(tmp_path / "copy", disclosed=True)


@pytest.fixture
def keys(long_market: LongMarket) -> LogKeys:
    return LogKeys((long_market.market.signer.verifier,))


def found(report: AuditReport) -> list[tuple[str, Rule]]:
    return [(problem.place, problem.rule) for problem in report.problems]


class Server:
    """Serves a copy, and counts what is asked for."""

    def __init__(self, copy: LogCopy) -> None:
        self.asked: Counter[str] = Counter()
        self._tiles = FolderTiles(copy.log)

    def open(self) -> RemoteLog:
        transport = httpx.MockTransport(self._answer)
        return RemoteLog("http://log.example", http=transport, pause=lambda _: None)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/log/")
        self.asked[path] += 1
        try:
            return httpx.Response(200, content=self._tiles.read(path))
        except TileError:
            return httpx.Response(404)


def test_log_is_judged_as_its_copy(copy: LogCopy, keys: LogKeys) -> None:
    server = Server(copy)
    options = AuditOptions(disclosures=[copy.openings])
    report = audit_remote(server.open, keys, options=options)
    assert report.to_json() == audit_log(copy).to_json()
    assert report.charges_computed == 160
    bundles = [path for path in server.asked if "entries" in path]
    assert [server.asked[path] for path in bundles] == [1, 1, 1]


def test_damaged_log_is_judged_as_its_copy(copy: LogCopy, keys: LogKeys) -> None:
    path = copy.log / "tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b"slice", b"spice", 1))
    (copy.log / "tile/0/000").unlink()
    copy.openings.unlink()
    report, of_copy = audit_remote(Server(copy).open, keys), audit_log(copy)
    assert found(report) == found(of_copy)
    assert {rule for _, rule in found(report)} >= {Rule.TILE, Rule.ENTRY}


def test_interrupted_audit_goes_on(
    copy: LogCopy, keys: LogKeys, tmp_path: Path
) -> None:
    told: list[int] = []
    options = AuditOptions(state=tmp_path / "state", jobs=2)
    watch = Watch(is_stopped=lambda: True)
    with pytest.raises(AuditError, match="stopped"):
        audit_remote(Server(copy).open, keys, options=options, watch=watch)
    server = Server(copy)
    watch = Watch(progress=lambda done, _: told.append(done))
    assert audit_remote(server.open, keys, options=options, watch=watch).is_ok
    assert told[0] == 512
    # Of what was done with, only statements that are referred to are read again.
    assert "tile/0/000" not in server.asked


def test_log_without_checkpoint_is_told(copy: LogCopy, keys: LogKeys) -> None:
    (copy.log / "checkpoint").unlink()
    report = audit_remote(Server(copy).open, keys)
    assert [problem.rule for problem in report.problems] == [Rule.CHECKPOINT]


def test_server_that_goes_away_is_an_error(copy: LogCopy, keys: LogKeys) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("checkpoint"):
            note = (copy.log / "checkpoint").read_bytes()
            return httpx.Response(200, content=note)
        raise httpx.ConnectError("gone")

    def open_remote() -> RemoteLog:
        transport = httpx.MockTransport(answer)
        return RemoteLog("http://log.example", http=transport, pause=lambda _: None)

    with pytest.raises(AuditError, match="cannot be reached"):
        audit_remote(open_remote, keys)


class Blank(RemoteLog):
    """A log whose every file says where it was found."""

    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__("http://log.example")
        self._told = told

    def read(self, path: str) -> bytes:
        self._told(path)
        return path.encode()


def test_what_comes_next_is_fetched_ahead() -> None:
    asked: list[str] = []
    size = 256 * (BUNDLES_AHEAD + 4) + 7
    with ReadAhead(lambda: Blank(asked.append), size) as ahead:
        assert ahead.read("tile/entries/000") == b"tile/entries/000"
        assert ahead.read("tile/0/000") == b"tile/0/000"
        assert ahead.read("tile/2/000.p/1") == b"tile/2/000.p/1"
        assert ahead.read(f"tile/entries/00{BUNDLES_AHEAD + 3}").endswith(b"9")
        assert ahead.read(f"tile/entries/0{BUNDLES_AHEAD + 4}.p/7").endswith(b"/7")
    assert len(asked) == len(set(asked)) <= 2 * (BUNDLES_AHEAD + 5) + 1
