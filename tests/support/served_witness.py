"""Serves a witness, or something that only looks like one, over real HTTP."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from held_witness import HeldWitness

from ledger.witness.site import create_site


@contextmanager
def serve_witness(
    held: HeldWitness, tell: Callable[[int, str], None] = lambda _status, _line: None
) -> Iterator[str]:
    """Serve a witness on a free loopback port; yields its submission prefix."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_site(held.witness, tell=tell), log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the witness did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def serve_bytes(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """Answer each connection with whatever `speak` sends; yields the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def run() -> None:
        while not stopping.is_set():
            connection, _ = listener.accept()
            if not stopping.is_set():
                threading.Thread(target=talk, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def talk(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65_536)
                speak(connection)
                # What is left unread would reset the connection, answer and all.
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass
            except OSError:
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stopping.set()
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()
        listener.close()
