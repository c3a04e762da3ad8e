"""A copy is made of a log that holds together, and of no other."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from audited_market import AuditedMarket, WrittenMarket, fixed_key

from ledger.audit.errors import ForkError
from ledger.audit.fetch import ENTRIES_MAX, FetchResult, fetch_log
from ledger.audit.log_audit import audit_log
from ledger.audit.log_copy import LogCopy
from ledger.audit.remote_log import ATTEMPTS_MAX, RemoteLog
from ledger.errors import AuditError, NoteError, TileError
from ledger.log import Checkpoint, LogKeys, Signer, sign_note
from ledger.log.tiles import FolderTiles

URL = "http://market.example/base"
Change = Callable[[str, httpx.Response], httpx.Response]


class Server:
    """Serves a folder as a market does, and can be told to misbehave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.pauses: list[float] = []
        self.change: Change = lambda _path, response: response

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/base/log/")
        self.asked.append(path)
        return self.change(path, self._found(path))

    def _found(self, path: str) -> httpx.Response:
        if path == "log.vkey":
            return httpx.Response(200, content=(self.folder / path).read_bytes())
        try:
            data = FolderTiles(self.folder / "log").read(path)
        except TileError:
            return httpx.Response(404)
        return httpx.Response(200, content=data)

    def remote(self) -> RemoteLog:
        return RemoteLog(
            URL, http=httpx.MockTransport(self.answer), pause=self.pauses.append
        )

    def fetch(self, folder: Path, **options: Signer) -> FetchResult:
        verifier = LogKeys((options["signer"].verifier,)) if options else None
        with self.remote() as remote:
            return fetch_log(remote, folder, verifier=verifier)


@pytest.fixture
def long(tmp_path: Path) -> Iterator[WrittenMarket]:
    """A log of 300 entries, so that there are full and partial tiles."""
    market = AuditedMarket().begin()
    while len(market.entries) < 300:
        market.top_up(1)
    source = tmp_path / "source"
    source.mkdir()
    written = WrittenMarket(market, source)
    written.publish()
    yield written
    written.close()


