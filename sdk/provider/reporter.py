"""Reports results with their slices, many in one request if many are ready.

While a request is under way others become ready, so batches grow with the load; when
no more work is queued, a result is reported at once.
"""

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

from ledger.encoding import Json
from ledger.signing import PrivateKey
from sdk.errors import MarketAnswerError, MarketRefusedError
from sdk.payloads import INLINE_BYTES_MAX
from sdk.provider.courier import Courier
from sdk.provider.events import Event, Tell
from sdk.provider.executor import Run
from sdk.provider.held_leases import HeldLeases
from sdk.provider.lease import LeaseGoneError
from sdk.provider.slices import sign_slice

SLICES_PER_REPORT_MAX = 128
"""Of one request; the market takes twice as many."""

REPORT_BYTES_MAX = 4 * 2**20
"""Of inline results in one request; in base64 and with their slices they stay below
the 8 MiB that the market takes."""

LINGER_S = 0.1
"""How long a result waits for company while more work is queued: thirty no-op jobs."""

LEASE_LOST = "NODE_AGENT.LEASE_LOST"
"""The market's code for a slice of an attempt that is no longer this node's."""

UNREPORTED = "NODE.UNREPORTED"
"""The node stopped before the market had answered."""


@dataclass(frozen=True)
class Ready:
    """A run whose result can be reported."""

    run: Run
    payload: dict[str, Json]
    finished_at_ms: int


class Reporter:
    """One queue of results, emptied by one thread."""

    def __init__(
        self,
        courier: Courier,
        held: HeldLeases,
        key: PrivateKey,
        tell: Tell,
        *,
        is_busy: Callable[[], bool],
    ) -> None:
        """Prepare; nothing is sent before `run`.

        Args:
            courier: To the market.
            held: What is not held any more is not reported.
            key: The node's; signs the slices.
            tell: Told what came of each report.
            is_busy: Whether more work is queued, so that more results come soon.
        """
        self._courier = courier
        self._held = held
        self._key = key
        self._tell = tell
        self._is_busy = is_busy
        self._queue: queue.SimpleQueue[Ready | None] = queue.SimpleQueue()

    def put(self, ready: Ready) -> None:
        """Hand a result over; it is reported soon."""
        self._queue.put(ready)

    def finish(self) -> None:
        """Have `run` return when all that was handed over is reported."""
        self._queue.put(None)

    def run(self) -> None:
        """Report until `finish`; for a thread of its own."""
        is_open = True
        while is_open:
            batch, is_open = self._collect()
            if batch:
                self._report(batch)

    def _collect(self) -> tuple[list[Ready], bool]:
        batch: list[Ready] = []
        size, deadline_s = 0, 0.0
        while len(batch) < SLICES_PER_REPORT_MAX and size <= REPORT_BYTES_MAX:
            try:
                ready = self._queue.get(timeout=self._wait_s(batch, deadline_s))
            except queue.Empty:
                break
            if ready is None:
                return batch, False
            if not batch:
                deadline_s = time.monotonic() + LINGER_S
            batch.append(ready)
            size += min(len(ready.run.result), INLINE_BYTES_MAX)
        return batch, True

    def _wait_s(self, batch: list[Ready], deadline_s: float) -> float | None:
        if not batch:
            return None
        return max(deadline_s - time.monotonic(), 0) if self._is_busy() else 0

    def _report(self, batch: list[Ready]) -> None:
        keys = self._held.begin_report(ready.run.lease for ready in batch)
        runs = {
            ready.run.lease.job_id: ready.run
            for ready in batch
            if ready.run.lease.key in keys
        }
        slices: list[Json] = [
            sign_slice(
                ready.run, ready.payload, key=self._key, now_ms=ready.finished_at_ms
            )
            for ready in batch
            if ready.run.lease.key in keys
        ]
        codes = self._send(slices) if slices else {}
        for job_id, run in runs.items():
            self._conclude(run, codes.get(job_id, MarketAnswerError.code))

    def _send(self, slices: list[Json]) -> dict[str, str | None]:
        """Report slices; gives for each job None, or the code of the refusal."""
        job_ids = [str(item["jobId"]) for item in slices if isinstance(item, dict)]
        try:
            # The same bytes each time: the market may have got them already.
            answer = self._courier.persist(
                lambda: self._courier.transport.post_json(
                    "/node-agent/v0.1/slices", {"slices": slices}
                )
            )
            return _read_items(answer)
        except (MarketRefusedError, MarketAnswerError) as error:
            return dict.fromkeys(job_ids, error.code)
        except LeaseGoneError:
            return dict.fromkeys(job_ids, UNREPORTED)

    def _conclude(self, run: Run, code: str | None) -> None:
        self._held.drop(run.lease)
        fields: dict[str, Json] = run.lease.reference()
        if code is None:
            quantities = run.usage.quantities()
            fields |= {
                "protection": run.lease.protection,
                "outcome": run.outcome,
                "code": run.error_code,
                "elapsedMs": run.elapsed_ms,
                "quantities": {str(group): n for group, n in quantities.items()},
            }
            self._tell(Event("job", fields))
        elif code == LEASE_LOST:
            self._tell(Event("lost", fields))
        else:
            self._tell(Event("refused", {**fields, "code": code}))


def _read_items(answer: Json) -> dict[str, str | None]:
    """Which slices the market took, and with which code it refused the others."""
    jobs = answer.get("jobs") if isinstance(answer, dict) else None
    if not isinstance(jobs, list):
        raise MarketAnswerError("The answer to slices lists their jobs.")
    codes: dict[str, str | None] = {}
    for job in jobs:
        match job:
            case {"jobId": str(job_id), "status": int(), "code": str(code)}:
                codes[job_id] = code
            case {"jobId": str(job_id), "state": str()}:
                codes[job_id] = None
            case _:
                raise MarketAnswerError("An item of a batch is not in form.")
    return codes
