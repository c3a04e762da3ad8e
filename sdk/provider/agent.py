"""The provider's agent: takes jobs, runs them, reports them, until it is stopped.

It calls the market and is never called. One thread waits for leases, so that an idle
node has a placed job within milliseconds; each worker has one for each protection;
one reports, one keeps the leases alive. None of them ends because a job, a process or
the market does.
"""

import contextlib
import queue
import time
from collections.abc import Callable
from functools import partial
from threading import BoundedSemaphore, Thread
from threading import Event as Flag
from typing import Literal

from enclave_sim.attestation.vendor import simulated_chip_id
from enclave_sim.errors import EnclaveError
from enclave_sim.sandbox.pool import SandboxWorker
from ledger.encoding import Json
from ledger.errors import LedgerError
from ledger.identifiers import new_identifier
from sdk.errors import MarketAnswerError, SdkError
from sdk.provider.courier import Courier
from sdk.provider.events import Event, Tell
from sdk.provider.executor import (
    EnclaveExecutor,
    Executor,
    HomomorphicExecutor,
    SandboxExecutor,
    open_enclave,
)
from sdk.provider.held_leases import Heartbeat, HeldLeases
from sdk.provider.join import JoinedNode
from sdk.provider.lease import Lease, LeaseGoneError, parse_leases
from sdk.provider.reporter import Ready, Reporter

LEASES_PER_WORKER = 32
"""Jobs waiting in front of each worker, so that short ones need no request each."""

LEASES_AT_ONCE = 256
"""The market gives no more at once."""

POLL_MS = 5_000
"""How long one question for leases waits at the market; heartbeats say in between
that the node lives. A node that died is still thought to be asking for as long."""

GRACE_S = 3.0
"""A node that is stopped finishes what ends within this; the rest is placed again."""

ROOM_WAIT_S = 0.5
"""A node with its hands full looks this often whether it is to stop."""

REFUSED_WAIT_S = 2.0
"""Before a node asks for leases again after the market has refused to give any."""


