"""The processes of the demonstration: a market, a witness, nodes, really separate."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO, Self

import httpx

from ledger.log.log_keys import LOG_KEYS_CHARACTERS_MAX, LogKeys
from ledger.witness.folder import open_witness
from sdk.demo.cast import CAST, NodeRole
from sdk.errors import SdkError

LEASE_MS = 2_500
"""Short, so that the scene with the killed node does not keep anybody waiting."""
STOP_S = 10
WITNESS_NAME = "witness.example/demo"
POLICY_FILE = "witness.policy"
"""In the demonstration's folder: whose cosignatures count, and how many."""


class StageError(SdkError):
    """A process of the demonstration did not start."""

    code = "DEMO.STAGE"


@dataclass
class Actor:
    """One process with its log file; it says `ready` as one JSON line."""

    name: str
    process: subprocess.Popen[str]
    log_path: Path
    ready: dict[str, object] = field(default_factory=dict)

    def await_ready(self) -> dict[str, object]:
        """Wait until it says that it is ready.

        Raises:
            StageError: It ended instead.
        """
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and event.get("event") == "ready":
                self.ready = event
                # Nobody reads on, so a thread drains what else is said.
                Thread(target=_drain, args=(self.process.stdout,), daemon=True).start()
                return event
        code = self.process.wait()
        tail = (said + self.log_path.read_text(errors="replace"))[-2000:]
        raise StageError(f"{self.name} ended with {code} before it was ready.\n{tail}")

    def kill(self) -> None:
        """Stop it without warning, as a power cut would, with all its children."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to stop, and insist after a while."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()


class Stage:
    """Starts market, witness and nodes in a folder, and stops what it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, Actor] = {}
        self._actors: list[Actor] = []
        self.url = ""
        self.port = 0
        """Where the market listens, which may not be where its URL points."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for actor in reversed(self._actors):
            if actor.process.poll() is None:
                actor.process.terminate()
        for actor in reversed(self._actors):
            actor.stop()

    def start_market(
        self, *, lease_ms: int = LEASE_MS, policy: Path | None = None
    ) -> None:
        """Start the market on a free loopback port.

        Args:
            lease_ms: How long a node may be silent.
            policy: Of the witnesses that receipts wait for, if any.
        """
        options = {"folder": self.folder / "market", "port": 0, "lease-ms": lease_ms}
        arguments = _as_arguments(options)
        if policy is not None:
            arguments += ["--witness-policy", str(policy), "--require-quorum"]
        market = self._start("market", "market", "serve", *arguments)
        ready = market.await_ready()
        self.url, self.port = str(ready["url"]), int(str(ready["port"]))

    def start_witnessed_market(self) -> None:
        """Start a market whose receipts wait for a witness, and the witness."""
        # Each needs to know the other: the market the witness's address and keys, the
        # witness the keys that a new market makes.
        port = _free_port()
        folder = self.folder / "witness"
        witness = open_witness(folder, name=WITNESS_NAME)
        policy = self.folder / POLICY_FILE
        policy.write_text(_policy_text(witness.keys.vkeys, port))
        self.start_market(policy=policy)
        keys = httpx.get(f"{self.url}/log/log.vkey", trust_env=False)
        vkeys = LogKeys.parse(keys.text[:LOG_KEYS_CHARACTERS_MAX]).vkeys
        logs = [text for vkey in vkeys for text in ("--log", vkey)]
        options = _as_arguments({"folder": folder, "port": port})
        self._start("witness", "witness", "serve", *options, *logs).await_ready()

    def start_nodes(self, roles: Sequence[NodeRole] = CAST) -> None:
        """Start all nodes at once and wait until each has published its offer."""
        for role in roles:
            folder = self.folder / "nodes" / role.name
            options = _as_arguments({"market": self.url, "folder": folder})
            self.nodes[role.name] = self._start(
                role.name, "provider", "up", *options, *role.arguments()
            )
        for actor in self.nodes.values():
            actor.await_ready()

    def node_of(self, node_id: str) -> Actor:
        """The process behind a node's id."""
        return next(
            actor for actor in self.nodes.values() if actor.ready["node"] == node_id
        )

    def _start(self, name: str, *arguments: str) -> Actor:
        log_path = self.folder / "logs" / f"{name}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", "sdk.cli", *arguments, "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # Its own group, so that a kill takes its workers along.
                start_new_session=True,
            )
        actor = Actor(name, process, log_path)
        self._actors.append(actor)
        return actor


def _policy_text(vkeys: Sequence[str], port: int) -> str:
    """A policy that asks for both signatures of the one witness."""
    names = ("demo-ed25519", "demo-ml-dsa-44")
    lines = [
        f"witness {name} {vkey} http://127.0.0.1:{port}"
        for name, vkey in zip(names, vkeys, strict=True)
    ]
    lines += [f"group demo all {' '.join(names)}", "quorum demo"]
    return "\n".join(lines) + "\n"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _as_arguments(options: Mapping[str, object]) -> list[str]:
    return [
        text for name, value in options.items() for text in (f"--{name}", str(value))
    ]


def _drain(stream: IO[str]) -> None:
    with stream:
        for _ in stream:
            pass
