"""Jobs as their consumer sees them."""

import json
from collections.abc import Callable

from sqlmodel import Session, col, func, select

from ledger.audit.receipt import make_receipt
from ledger.encoding import Json
from ledger.log.models import LogEntry
from ledger.log.proof import TlogProof
from ledger.statements.statement import parse_statement
from market.errors import NotFoundError, StateError
from market.jobs.models import FINAL_STATES, Job, JobPayload, JobState
from market.jobs.payloads import ANSWER_BYTES_MAX, find_payload, payload_json
from market.models import StatementRecord
from market.transaction import load_openings

NEEDS_CONSUMER = (JobState.ATTESTED, JobState.REPORTED, *FINAL_STATES)
"""States in which a consumer has something to do or to learn."""


def find_job(session: Session, consumer: str, job_id: str) -> Job:
    """A consumer's own job.

    Raises:
        NotFoundError: There is none; another tenant's looks the same.
    """
    job = session.get(Job, job_id)
    if job is None or job.consumer != consumer:
        raise NotFoundError("There is no such job.")
    return job


def job_json(job: Job) -> dict[str, Json]:
    """A job in short."""
    return {
        "jobId": job.job_id,
        "state": job.state,
        "attempt": job.attempt,
        "node": job.node,
        "reason": job.reason,
        "createdAtMs": job.created_at_ms,
        "updatedAtMs": job.updated_at_ms,
    }


def outcome_json(session: Session, job: Job) -> dict[str, Json]:
    """A job with what its consumer needs now: evidence, or result and slice."""
    answer = job_json(job)
    if job.state is JobState.REFUSED:
        answer["decision"] = json.loads(job.decision)
    if job.agreement_entry is not None:
        answer["agreement"] = json.loads(job.agreement_entry)
    if job.state is JobState.ATTESTED:
        answer["evidence"] = payload_json(find_payload(session, job.job_id, "evidence"))
    if job.state in {JobState.REPORTED, JobState.CHARGED}:
        assert job.slice_entry is not None
        answer["slice"] = json.loads(job.slice_entry)
        answer["sliceOpenings"] = json.loads(job.slice_openings)
        answer["result"] = payload_json(find_payload(session, job.job_id, "result"))
    return answer


def outcomes(
    session: Session, consumer: str, job_ids: tuple[str, ...], *, limit: int
) -> list[Json]:
    """Those of a consumer's jobs that need it now; unknown ids are left out.

    Jobs beyond `ANSWER_BYTES_MAX` are left for the next call.
    """
    jobs = session.exec(
        select(Job)
        .where(
            col(Job.job_id).in_(job_ids),
            Job.consumer == consumer,
            col(Job.state).in_(NEEDS_CONSUMER),
        )
        .limit(limit)
    ).all()
    # Read together, so that each is found without a query of its own.
    payloads = session.exec(
        select(JobPayload).where(
            col(JobPayload.job_id).in_([job.job_id for job in jobs]),
            col(JobPayload.name).in_(("evidence", "result")),
        )
    ).all()
    held_bytes = {job.job_id: 0 for job in jobs}
    for payload in payloads:
        held_bytes[payload.job_id] += len(payload.data or b"") * 4 // 3
    answers: list[Json] = []
    size_bytes = 0
    for job in jobs:
        entries = (job.agreement_entry, job.slice_entry)
        size_bytes += held_bytes[job.job_id] + len(job.slice_openings)
        size_bytes += sum(len(entry or b"") for entry in entries)
        if job.state is JobState.REFUSED:
            size_bytes += len(job.decision)
        if answers and size_bytes > ANSWER_BYTES_MAX:
            break
        answers.append(outcome_json(session, job))
    return answers


def list_jobs(
    session: Session, consumer: str, *, page: int, per_page: int
) -> tuple[list[Json], int]:
    """A page of a consumer's jobs, newest first, and how many there are."""
    total = session.exec(
        select(func.count()).select_from(Job).where(Job.consumer == consumer)
    ).one()
    jobs = session.exec(
        select(Job)
        .where(Job.consumer == consumer)
        .order_by(col(Job.created_at_ms).desc(), col(Job.job_id))
        .offset((page - 1) * per_page)
        .limit(per_page)
    ).all()
    return [job_json(job) for job in jobs], total


def receipt_bytes(
    session: Session, prove: Callable[[int], TlogProof], job: Job
) -> bytes:
    """The receipt of a paid job: a proof that its charge is in the log, and why.

    Args:
        session: Where the job is read.
        prove: Proves an entry of the log.
        job: The job.

    Raises:
        StateError: The job is not paid.
        LogError: `prove` has no checkpoint for the charge yet.
    """
    if job.state is not JobState.CHARGED or job.charge_index is None:
        raise StateError("There is a receipt once the job is paid.")
    charge_record = session.get(StatementRecord, job.charge_index)
    assert charge_record is not None
    assert job.agreement_entry is not None
    assert job.slice_entry is not None
    proof = prove(job.charge_index)
    charge_entry = session.get(LogEntry, job.charge_index)
    assert charge_entry is not None
    charge = parse_statement(charge_entry.data)
    return make_receipt(
        proof,
        [
            (parse_statement(job.order_entry), load_openings(job.order_openings)),
            (
                parse_statement(job.agreement_entry),
                load_openings(job.agreement_openings),
            ),
            (parse_statement(job.slice_entry), load_openings(job.slice_openings)),
            (charge, load_openings(charge_record.openings)),
        ],
    )
