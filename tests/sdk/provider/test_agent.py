"""The agent with a real market on loopback, real sandboxes and a real consumer."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from parties import RunningMarket, now_ms, wait_until

from sdk import JobFailedError, Market
from sdk.provider.agent import Agent
from sdk.provider.join import JoinedNode, NodePlan, join_market

pytestmark = pytest.mark.slow

LEASE_MS = 1_500
POLL_MS = 300


@dataclass
class RunningNode:
    """An agent in a thread, with what it told."""

    joined: JoinedNode
    events: Any
    agent: Agent
    stopping: threading.Event
    thread: threading.Thread
    failures: list[BaseException] = field(default_factory=list)

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def worker_pid(self) -> int:
        return self.agent._executors["sandbox"][0]._worker._child.pid

    def await_work(self, ticks: int) -> None:
        """Wait until the sandbox has computed for longer than so many ticks."""
        wait_until(lambda: cpu_ticks(self.worker_pid()) > ticks + 2)


NodeStarter = Callable[..., RunningNode]


@pytest.fixture
def start_node(tmp_path, runner_cache, events) -> Iterator[NodeStarter]:
    with ExitStack() as stack:

        def start(url: str, *protections: str, folder: Path | None = None):
            stopping = threading.Event()
            joined = join_market(
                url,
                folder or tmp_path / "node",
                NodePlan(
                    name="test node",
                    tier="edge_site",
                    jurisdiction="fr",
                    ownership_domain="test",
                    protections=protections or ("sandbox",),
                    workers=1,
                    memory_bytes=2**29,
                    prices={},
                    sensitivity_classes=(
                        "public",
                        "internal",
                        "confidential",
                        "restricted",
                    ),
                    categories_refused=(),
                ),
                cache=runner_cache,
                now_ms=now_ms,
                pause=lambda wait_s: stopping.wait(wait_s) and None,
                step=lambda *_: None,
            )
            stack.callback(joined.close)
            agent = Agent(
                joined, stopping=stopping, now_ms=now_ms, tell=events, poll_ms=POLL_MS
            )
            thread = threading.Thread(target=agent.run)
            node = RunningNode(joined, events, agent, stopping, thread)
            thread.start()
            stack.callback(node.stop)
            wait_until(lambda: events.named("ready"), timeout_s=60)
            return node

        yield start


@pytest.fixture
def market(serve, tmp_path) -> Iterator[RunningMarket]:
    with serve(tmp_path / "market", lease_ms=LEASE_MS) as market:
        yield market


@pytest.fixture
def alice(market: RunningMarket, tmp_path: Path) -> Iterator[Market]:
    with Market.open(market.url, key=tmp_path / "alice.key", create_key=True) as alice:
        alice.top_up(100)
        yield alice


def spin(rounds: int) -> int:
    total = 0
    for number in range(rounds):
        total = (total * 31 + number) % 1_000_003
    return total


def double(x: int) -> int:
    return 2 * x


def test_jobs_are_run_and_paid(market, alice, start_node) -> None:
    node = start_node(market.url)
    doubled = alice.offload(sensitivity="public")(double)
    assert doubled.map(range(40)) == [2 * number for number in range(40)]
    done = node.events.named("job")
    assert len(done) == 40
    assert {fields["outcome"] for fields in done} == {"succeeded"}
    earned = node.joined.provider.get_json("/billing/v0.1/earnings")["byNode"]
    assert earned[node.joined.offer.node]["jobs"] == 40


def test_failure_of_a_function_is_told_and_charged(market, alice, start_node) -> None:
    node = start_node(market.url)

    @alice.offload(sensitivity="public")
    def fail(x: int) -> int:
        raise ValueError(x)

    with pytest.raises(JobFailedError) as failure:
        fail(7)
    assert failure.value.code == "SANDBOX.RAISED"
    (fields,) = node.events.named("job")
    assert (fields["outcome"], fields["code"]) == ("failed", "SANDBOX.RAISED")
    assert alice.invoice()["totalMicrocredits"] > 0


def test_protected_jobs_leave_no_trace(market, alice, start_node, tmp_path) -> None:
    node = start_node(market.url, "sandbox", "enclave", "homomorphic")
    marker = "canary-5d1f0b7e93a2c846"

    @alice.offload(sensitivity="confidential", categories=["health"])
    def shout(text: str) -> str:
        print(text)
        return text.upper()

    assert shout(marker) == marker.upper()
    workload_id = alice.publish_circuit(
        "test", weights=[[0.5, -2.0]], bias=[1.5], royalty_microcredits=7
    )
    scorer = alice.scorer(workload_id, sensitivity="restricted")
    assert scorer([[2.0, 1.0]])[0] == pytest.approx([0.5], abs=1e-4)
    told = [fields["protection"] for fields in node.events.named("job")]
    assert told == ["enclave", "homomorphic"]
    everything = repr([event.to_json() for event in node.events.all])
    files = [path for path in (tmp_path / "node").rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    for text in (marker, marker.upper()):
        assert text not in everything
        assert text.encode() not in kept


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11])


def call_in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    answers: list[Any] = []

    def call() -> None:
        try:
            answers.append(function(*arguments))
        except Exception as error:  # noqa: BLE001 - looked at by the test
            answers.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, answers


def test_killed_worker_fails_one_job_only(market, alice, start_node) -> None:
    node = start_node(market.url)
    slow = alice.offload(
        sensitivity="public", fuel=10**13, time_ms=30_000, price_max_microcredits=10**9
    )(spin)
    before = cpu_ticks(node.worker_pid())
    thread, answers = call_in_thread(slow, 10**9)
    node.await_work(before)
    os.kill(node.worker_pid(), signal.SIGKILL)
    thread.join(30)
    assert answers[0].code == "SANDBOX.WORKER_DIED"
    assert alice.offload(sensitivity="public")(double)(21) == 42


def test_fault_of_ours_ends_no_agent(market, alice, start_node) -> None:
    node = start_node(market.url)
    executor = node.agent._executors["sandbox"][0]
    run, executor.run = executor.run, fail_with_secret
    doubled = alice.offload(sensitivity="public")(double)
    thread, _ = call_in_thread(doubled, 1)
    wait_until(lambda: node.events.named("fault"))
    executor.run = run
    (fields,) = node.events.named("fault")
    assert fields["code"] == "ZeroDivisionError"
    assert "secret" not in repr(fields)
    assert doubled(2) == 4
    thread.join(30)


def fail_with_secret(_lease) -> None:
    raise ZeroDivisionError("a secret")


def test_lost_lease_is_not_reported(market, alice, start_node) -> None:
    node = start_node(market.url)
    slow = alice.offload(
        sensitivity="public", fuel=10**12, price_max_microcredits=10**9
    )(spin)
    thread, answers = call_in_thread(slow, 8_000_000)
    wait_until(lambda: node.agent._held.count() == 1)
    # For the market all leases have run out; no other node can take the job.
    market.clock.advance(60_000)
    wait_until(lambda: node.events.named("lost") or answers)
    thread.join(30)
    assert answers[0].code.startswith("JOB.")
    assert node.events.named("job") == []
    assert alice.balance()["heldMicrocredits"] == 0
    assert alice.invoice()["jobs"] == 0


def test_agent_survives_a_restart_of_the_market(serve, tmp_path, start_node) -> None:
    folder = tmp_path / "market"
    with serve(folder, lease_ms=LEASE_MS) as market:
        node = start_node(market.url)
        port = int(market.url.rpartition(":")[2])
    wait_until(lambda: node.events.named("market_away"), timeout_s=20)
    with serve(folder, port=port, lease_ms=LEASE_MS) as market:
        wait_until(lambda: node.events.named("market_back"), timeout_s=20)
        with Market.open(
            market.url, key=tmp_path / "alice.key", create_key=True
        ) as alice:
            alice.top_up(1)
            assert alice.offload(sensitivity="public")(double)(4) == 8
        node.stop()


def test_stop_withdraws_the_offer(market, alice, start_node) -> None:
    node = start_node(market.url)
    assert len(alice.offers()) == 1
    node.stop()
    assert alice.offers() == []
    assert node.events.names() == ["ready", "stopping"]


def test_stop_waits_for_what_ends_soon(market, alice, start_node) -> None:
    node = start_node(market.url)
    slow = alice.offload(
        sensitivity="public", fuel=10**11, price_max_microcredits=10**9
    )(spin)
    before = cpu_ticks(node.worker_pid())
    thread, answers = call_in_thread(slow, 300_000)
    node.await_work(before)
    node.stop()
    thread.join(30)
    assert answers == [spin(300_000)]


def test_idle_node_picks_a_job_up_at_once(market, alice, start_node) -> None:
    start_node(market.url)
    doubled = alice.offload(sensitivity="public")(double)
    doubled(1)
    for number in range(5):
        assert doubled(number) == 2 * number
        assert doubled.last.attempt == 1
