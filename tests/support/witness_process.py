"""A witness as a process of its own, which a test can kill and start again."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from ledger.log import Verifier


class WitnessProcess:
    """`sixfold witness serve` on one folder, a new port each time."""

    def __init__(self, folder: Path, *logs: Verifier) -> None:
        self.folder = folder
        self._logs = logs
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it says that it listens."""
        command = [sys.executable, "-m", "sdk.cli", "witness", "serve", "--json"]
        command += ["--folder", str(self.folder), "--port", "0"]
        command += ["--name", "witness.example"]
        for log in self._logs:
            command += ["--log", log.vkey]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        assert ready["event"] == "ready"
        self.url: str = ready["url"]
        self.keys = [Verifier.parse(vkey) for vkey in ready["vkeys"]]

    def kill(self) -> None:
        """End it in the midst of whatever it does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self) -> list[dict[str, object]]:
        """Let it finish; returns what it has said since it was ready."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return [json.loads(line) for line in self._end().splitlines()]

    def _end(self) -> str:
        assert self._process is not None
        said, _ = self._process.communicate(timeout=30)
        self._process = None
        return said
