"""From signed orders to paid results, for one job or thousands (steps 3 to 11).

One loop keeps a bounded number of jobs in flight: it places orders in batches, waits
for those that need the consumer, seals inputs to enclaves whose evidence is good,
checks results, and countersigns or disputes them in batches. Nothing is signed that
was not checked.

A job that its node loses is placed again by the market; here it just shows up with a
higher attempt, and is appraised anew.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from enclave_sim.attestation.binding import ATTESTATION_BYTES_MAX
from ledger.encoding import Json
from sdk.errors import (
    JobDisputedError,
    JobError,
    JobTimeoutError,
    MarketAnswerError,
    MarketRefusedError,
    SdkError,
    UntrustedEvidenceError,
)
from sdk.judgement import acceptance, check_agreement, dispute, judge
from sdk.outcomes import JobOutcome, parse_outcomes, refusal_of
from sdk.payloads import INLINE_BYTES_MAX, receive_payload, send_payload
from sdk.results import JobResult
from sdk.session import Session
from sdk.work import Work

JOBS = "/compute-jobs/v0.1"

FLYING_MAX = 256
"""Jobs ordered and not yet finished: as many as one question about outcomes names,
and enough to keep a few hundred workers busy."""

REFILL_MIN = 32
"""So many are ordered together, unless fewer are left."""

BATCH_BYTES_MAX = 6 * 2**20
"""Of orders in one request; the market takes 8 MiB."""

ORDER_BYTES = 8 * 2**10
"""What statement and openings of an order have; with a policy of few words, half."""

UPLOAD_BYTES_MAX = 256 * 2**20
"""Of inputs in one batch; the market keeps up to a gigabyte that waits to be used."""

OUTCOMES_MAX = 64
"""Jobs in one answer: with inline results of 64 KiB it stays below 8 MiB."""

WAIT_MS_MAX = 10_000
"""A question about outcomes is asked again after this long."""

Ended = JobResult | SdkError
"""What came of one job."""


@dataclass(frozen=True)
class _Flight:
    """One job that was ordered and has not ended."""

    place: int
    work: Work
    deadline_s: float


class Fulfilment:
    """Carries one sequence of jobs through; used once, by one thread."""

    def __init__(
        self,
        session: Session,
        *,
        timeout_s: float,
        flying_max: int = FLYING_MAX,
        ended: Callable[[int], None] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            session: With the market.
            timeout_s: For each job, from when it is ordered.
            flying_max: So many jobs are in flight at most; fewer for large inputs.
            ended: Told how many jobs have ended, each time one does.
            monotonic_s: A clock for timeouts.
        """
        self._session = session
        self._timeout_s = timeout_s
        self._flying_max = min(flying_max, FLYING_MAX)
        self._ended = ended
        self._monotonic_s = monotonic_s
        self._flying: dict[str, _Flight] = {}
        self._results: dict[int, Ended] = {}
        self._has_failed = False
        self._interruption: Exception | None = None

    def run(self, works: Iterable[Work]) -> list[Ended]:
        """Carry jobs through until all have ended.

        Once one has failed, or a work cannot be made, no more are ordered; those in
        flight are still finished, for they are paid for.

        Returns:
            What came of the jobs that were ordered, in order.

        Raises:
            SdkError: The market cannot be reached, or answers out of form.
            Exception: Whatever `works` raised, after the jobs before it have ended.
        """
        waiting = enumerate(works)
        while True:
            self._place(waiting)
            if not self._flying:
                if self._interruption is not None:
                    raise self._interruption
                return [self._results[place] for place in sorted(self._results)]
            verdicts = [
                verdict
                for outcome in self._retrieve()
                if (verdict := self._advance(outcome)) is not None
            ]
            self._tell(verdicts)
            self._give_up()

    def _place(self, waiting: Iterator[tuple[int, Work]]) -> None:
        refill = min(REFILL_MIN, self._flying_max)
        while not self._has_failed and len(self._flying) <= self._flying_max - refill:
            items: list[Json] = []
            sent_bytes = uploaded_bytes = 0
            while (found := self._next(waiting)) is not None:
                place, work = found
                item = self._item(work)
                items.append(item)
                sent_bytes += _request_bytes(work)
                uploaded_bytes += len(work.order.draft.input or b"")
                deadline_s = self._monotonic_s() + self._timeout_s
                self._flying[work.order.job_id] = _Flight(place, work, deadline_s)
                if (
                    len(self._flying) >= self._flying_max
                    or sent_bytes > BATCH_BYTES_MAX
                    or uploaded_bytes > UPLOAD_BYTES_MAX
                ):
                    break
            if not items:
                return
            self._order(items)

    def _next(self, waiting: Iterator[tuple[int, Work]]) -> tuple[int, Work] | None:
        try:
            return next(waiting, None)
        except Exception as error:  # noqa: BLE001 - raised once nothing is in flight
            self._interruption = error
            return None

    def _item(self, work: Work) -> dict[str, Json]:
        data = work.order.draft.input
        payload = None if data is None else send_payload(self._session.transport, data)
        return work.order.to_item(payload)

    def _order(self, items: list[Json]) -> None:
        answer = self._session.transport.post_json(f"{JOBS}/jobs", {"orders": items})
        for job_id, error in _read_items(answer):
            if error is not None:
                self._end(job_id, error)

    def _retrieve(self) -> list[JobOutcome]:
        left_s = min(flight.deadline_s for flight in self._flying.values())
        left_ms = int((left_s - self._monotonic_s()) * 1000)
        query: dict[str, Json] = {
            "jobIds": list(self._flying),
            "waitMs": max(0, min(left_ms + 1, WAIT_MS_MAX)),
            "limit": OUTCOMES_MAX,
        }
        answer = self._session.transport.post_json(f"{JOBS}/retrieve-outcomes", query)
        outcomes = parse_outcomes(answer)
        return [outcome for outcome in outcomes if outcome.job_id in self._flying]

    def _advance(self, outcome: JobOutcome) -> "_Verdict | None":
        """Do what a job needs now; a verdict is returned to be told in a batch."""
        work = self._flying[outcome.job_id].work
        try:
            match outcome.state:
                case "refused" | "released":
                    self._end(outcome.job_id, refusal_of(outcome))
                case "attested":
                    self._seal(work, outcome)
                case "reported":
                    judged = judge(self._session, work, outcome)
                    return _Verdict(acceptance(judged), judged.finished)
                case "charged":
                    # Nobody answered in time, or our answer was lost on its way back.
                    judged = judge(self._session, work, outcome)
                    self._end(outcome.job_id, judged.finished)
        except JobDisputedError as error:
            if outcome.state == "charged":
                self._end(outcome.job_id, error)
                return None
            return _Verdict(dispute(outcome, error.reason), error)
        except UntrustedEvidenceError as error:
            return _Verdict(dispute(outcome, "evidence_invalid"), error)
        return None

    def _seal(self, work: Work, outcome: JobOutcome) -> None:
        check_agreement(self._session, work, outcome)
        try:
            evidence = receive_payload(
                self._session.transport,
                outcome.evidence,
                job_id=outcome.job_id,
                name="evidence",
                size_max=ATTESTATION_BYTES_MAX,
            )
        except MarketAnswerError as error:
            message = f"The evidence is refused: {error}"
            raise UntrustedEvidenceError(message) from error
        now_ms = self._session.now_ms()
        sealed = work.seal(evidence, attempt=outcome.attempt, now_ms=now_ms)
        payload = send_payload(self._session.transport, sealed)
        try:
            self._session.transport.post_json(
                f"{JOBS}/jobs/{outcome.job_id}/input",
                {"attempt": outcome.attempt, "input": payload},
            )
        except MarketRefusedError as error:
            # The node was lost meanwhile: the next attempt brings its own evidence.
            if error.status != 409:
                raise

    def _tell(self, verdicts: "list[_Verdict]") -> None:
        if not verdicts:
            return
        by_job = {str(verdict.message["jobId"]): verdict for verdict in verdicts}
        items: list[Json] = [verdict.message for verdict in verdicts]
        answer = self._session.transport.post_json(
            f"{JOBS}/acceptances", {"acceptances": items}
        )
        for job_id, error in _read_items(answer):
            verdict = by_job.get(job_id)
            if verdict is None:
                raise MarketAnswerError("The market answers for another job.")
            if error is None:
                self._end(job_id, verdict.ended)
            elif error.status != 409:
                self._end(job_id, error)
            # Else the job has moved on, and the next question tells where to.

    def _give_up(self) -> None:
        now_s = self._monotonic_s()
        late = [
            job_id
            for job_id, flight in self._flying.items()
            if flight.deadline_s <= now_s
        ]
        for job_id in late:
            message = f"The job did not end within {self._timeout_s:g} s."
            self._end(job_id, JobTimeoutError(message))

    def _end(self, job_id: str, ended: Ended) -> None:
        flight = self._flying.pop(job_id, None)
        if flight is None:
            return
        if isinstance(ended, JobError | UntrustedEvidenceError):
            ended.job_id = job_id
        elif isinstance(ended, JobResult) and ended.failure is not None:
            ended.failure.job_id = job_id
        self._results[flight.place] = ended
        self._has_failed = self._has_failed or _is_failure(ended)
        if self._ended is not None:
            self._ended(len(self._results))


