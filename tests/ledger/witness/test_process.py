"""A witness in processes of its own: killed at any time, and run twice by mistake."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from grown_log import GrownLog
from witness_process import WitnessProcess

from ledger.log import Signer, open_checkpoint, open_note
from ledger.log.witness_protocol import parse_size
from ledger.signing import PrivateKey

pytestmark = pytest.mark.slow

Started = Callable[..., WitnessProcess]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    running: list[WitnessProcess] = []

    def start(*logs: GrownLog) -> WitnessProcess:
        process = WitnessProcess(
            tmp_path / "witness", *(log.signer.verifier for log in logs)
        )
        process.start()
        running.append(process)
        return process

    yield start
    for process in running:
        if process._process is not None:
            process.kill()


class Branch(threading.Thread):
    """Submits one history until it is told to stop, and keeps what was cosigned."""

    def __init__(self, url: str, log: GrownLog) -> None:
        super().__init__(daemon=True)
        self.log = log
        self.cosigned: list[bytes] = []
        self.stopping = False
        self._url = url

    def run(self) -> None:
        old_size = 0
        with httpx.Client(trust_env=False) as http:
            while not self.stopping:
                size = min(old_size + 1, len(self.log.entries))
                body = self.log.request(old_size, size)
                try:
                    answer = http.post(f"{self._url}/add-checkpoint", content=body)
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    self.cosigned.append(self.log.note(size) + answer.content)
                    old_size = size
                elif answer.status_code == 409:
                    old_size = parse_size(answer.content)
                else:
                    assert answer.status_code == 422


def test_killed_witness_never_cosigns_two_histories(started) -> None:
    """Two histories part after 5 entries; both are pushed while it is killed."""
    trunk = GrownLog().grow(5)
    branches = [trunk.fork(5).grow(200, word) for word in ("left", "right")]
    cosigned = []
    # From before the first answer to some dozens later.
    for wait_s in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
        process = started(trunk)
        threads = [Branch(process.url, log) for log in branches]
        for thread in threads:
            thread.start()
        threads[0].join(wait_s)
        process.kill()
        for thread in threads:
            thread.stopping = True
            thread.join()
        keys = [trunk.signer.verifier, *process.keys]
        cosigned += [note for thread in threads for note in thread.cosigned]
    assert cosigned
    for note in cosigned:
        assert len(open_note(note, keys).signatures) == 3
    checkpoints = {open_checkpoint(note, trunk.signer.verifier) for note in cosigned}
    assert any(
        all(item == log.checkpoint(item.size) for item in checkpoints)
        for log in branches
    )
    assert max(item.size for item in checkpoints) > 5


def test_key_and_memory_outlive_the_process(started) -> None:
    log = GrownLog().grow(8)
    first = started(log)
    answer = httpx.post(f"{first.url}/add-checkpoint", content=log.request(0, 5))
    assert answer.status_code == 200
    # At the moment of the answer it is on the disk.
    first.kill()
    second = started(log)
    assert second.keys == first.keys
    answer = httpx.post(f"{second.url}/add-checkpoint", content=log.request(0))
    assert (answer.status_code, answer.content) == (409, b"5\n")
    decisions = second.stop()
    assert [decision["status"] for decision in decisions] == [409]


def test_two_processes_on_one_folder_cosign_one_history(started) -> None:
    """Each of two servers is shown another history of the same logs, at once."""
    pairs = []
    for number in range(12):
        signer = Signer(f"log{number}.example", PrivateKey(bytes([number]) * 32))
        left, right = GrownLog().grow(3, "left"), GrownLog().grow(3, "right")
        for log in (left, right):
            log.signer, log.signers = signer, [signer]
        pairs.append((left, right))
    servers = [started(*(left for left, _ in pairs)) for _ in range(2)]
    assert servers[0].keys == servers[1].keys

    def submit(at: int, log: GrownLog) -> httpx.Response:
        url = f"{servers[at].url}/add-checkpoint"
        return httpx.post(url, content=log.request(0), timeout=30)

    with ThreadPoolExecutor(2) as threads:
        for pair in pairs:
            answers = list(threads.map(submit, (0, 1), pair))
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses == [200, 409]
    shown = [httpx.get(f"{server.url}/vkey").text.splitlines() for server in servers]
    assert shown[0] == shown[1] == [key.vkey for key in servers[0].keys]


def test_two_processes_that_start_at_once_have_one_key(tmp_path) -> None:
    log = GrownLog()
    processes = [
        WitnessProcess(tmp_path / "witness", log.signer.verifier) for _ in range(2)
    ]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(WitnessProcess.start, processes))
    assert processes[0].keys == processes[1].keys
    for process in processes:
        process.stop()
