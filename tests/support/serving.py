"""Serves a market over real HTTP: in a thread of the test, or in a process to kill."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from parties import RUNNER, MovableClock, RunningMarket, wait_until
from pydantic import SecretStr
from sqlalchemy import URL

from market.app import Runner, create_app
from market.settings import Settings


def listen(port: int = 0) -> socket.socket:
    """Listen on a loopback port, a free one by default."""
    # Only if the protocol is named does asyncio switch Nagle's algorithm off, which
    # else delays each answer by 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    return listener


@contextmanager
def serve_in_thread(
    folder: Path,
    *,
    url: URL | None = None,
    public_url: str | None = None,
    **settings: int,
) -> Iterator[RunningMarket]:
    """Run a market on a free loopback port until the block ends.

    Args:
        folder: Keys, blobs and log; and the database, unless there is a `url`.
        url: A PostgreSQL database.
        public_url: What requests are signed for, if it is not where it listens.
        settings: Of the market.
    """
    component = folder / "runner.wasm"
    folder.mkdir(parents=True, exist_ok=True)
    component.write_bytes(b"a stand-in: these tests run no Python jobs")
    listener = listen()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock = MovableClock()
    secret = url and SecretStr(url.render_as_string(hide_password=False))
    app = create_app(
        Settings(folder=folder, database_url=secret, **settings),
        runner=Runner(sha384=RUNNER, path=str(component)),
        public_url=public_url or address,
        clock=clock,
    )
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    assert thread.is_alive(), "the market did not start"
    try:
        yield RunningMarket(url=address, app=app, folder=folder, clock=clock)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