@dataclass(frozen=True)
class _Verdict:
    """What the market is told about a reported job, and what came of it for us."""

    message: dict[str, Json]
    ended: Ended


def _request_bytes(work: Work) -> int:
    """About how much a work adds to a request; large inputs are uploaded before it."""
    draft = work.order.draft
    inline_bytes = min(len(draft.input or b""), INLINE_BYTES_MAX)
    return ORDER_BYTES + len(draft.source or "") * 2 + inline_bytes * 4 // 3


def take_results(ended: list[Ended]) -> list[JobResult]:
    """The results of jobs that all succeeded.

    Raises:
        SdkError: What the first that did not succeed came to.
    """
    results = []
    for item in ended:
        if isinstance(item, SdkError):
            raise item
        if item.failure is not None:
            raise item.failure
        results.append(item)
    return results


def _is_failure(ended: Ended) -> bool:
    return isinstance(ended, SdkError) or ended.failure is not None


def _read_items(answer: Json) -> list[tuple[str, MarketRefusedError | None]]:
    """Which items of a batch the market took, and why not the others."""
    jobs = answer.get("jobs") if isinstance(answer, dict) else None
    if not isinstance(jobs, list):
        raise MarketAnswerError("The answer to a batch lists its jobs.")
    items: list[tuple[str, MarketRefusedError | None]] = []
    for job in jobs:
        match job:
            case {
                "jobId": str(job_id),
                "status": int(status),
                "code": str(code),
                "message": str(message),
            }:
                items.append((job_id, MarketRefusedError(status, code, message)))
            case {"jobId": str(job_id), "state": str()}:
                items.append((job_id, None))
            case _:
                raise MarketAnswerError("An item of a batch is not in form.")
    return items
