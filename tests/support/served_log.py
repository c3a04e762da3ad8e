"""Serves a log over real HTTP, file by file, truly or with one file changed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from grown_log import GrownLog

from ledger.audit.remote_log import RemoteLog
from ledger.log import Frontier, leaf_hash
from ledger.log.tiles import TILE_WIDTH, TilePath


class ServedLog:
    """What a server shows: the files under `<url>/log/`, and which were asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.status = 200
        self.url = ""

    def show(self, log: GrownLog, size: int | None = None) -> None:
        """Show a log as it was when it had so many entries, and all its tiles."""
        self.files["log.vkey"] = f"{log.signer.verifier.vkey}\n".encode()
        self.files["checkpoint"] = log.note(size)
        self.files.update(tiles_of(log.entries[:size]))

    def remote(self) -> RemoteLog:
        return RemoteLog(self.url, pause=lambda _: None)


def tiles_of(entries: list[bytes]) -> dict[str, bytes]:
    """The tiles of hashes over entries, full and partial; no bundles."""
    tiles = {}
    row, level = [leaf_hash(entry) for entry in entries], 0
    while row:
        above = []
        for first in range(0, len(row), TILE_WIDTH):
            hashes = row[first : first + TILE_WIDTH]
            path = TilePath(level, first // TILE_WIDTH, len(hashes))
            tiles[str(path)] = b"".join(hashes)
            if len(hashes) == TILE_WIDTH:
                frontier = Frontier()
                frontier.extend(hashes)
                above.append(frontier.root())
        row, level = above, level + 1
    return tiles


@contextmanager
def serve_log() -> Iterator[ServedLog]:
    """Serve on a free loopback port; nothing is shown at first."""
    served = ServedLog()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/log/")
            served.asked.append(path)
            data = served.files.get(path)
            status = served.status if data is not None else 404
            self.send_response(status)
            self.send_header("content-length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def files_in(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