class Agent:
    """Runs one node's jobs; for one call of `run`."""

    def __init__(
        self,
        joined: JoinedNode,
        *,
        stopping: Flag,
        now_ms: Callable[[], int],
        tell: Tell,
        poll_ms: int = POLL_MS,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            joined: The node.
            stopping: Set from anywhere, it ends `run`.
            now_ms: The clock.
            tell: Told what happens; called from several threads.
            poll_ms: How long to wait at the market for leases.
        """
        self._joined = joined
        self._stopping = stopping
        self._now_ms = now_ms
        self._tell = tell
        self._poll_ms = poll_ms
        self._held = HeldLeases()
        self._courier = Courier(
            joined.node, holds=self._held.holds, stopping=stopping, tell=tell
        )
        self._reporter = Reporter(
            self._courier, self._held, joined.node_key, tell, is_busy=self._is_busy
        )
        self._heartbeat = Heartbeat(
            self._courier, self._held, stopping, tell, lease_ms=joined.lease_ms
        )
        self._waiting: dict[str, queue.SimpleQueue[Lease | None]] = {
            protection: queue.SimpleQueue() for protection in joined.offer.protections
        }
        self._executors = _make_executors(joined, self._courier)
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Publish the offer, take jobs until stopped, withdraw the offer.

        Raises:
            EnclaveError: What is offered cannot run here.
            SdkError: The market does not take the offer.
        """
        workers: list[Thread] = []
        others: list[Thread] = []
        try:
            for executors in self._executors.values():
                executors[0].start()
            workers += [
                self._spawn(f"{protection}-{place}", partial(self._work, *pair))
                for protection, executors in self._executors.items()
                for place, executor in enumerate(executors)
                for pair in ((executor, self._waiting[protection]),)
            ]
            others.append(self._spawn("reporter", self._reporter.run))
            self._joined.publish()
            others.append(self._spawn("heartbeat", self._heartbeat.run))
            # Nobody waits for its end: what it is asking for would not be run.
            self._spawn("leases", self._take_leases)
            self._tell(Event("ready", _describe(self._joined)))
            self._stopping.wait()
            self._tell(Event("stopping", {"jobs": self._held.count()}))
            with contextlib.suppress(SdkError):
                self._joined.withdraw()
        finally:
            self._end(workers, others)
        if self._failure is not None:
            raise self._failure

    def _spawn(self, name: str, loop: Callable[[], None]) -> Thread:
        def guarded() -> None:
            try:
                loop()
            except BaseException as error:  # noqa: BLE001 - raised again by `run`
                self._failure = error
                self._stopping.set()

        thread = Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _end(self, workers: list[Thread], others: list[Thread]) -> None:
        """Let what ends soon come to its end, then end all processes."""
        self._stopping.set()
        deadline_s = time.monotonic() + GRACE_S
        for protection, executors in self._executors.items():
            for _ in executors:
                self._waiting[protection].put(None)
        for thread in workers:
            thread.join(max(deadline_s - time.monotonic(), 0))
        self._reporter.finish()
        for thread in others:
            thread.join(max(deadline_s - time.monotonic(), 0))
        for executors in self._executors.values():
            for executor in executors:
                executor.close()

    def _take_leases(self) -> None:
        workers = self._joined.offer.capacity.workers
        room = min(workers * LEASES_PER_WORKER, LEASES_AT_ONCE)
        while not self._stopping.is_set():
            # Many at once when there is much to do, any at once when there is not.
            if not self._held.wait_for_room(room // 2, timeout_s=ROOM_WAIT_S):
                continue
            try:
                leases = self._ask(limit=room - self._held.count())
            except LeaseGoneError:
                return
            except SdkError as error:
                self._tell(Event("refused", {"code": error.code}))
                self._stopping.wait(REFUSED_WAIT_S)
                continue
            self._held.add(leases)
            for lease in leases:
                self._waiting[lease.protection].put(lease)

    def _ask(self, *, limit: int) -> list[Lease]:
        # However often this question is sent, the market gives one answer to it.
        question: dict[str, Json] = {
            "commandId": new_identifier("lease"),
            "limit": limit,
            "waitMs": self._poll_ms,
        }
        answer = self._courier.persist(
            lambda: self._joined.node.post_json("/node-agent/v0.1/leases", question)
        )
        leases = parse_leases(answer)
        if any(lease.protection not in self._waiting for lease in leases):
            raise MarketAnswerError("A lease is for a protection that is not offered.")
        return leases

    def _work(
        self, executor: Executor, waiting: "queue.SimpleQueue[Lease | None]"
    ) -> None:
        with contextlib.suppress(EnclaveError):
            # If it does not start now, the first job finds out why.
            executor.start()
        while (lease := waiting.get()) is not None:
            if self._held.holds(lease) and not self._stopping.is_set():
                self._run(executor, lease)

    def _run(self, executor: Executor, lease: Lease) -> None:
        try:
            run = executor.run(lease)
            payload = self._courier.upload(lease, run.result)
        except (SdkError, EnclaveError, LedgerError) as error:
            self._give_up(lease, "given_up", error.code)
        except Exception as error:  # noqa: BLE001 - no job may end the agent
            # Only the name: the text may hold what was being worked on.
            self._give_up(lease, "fault", type(error).__name__)
        else:
            self._reporter.put(Ready(run, payload, finished_at_ms=self._now_ms()))

    def _give_up(
        self, lease: Lease, name: Literal["given_up", "fault"], code: str
    ) -> None:
        if self._held.holds(lease):
            self._held.drop(lease)
            self._tell(Event(name, {**lease.reference(), "code": code}))

    def _is_busy(self) -> bool:
        return any(not waiting.empty() for waiting in self._waiting.values())


def _make_executors(joined: JoinedNode, courier: Courier) -> dict[str, list[Executor]]:
    workers = joined.offer.capacity.workers
    slot = BoundedSemaphore(workers)
    chip_id = simulated_chip_id(joined.node_key.node_id)

    def make(protection: str) -> Executor:
        match protection:
            case "sandbox":
                worker = SandboxWorker(joined.runner_sha384, joined.cache)
                return SandboxExecutor(worker, courier, slot)
            case "enclave":
                enclave = open_enclave(joined.runner_sha384, joined.cache, chip_id)
                return EnclaveExecutor(enclave, courier, slot, market=joined.market)
            case _:
                return HomomorphicExecutor(courier, slot)

    return {
        protection: [make(protection) for _ in range(workers)]
        for protection in joined.offer.protections
    }


def _describe(joined: JoinedNode) -> dict[str, Json]:
    offer = joined.offer
    return {
        "offerId": offer.offer_id,
        "node": offer.node,
        "provider": offer.provider,
        "name": offer.name,
        "tier": offer.tier,
        "protections": list(offer.protections),
        "assurance": offer.assurance,
        "workers": offer.capacity.workers,
    }
