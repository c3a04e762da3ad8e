"""Step 9: signs a slice for each run, and reports what is ready in one request."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ledger.encoding import Json
from ledger.metering.usage import quantity_fields
from ledger.statements.disclosure import conceal
from ledger.statements.kinds import SliceStatement
from ledger.statements.statement import make_statement
from sdk.errors import MarketRefusedError, MarketUnavailableError, SdkError
from sdk.order import statement_json
from sdk.payloads import payload_digest, send_payload
from sdk.provider.executor import Run
from sdk.provider.join import JoinedNode
from sdk.provider.lease import Lease

SLICES_PER_REPORT_MAX = 128
"""With 64 KiB of result each a report stays within the market's bound."""
REPORT_BYTES_MAX = 4 * 2**20
RETRY_S = 1.0

Told = Callable[[Lease, Run, str | None], None]
"""Called for each slice that was taken, or with the reason why it was not."""


@dataclass(frozen=True)
class _Finished:
    lease: Lease
    run: Run
    item: dict[str, Json]
    size_bytes: int


class Reporter:
    """A thread that reports finished runs; many that are ready share one request."""

    def __init__(
        self, joined: JoinedNode, now_ms: Callable[[], int], told: Told
    ) -> None:
        self._joined = joined
        self._now_ms = now_ms
        self._told = told
        self._queue: queue.SimpleQueue[_Finished] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def report(self, lease: Lease, run: Run) -> None:
        """Sign the slice of a run and queue it; uploads a large result first.

        Raises:
            SdkError: The upload failed.
        """
        openings = conceal(
            {
                **quantity_fields(run.usage.quantities()),
                "outcome": run.outcome,
                "input_digest": run.input_digest,
                "result_digest": payload_digest(run.result),
            }
        )
        body = SliceStatement(
            job_id=lease.job_id,
            agreement=lease.agreement,
            node=self._joined.node_key.node_id,
            consumer=lease.consumer,
            sequence=0,
            finished_at_ms=self._now_ms(),
        )
        statement = make_statement(body, openings).signed_by(
            "node", self._joined.node_key
        )
        item: dict[str, Json] = {
            "jobId": lease.job_id,
            "attempt": lease.attempt,
            "slice": statement_json(statement),
            "openings": {name: opening.to_json() for name, opening in openings.items()},
            "result": send_payload(self._joined.node, run.result),
        }
        self._queue.put(_Finished(lease, run, item, len(run.result)))

    def _run(self) -> None:
        while True:
            batch = self._collect()
            while not self._send(batch):
                # The results are kept until the market is back: they were worked for.
                self._stopping.wait(RETRY_S)

    def _collect(self) -> list[_Finished]:
        batch = [self._queue.get()]
        size = batch[0].size_bytes
        while len(batch) < SLICES_PER_REPORT_MAX and size < REPORT_BYTES_MAX:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
            size += batch[-1].size_bytes
        return batch

    def _send(self, batch: list[_Finished]) -> bool:
        document: Json = {"slices": [finished.item for finished in batch]}
        try:
            answer = self._joined.node.post_json("/node-agent/v0.1/slices", document)
        except MarketUnavailableError:
            return False
        except MarketRefusedError as error:
            for finished in batch:
                self._told(finished.lease, finished.run, error.message)
            return True
        jobs = answer.get("jobs") if isinstance(answer, dict) else None
        if not isinstance(jobs, list) or len(jobs) != len(batch):
            raise SdkError("The market's answer to a report is not in form.")
        for finished, job in zip(batch, jobs, strict=True):
            reason = (
                str(job["message"]) if isinstance(job, dict) and "code" in job else None
            )
            self._told(finished.lease, finished.run, reason)
        return True
