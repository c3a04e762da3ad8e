"""A TCP proxy on loopback that keeps every byte that passes, in both directions."""

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self


class RecordingProxy:
    """Stands between the market and everybody else, as a curious network would."""

    def __init__(self, record: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._record = record.open("wb")
        self._lock = threading.Lock()
        self._target = ("127.0.0.1", 0)
        self._sockets: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def forward_to(self, port: int) -> None:
        """Name the port of the market that stands behind."""
        self._target = ("127.0.0.1", port)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        with self._lock:
            sockets, self._sockets = self._sockets, set()
            for side in sockets:
                side.close()
            self._record.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
                market = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._sockets |= {caller, market}
            for source, sink in ((caller, market), (market, caller)):
                threading.Thread(
                    target=self._pump, args=(source, sink), daemon=True
                ).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                with self._lock:
                    if not self._record.closed:
                        self._record.write(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