@pytest.fixture
def server(long: WrittenMarket) -> Server:
    return Server(long.folder)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_copy_is_exact_and_audited(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    copy = LogCopy.at(tmp_path / "copy")
    with server.remote() as remote:
        result = fetch_log(
            remote, copy.folder, progress=lambda done, total: told.append((done, total))
        )
    assert files(copy.log) == files(server.folder / "log")
    assert result.is_first_use
    assert (result.files_fetched, result.files_kept, result.earlier) == (5, 0, None)
    assert result.bytes_fetched > 300 * 200
    assert told == [(done, 5) for done in range(1, 6)]
    report = audit_log(copy)
    assert report.summary == "audit: ok (300 statements, 0 receipts, 0 problems)"


def test_no_file_is_asked_for_twice(server: Server, tmp_path: Path) -> None:
    server.fetch(tmp_path / "copy")
    assert sorted(server.asked) == [
        "checkpoint",
        "log.vkey",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ]


def test_empty_log_is_copied(written: WrittenMarket, tmp_path: Path) -> None:
    written.market.entries.clear()
    written.publish()
    result = Server(written.folder).fetch(tmp_path / "copy")
    assert (result.checkpoint.size, result.files_fetched) == (0, 0)
    assert audit_log(LogCopy.at(tmp_path / "copy")).is_ok


def test_key_that_is_given_counts(server: Server, tmp_path: Path) -> None:
    signer = AuditedMarket().signer
    result = server.fetch(tmp_path / "copy", signer=signer)
    assert not result.is_first_use
    assert "log.vkey" not in server.asked
    assert LogCopy.at(tmp_path / "copy").key.read_text() == signer.verifier.vkey + "\n"


def test_other_key_is_refused_before_anything_is_written(
    server: Server, tmp_path: Path
) -> None:
    stranger = Signer("ledger.example/test", fixed_key("stranger"))
    with pytest.raises(NoteError):
        server.fetch(tmp_path / "copy", signer=stranger)
    assert not (tmp_path / "copy").exists()


def test_copy_grows_and_keeps_the_earlier_checkpoint(
    server: Server, long: WrittenMarket, tmp_path: Path
) -> None:
    copy = LogCopy.at(tmp_path / "copy")
    server.fetch(copy.folder)
    first = (copy.log / "checkpoint").read_bytes()
    for _ in range(400):
        long.market.top_up(1)
    long.publish()
    result = server.fetch(copy.folder)
    assert result.earlier is not None
    assert (result.earlier.size, result.checkpoint.size) == (300, 700)
    assert not result.is_first_use
    assert result.files_kept == 2
    assert copy.earlier.read_bytes() == first
    assert {name for name in files(copy.log) if ".p/" in name} == {
        "tile/0/002.p/188",
        "tile/1/000.p/2",
        "tile/entries/002.p/188",
    }
    report = audit_log(copy)
    assert report.is_ok
    assert report.earlier == result.earlier
    assert report.files_not_covered == 0


def test_copy_that_is_current_is_kept(server: Server, tmp_path: Path) -> None:
    server.fetch(tmp_path / "copy")
    result = server.fetch(tmp_path / "copy")
    assert (result.files_fetched, result.files_kept) == (0, 5)
    assert not LogCopy.at(tmp_path / "copy").earlier.exists()


def test_damaged_files_are_fetched_again(server: Server, tmp_path: Path) -> None:
    copy = LogCopy.at(tmp_path / "copy")
    server.fetch(copy.folder)
    true = files(copy.log)
    for name in ("tile/0/000", "tile/1/000.p/1", "tile/entries/000"):
        data = bytearray(true[name])
        data[5] ^= 1
        (copy.log / name).write_bytes(data)
    (copy.log / "tile/0/001.p/44").unlink()
    (copy.log / "tile/entries/001.p/44").write_bytes(bytes(10**8))
    result = server.fetch(copy.folder)
    assert (result.files_fetched, result.files_kept) == (5, 0)
    assert files(copy.log) == true


def test_interrupted_copy_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    copy = LogCopy.at(tmp_path / "copy")

    def fail(path: str, response: httpx.Response) -> httpx.Response:
        return httpx.Response(403) if path == "tile/entries/001.p/44" else response

    server.change = fail
    with pytest.raises(AuditError, match="403"):
        server.fetch(copy.folder)
    assert not (copy.log / "checkpoint").exists()
    (copy.log / "tile/0/000.new").write_bytes(b"half")
    (copy.log / "notes.txt").write_bytes(b"mine")
    server.change = lambda _path, response: response
    assert server.fetch(copy.folder).files_kept == 4
    # What an interrupted copy left is gone; what is not ours is left alone.
    assert not (copy.log / "tile/0/000.new").exists()
    assert (copy.log / "notes.txt").exists()


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ],
)
@pytest.mark.parametrize("place", [0, 40, -1])
def test_file_with_one_byte_changed_is_refused(
    server: Server, tmp_path: Path, name: str, place: int
) -> None:
    def flip(path: str, response: httpx.Response) -> httpx.Response:
        if path != name:
            return response
        data = bytearray(response.content)
        # The place is inside of the file, whatever its size.
        data[place if place < len(data) else 5] ^= 1
        return httpx.Response(200, content=bytes(data))

    server.change = flip
    copy = LogCopy.at(tmp_path / "copy")
    with pytest.raises((NoteError, TileError)):
        server.fetch(copy.folder)
    assert not (copy.log / "checkpoint").exists()
    # What was written before is true.
    true = files(server.folder / "log")
    if copy.log.exists():
        assert files(copy.log).items() <= true.items()


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 100])
def test_garbage_is_refused(server: Server, tmp_path: Path, content: bytes) -> None:
    server.change = lambda path, response: (
        httpx.Response(200, content=content) if "entries" in path else response
    )
    with pytest.raises(TileError, match="does not fit"):
        server.fetch(tmp_path / "copy")


def test_key_of_garbage_is_refused(server: Server, tmp_path: Path) -> None:
    server.change = lambda path, response: (
        httpx.Response(200, content=b"\xff\n") if path == "log.vkey" else response
    )
    with pytest.raises(NoteError):
        server.fetch(tmp_path / "copy")


@pytest.mark.parametrize("name", ["checkpoint", "log.vkey", "tile/0/000"])
def test_endless_file_is_cut_off(server: Server, tmp_path: Path, name: str) -> None:
    def endless() -> Iterator[bytes]:
        sent = 0
        while sent < 10**7:
            yield bytes(10**5)
            sent += 10**5
        pytest.fail("read on and on")

    server.change = lambda path, response: (
        httpx.Response(200, content=endless()) if path == name else response
    )
    with pytest.raises((AuditError, TileError), match="larger"):
        server.fetch(tmp_path / "copy")


def test_partial_tile_is_cut_from_the_full_one(
    server: Server, long: WrittenMarket, tmp_path: Path
) -> None:
    """A log may drop partial tiles; its checkpoint may be older than its tiles."""
    old = (long.copy.log / "checkpoint").read_bytes()
    for _ in range(300):
        long.market.top_up(1)
    long.publish()

    def old_checkpoint(path: str, response: httpx.Response) -> httpx.Response:
        if path == "checkpoint":
            return httpx.Response(200, content=old)
        return httpx.Response(404) if ".p/44" in path else response

    server.change = old_checkpoint
    assert server.fetch(tmp_path / "copy").checkpoint.size == 300
    assert "tile/0/001" in server.asked
    assert audit_log(LogCopy.at(tmp_path / "copy")).is_ok


