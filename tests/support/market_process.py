"""A market as a process of its own, which a test can kill and start again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import uvicorn
from parties import RUNNER, wait_until
from serving import listen

from market.app import Runner, create_app
from market.clock import SystemClock
from market.settings import Settings


class MarketProcess:
    """Starts, kills and stops one market on one folder and one port."""

    def __init__(self, folder: Path, *, lease_ms: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with listen() as listener:
            self._port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._lease_ms = lease_ms
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, __file__, self.folder, self._port, self._lease_ms]
        with (self.folder / "market.err").open("ab") as errors:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stderr=errors,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            )
        wait_until(self._answers, timeout_s=30)

    @property
    def pid(self) -> int:
        """The number of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it in the midst of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let it finish what it does."""
        self._end(signal.SIGTERM)

    def checkpoint(self) -> bytes:
        """The checkpoint that it serves now; empty before the first."""
        response = httpx.get(f"{self.url}/log/checkpoint")
        return response.content if response.is_success else b""

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=30)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "market.err").read_text()
        try:
            return httpx.get(f"{self.url}/market/v0.1/description").is_success
        except httpx.TransportError:
            return False


def main(folder: Path, port: int, lease_ms: int) -> None:
    """Serve a market until the process is ended."""
    component = folder / "runner.wasm"
    component.write_bytes(b"a stand-in: these tests run no Python jobs")
    app = create_app(
        Settings(folder=folder, lease_ms=lease_ms),
        runner=Runner(sha384=RUNNER, path=str(component)),
        public_url=f"http://127.0.0.1:{port}",
        clock=SystemClock(),
    )
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listen(port)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
