"""Leases, a scripted market in memory, and a real one that has a real runner."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from parties import MovableClock, RunningMarket, now_ms, wait_until
from serving import listen

from enclave_sim.sandbox.runner import load_runner_artefact
from ledger.encoding import encode_base64, sha256_text
from ledger.signing import PrivateKey
from market.app import Runner, create_app
from market.settings import Settings
from sdk.provider.events import Event
from sdk.provider.lease import Lease
from sdk.runs import OUTCOME_OVERHEAD_BYTES
from sdk.transport import Transport

SOURCE = "def double(x):\n    return 2 * x\n"
INPUT = b"[21]"
CONSUMER = PrivateKey(b"c" * 32)
NODE = PrivateKey(b"n" * 32)
RECORD_KEY = b"r" * 32


def described(data: bytes) -> dict[str, Any]:
    """A payload as the market shows it."""
    return {
        "digest": sha256_text(data),
        "sizeBytes": len(data),
        "inline": encode_base64(data),
    }


def lease_json(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A lease of a sandbox job as the market gives it."""
    limits = {
        "fuel": 10**10,
        "memoryBytes": 2**27,
        "timeMs": 10_000,
        "inputBytes": 2**20,
        "outputBytes": 2**20 + OUTCOME_OVERHEAD_BYTES,
        "rows": 0,
    }
    lease = {
        "jobId": f"job_{number:020d}",
        "attempt": 1,
        "consumer": CONSUMER.public.pseudonym_id,
        "recordKey": encode_base64(RECORD_KEY),
        "ratingGroups": ["fuel", "memory", "bytes_up", "bytes_down"],
        "agreement": sha256_text(b"agreement"),
        "leaseExpiresAtMs": 1,
        "protection": "sandbox",
        "workload": {
            "kind": "python_source",
            "content": sha256_text(SOURCE.encode()),
            "entry": "double",
            "workloadId": None,
        },
        "limits": limits | changes.pop("limits", {}),
        "recipient": None,
        "source": SOURCE,
        "circuit": None,
        "input": described(INPUT),
    }
    return lease | changes


@pytest.fixture(name="lease_json", scope="session")
def lease_form() -> Callable[..., dict[str, Any]]:
    return lease_json


@pytest.fixture(name="described", scope="session")
def payload_form() -> Callable[[bytes], dict[str, Any]]:
    return described


@pytest.fixture
def make_lease() -> Callable[..., Lease]:
    return lambda number=1, **changes: Lease.from_json(lease_json(number, **changes))


class Events:
    """What an agent told, in order; may be told from any thread."""

    def __init__(self) -> None:
        self.all: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.all.append(event)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [dict(event.fields) for event in self.all if event.name == name]

    def names(self) -> list[str]:
        return [event.name for event in self.all]


@pytest.fixture
def events() -> Events:
    return Events()


class ScriptedMarket:
    """Answers requests by path; what is not scripted is a fault of the test."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.is_away = False
        self.transport = Transport(
            "http://market.test",
            NODE,
            now_ms=now_ms,
            pause=lambda _: None,
            http=httpx.MockTransport(self._answer),
        )

    def sent(self, path: str) -> list[Any]:
        """The bodies of all requests to a path."""
        return [body for sent, body in self.requests if sent == path]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_away:
            raise httpx.ConnectError("nobody listens")
        data = request.read()
        body = json.loads(data) if data[:1] == b"{" else data
        self.requests.append((request.url.path, body))
        answer = self.answers[request.url.path](body)
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)


def refusal(status: int, code: str) -> httpx.Response:
    """An error as the market shapes it."""
    body = {"status": status, "code": code, "message": "No."}
    return httpx.Response(status, json=body)


@pytest.fixture(name="refusal", scope="session")
def error_form() -> Callable[[int, str], httpx.Response]:
    return refusal


@pytest.fixture
def scripted() -> Iterator[ScriptedMarket]:
    market = ScriptedMarket()
    yield market
    market.transport.close()


class Patience(threading.Event):
    """A flag that never waits, and runs a step of the test instead."""

    def __init__(self, step: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self.waits_s: list[float] = []
        self._step = step

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits_s.append(timeout)
        self._step(len(self.waits_s))
        return self.is_set()


@pytest.fixture
def patience() -> type[Patience]:
    return Patience


@pytest.fixture
def node_key() -> PrivateKey:
    return NODE


@pytest.fixture
def record_key() -> bytes:
    return RECORD_KEY


Serve = Callable[..., AbstractContextManager[RunningMarket]]


@pytest.fixture(scope="session")
def serve(runner_cache: Path, runner_sha384: bytes) -> Serve:
    """Runs a real market that publishes the real Python runner, in a thread."""

    @contextmanager
    def serve_in(
        folder: Path, *, port: int = 0, **settings: int
    ) -> Iterator[RunningMarket]:
        folder.mkdir(parents=True, exist_ok=True)
        component = folder / "runner.wasm"
        component.write_bytes(load_runner_artefact(runner_cache, runner_sha384))
        listener, clock = listen(port), MovableClock()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(
            Settings(folder=folder, **settings),
            runner=Runner(sha384=runner_sha384.hex(), path=str(component)),
            public_url=url,
            clock=clock,
        )
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive())
        assert thread.is_alive(), "the market did not start"
        try:
            yield RunningMarket(url=url, app=app, folder=folder, clock=clock)
        finally:
            server.should_exit = True
            thread.join()
            listener.close()

    return serve_in