def test_gzip_is_read(server: Server, tmp_path: Path) -> None:
    def packed(path: str, response: httpx.Response) -> httpx.Response:
        if "entries" not in path:
            return response
        return httpx.Response(
            200,
            content=gzip.compress(response.content),
            headers={"content-encoding": "gzip"},
        )

    server.change = packed
    assert server.fetch(tmp_path / "copy").checkpoint.size == 300


def test_broken_gzip_is_told(server: Server, tmp_path: Path) -> None:
    server.change = lambda _path, response: httpx.Response(
        200, content=response.content, headers={"content-encoding": "gzip"}
    )
    with pytest.raises(AuditError, match="cannot be read"):
        server.fetch(tmp_path / "copy", signer=AuditedMarket().signer)


@pytest.mark.parametrize("status", [301, 302, 308])
def test_redirect_is_refused(server: Server, tmp_path: Path, status: int) -> None:
    server.change = lambda _path, _response: httpx.Response(
        status, headers={"location": "http://elsewhere.example/"}
    )
    with pytest.raises(AuditError, match=f"answers {status}"):
        server.fetch(tmp_path / "copy")


def test_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    busy = iter([429, 503])
    server.change = lambda _path, response: (
        httpx.Response(status) if (status := next(busy, None)) else response
    )
    assert server.fetch(tmp_path / "copy").checkpoint.size == 300
    assert server.pauses == [0.25, 0.5]


def test_unreachable_server_is_told(server: Server, tmp_path: Path) -> None:
    def refuse(path: str, response: httpx.Response) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    server.change = refuse
    with pytest.raises(AuditError, match="cannot be reached: nobody there"):
        server.fetch(tmp_path / "copy")
    assert len(server.asked) == ATTEMPTS_MAX


def test_server_that_stays_busy_is_told(server: Server, tmp_path: Path) -> None:
    server.change = lambda _path, _response: httpx.Response(503)
    with pytest.raises(AuditError, match="it answers 503"):
        server.fetch(tmp_path / "copy")


def test_address_without_log_is_told(server: Server, tmp_path: Path) -> None:
    server.change = lambda path, response: (
        response if path == "log.vkey" else httpx.Response(404)
    )
    with pytest.raises(AuditError, match="no log at this address"):
        server.fetch(tmp_path / "copy")


@pytest.mark.parametrize(
    "url",
    ["", "market", "ftp://a", "http://", "http://a?b", "http://u:p@a", "http://a b"],
)
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(AuditError, match="not the address"):
        RemoteLog(url)


def signed(size: int, root: bytes) -> bytes:
    signer = AuditedMarket().signer
    return sign_note(Checkpoint("ledger.example/test", size, root).text, [signer])


def serve_checkpoint(server: Server, note: bytes) -> None:
    server.change = lambda path, response: (
        httpx.Response(200, content=note) if path == "checkpoint" else response
    )


def test_root_that_tiles_do_not_lead_to_is_refused(
    server: Server, tmp_path: Path
) -> None:
    serve_checkpoint(server, signed(300, bytes(32)))
    with pytest.raises(TileError, match="do not lead"):
        server.fetch(tmp_path / "copy")


def test_absurd_size_is_refused(server: Server, tmp_path: Path) -> None:
    serve_checkpoint(server, signed(ENTRIES_MAX + 1, bytes(32)))
    with pytest.raises(AuditError, match="too many"):
        server.fetch(tmp_path / "copy")


def test_shrunken_log_is_a_fork(
    server: Server, long: WrittenMarket, tmp_path: Path
) -> None:
    old = (long.copy.log / "checkpoint").read_bytes()
    long.market.top_up(1)
    long.publish()
    server.fetch(tmp_path / "copy")
    before = files(tmp_path / "copy")
    serve_checkpoint(server, old)
    with pytest.raises(ForkError, match="300 entries, and 301 before"):
        server.fetch(tmp_path / "copy")
    assert files(tmp_path / "copy") == before


@pytest.mark.parametrize("size", [300, 310])
def test_other_history_is_a_fork(server: Server, tmp_path: Path, size: int) -> None:
    server.fetch(tmp_path / "copy")
    before = files(tmp_path / "copy")
    market = AuditedMarket().begin()
    while len(market.entries) < size:
        market.top_up(2)
    folder = tmp_path / "forked"
    folder.mkdir()
    forked = WrittenMarket(market, folder)
    forked.publish()
    forked.close()
    with pytest.raises(ForkError, match="does not extend"):
        Server(folder).fetch(tmp_path / "copy")
    assert files(tmp_path / "copy") == before


def test_folder_of_other_log_is_refused(server: Server, tmp_path: Path) -> None:
    server.fetch(tmp_path / "copy")
    other = Signer("ledger.example/other", fixed_key("log"))
    with pytest.raises(AuditError, match=r"another log, ledger\.example/test"):
        server.fetch(tmp_path / "copy", signer=other)
