"""The provider's agent: takes jobs, runs them, reports them, until it is stopped.

It calls the market and is never called. One thread waits for leases, one for each
worker runs them, one reports, one keeps the leases alive.
"""

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from enclave_sim.errors import EnclaveError
from ledger.errors import LedgerError
from ledger.identifiers import new_identifier
from sdk.errors import MarketUnavailableError, SdkError
from sdk.provider.executor import Executor, LeaseGoneError, Run
from sdk.provider.held_leases import HeldLeases
from sdk.provider.join import JoinedNode
from sdk.provider.lease import Lease
from sdk.provider.reporter import Reporter

LEASES_PER_WORKER = 64
"""Jobs waiting in front of each worker, so that short ones need no request each."""
WAIT_MS = 15_000
RETRY_S = 1.0

Event = dict[str, Any]
"""Something to tell: always with `event`, never with a payload."""


class Agent:
    """Runs one node's jobs between `start` and `stop`."""

    def __init__(
        self,
        joined: JoinedNode,
        *,
        now_ms: Callable[[], int],
        tell: Callable[[Event], None],
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            joined: The node, with its published offer.
            now_ms: The clock.
            tell: Told what happens; called from several threads.
        """
        self._joined = joined
        self._tell = tell
        self._held = HeldLeases(joined, self._warn)
        self._reporter = Reporter(joined, now_ms, self._reported)
        self._executors = [
            Executor(joined, self._held.holds)
            for _ in range(joined.offer.capacity.workers)
        ]
        self._waiting: queue.SimpleQueue[Lease] = queue.SimpleQueue()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the workers and begin to take jobs.

        Raises:
            EnclaveError: Sandbox or enclave cannot be used here.
        """
        for executor in self._executors:
            executor.start()
        self._held.start()
        self._reporter.start()
        for place, executor in enumerate(self._executors):
            self._spawn(f"worker-{place}", partial(self._work, executor))
        self._spawn("leases", self._take_leases)

    def stop(self) -> None:
        """Take nothing more, withdraw the offer, and end the workers.

        Jobs that are not reported yet lose their lease and are placed again.
        """
        self._stopping.set()
        self._held.stop()
        try:
            self._joined.withdraw()
        except SdkError as error:
            self._warn(f"The offer could not be withdrawn: {error}")
        for executor in self._executors:
            executor.close()

    def _spawn(self, name: str, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=name, daemon=True).start()

    def _take_leases(self) -> None:
        room_max = LEASES_PER_WORKER * len(self._executors)
        while not self._stopping.is_set():
            room = room_max - self._waiting.qsize()
            if room < max(room_max // 2, 1):
                self._stopping.wait(0.01)
                continue
            try:
                leases = self._ask(room)
            except MarketUnavailableError as error:
                self._warn(f"{error} Trying again.")
                self._stopping.wait(RETRY_S)
            except (SdkError, LedgerError) as error:
                self._warn(f"No leases: {error}")
                self._stopping.wait(RETRY_S)
            else:
                for lease in leases:
                    self._held.add(lease)
                    self._waiting.put(lease)

    def _ask(self, room: int) -> list[Lease]:
        answer = self._joined.node.post_json(
            "/node-agent/v0.1/leases",
            {
                "commandId": new_identifier("lease"),
                "limit": min(room, 256),
                "waitMs": WAIT_MS,
            },
        )
        leases = answer.get("leases") if isinstance(answer, dict) else None
        if not isinstance(leases, list):
            raise SdkError("The market's answer to a lease query is not in form.")
        return [Lease.from_json(item) for item in leases]

    def _work(self, executor: Executor) -> None:
        while not self._stopping.is_set():
            lease = self._waiting.get()
            if not self._held.holds(lease):
                continue
            try:
                run = executor.run(lease)
                # A lost lease is not reported: another node has the job now.
                if self._held.holds(lease):
                    self._reporter.report(lease, run)
            except (SdkError, EnclaveError, LedgerError) as error:
                self._give_up(lease, error)

    def _give_up(self, lease: Lease, error: Exception) -> None:
        self._held.drop(lease)
        if self._stopping.is_set() or isinstance(error, LeaseGoneError):
            return
        code = getattr(error, "code", "PROVIDER.FAILED")
        self._tell({"event": "given_up", "jobId": lease.job_id, "code": code})

    def _reported(self, lease: Lease, run: Run, refusal: str | None) -> None:
        self._held.drop(lease)
        event: Event = {
            "event": "job" if refusal is None else "refused",
            "jobId": lease.job_id,
            "attempt": lease.attempt,
            "protection": lease.protection,
            "outcome": run.outcome,
            "fuel": run.usage.fuel,
        }
        if refusal is not None:
            event["message"] = refusal
        self._tell(event)

    def _warn(self, text: str) -> None:
        if not self._stopping.is_set():
            self._tell({"event": "warning", "message": text})
