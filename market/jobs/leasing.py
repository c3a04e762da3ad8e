"""Steps 6 to 9, the node's side: take leases, keep them, attest, report.

A lease is known by its job and attempt. The attempt is a fencing token: once a job
has been placed again, whatever an earlier holder sends is refused.
"""

from sqlmodel import Session, col, select

from ledger.charging.tariff import rate
from ledger.encoding import Json, canonical_json, encode_base64
from ledger.metering.usage import parse_quantities
from ledger.statements.disclosure import parse_openings, verify_openings
from ledger.statements.kinds import AgreementStatement, SliceStatement
from ledger.statements.statement import (
    entry_digest,
    parse_statement,
    verify_signatures,
)
from market.broker import Broker
from market.errors import InvalidError, LeaseLostError, NotFoundError
from market.jobs.agreement import Placement, openings_text
from market.jobs.models import ACTIVE_STATES, Job, JobState
from market.jobs.payloads import find_payload, keep_payload, payload_json
from market.jobs.schemas import EvidenceReport, Heartbeat, LeaseQuery, SliceReport
from market.transaction import Transaction, load_openings

CLOCK_SKEW_MS_MAX = 120_000
"""How far a node's clock may be off in what it signs."""


def take_leases(
    transaction: Transaction, broker: Broker, node: str, query: LeaseQuery
) -> Json:
    """Give a node the jobs that were placed on it, oldest first.

    Returns:
        The leases with all that is needed to run them, or None if there are none.
    """
    jobs = transaction.session.exec(
        select(Job)
        .where(Job.node == node, Job.state == JobState.PLACED)
        .order_by(col(Job.created_at_ms))
        .limit(query.limit)
    ).all()
    expires_ms = transaction.now_ms + broker.terms.lease_ms
    leases: list[Json] = []
    for job in jobs:
        job.state = JobState.LEASED
        job.lease_expires_ms = expires_ms
        leases.append(_lease_json(transaction, job))
    return {"leases": leases} if leases else None


def has_work(session: Session, node: str) -> bool:
    """Whether a job waits for this node."""
    query = select(Job.job_id).where(Job.node == node, Job.state == JobState.PLACED)
    return session.exec(query.limit(1)).first() is not None


def renew_leases(
    transaction: Transaction, broker: Broker, node: str, heartbeat: Heartbeat
) -> Json:
    """Extend the leases that a node still holds; name those that it has lost."""
    lost: list[Json] = []
    for lease in heartbeat.leases:
        job = transaction.session.get(Job, lease.job_id)
        if job is None or not _holds(job, node, lease.attempt):
            lost.append({"jobId": lease.job_id, "attempt": lease.attempt})
            continue
        job.lease_expires_ms = transaction.now_ms + broker.terms.lease_ms
    return {"lost": lost}


def keep_evidence(
    transaction: Transaction,
    broker: Broker,
    node: str,
    job_id: str,
    report: EvidenceReport,
) -> Json:
    """Pass an enclave's evidence on to the consumer, who alone appraises it (7).

    Raises:
        LeaseLostError: The node does not hold this attempt.
        InvalidError: The job does not run in an enclave.
    """
    job = _held(transaction, node, job_id, report.attempt)
    if (
        job.state is not JobState.LEASED
        or Placement.of(transaction, job).terms.recipient is None
    ):
        raise InvalidError("This job waits for no evidence.")
    keep_payload(
        transaction,
        job_id=job_id,
        attempt=report.attempt,
        name="evidence",
        payload=report.evidence,
        sender=node,
    )
    job.state = JobState.ATTESTED
    job.lease_expires_ms = transaction.now_ms + broker.terms.lease_ms
    transaction.after_commit(lambda: broker.changes.announce([job.consumer]))
    return {"jobId": job_id, "state": job.state}


def report_slice(
    transaction: Transaction, broker: Broker, node: str, report: SliceReport
) -> Json:
    """Take a result and the slice that the node signed for it (9).

    Raises:
        LeaseLostError: The node does not hold this attempt; nothing is charged.
        InvalidError: The slice does not belong to the agreement, or exceeds it.
        LedgerError: Signature, openings or quantities do not hold.
    """
    job = _held(transaction, node, report.job_id, report.attempt)
    assert job.agreement_entry is not None
    statement = parse_statement(canonical_json(report.slice))
    verify_signatures(statement)
    openings = parse_openings(report.openings)
    verify_openings(statement.private, openings, required=statement.private)
    body = statement.body
    if not isinstance(body, SliceStatement) or (
        body.job_id,
        body.agreement,
        body.node,
        body.consumer,
    ) != (job.job_id, entry_digest(job.agreement_entry), node, job.consumer):
        raise InvalidError("The slice does not belong to this agreement.")
    if statement.key_of("consumer") is not None:
        raise InvalidError("The consumer signs after the node.")
    if abs(body.finished_at_ms - transaction.now_ms) > CLOCK_SKEW_MS_MAX:
        raise InvalidError("The node's clock is more than two minutes off.")
    _check_bounds(transaction, job, {k: o.value for k, o in openings.items()})
    row = keep_payload(
        transaction,
        job_id=job.job_id,
        attempt=report.attempt,
        name="result",
        payload=report.result,
        sender=node,
    )
    if row.digest != openings["result_digest"].value:
        raise InvalidError("The result is not the one that the slice names.")
    job.slice_entry = statement.entry
    job.slice_openings = openings_text(openings)
    job.state = JobState.REPORTED
    job.updated_at_ms = transaction.now_ms
    transaction.after_commit(lambda: broker.fleet.give_back(node))
    transaction.after_commit(lambda: broker.changes.announce([job.consumer]))
    return {"jobId": job.job_id, "state": job.state}


def sealed_input(session: Session, node: str, job_id: str, attempt: int) -> Json:
    """The sealed input, once the consumer has sent it; None before.

    Raises:
        LeaseLostError: The node does not hold this attempt.
    """
    job = session.get(Job, job_id)
    if job is None or not _holds(job, node, attempt):
        raise LeaseLostError("Another attempt holds this job.")
    if job.state is not JobState.SEALED:
        return None
    return payload_json(find_payload(session, job_id, "sealed_input"))


def _check_bounds(transaction: Transaction, job: Job, values: dict[str, Json]) -> None:
    placement = Placement.of(transaction, job)
    quantities = parse_quantities(values)
    for group, bound in placement.usage_max().quantities().items():
        if quantities[group] > bound:
            raise InvalidError(f"The slice has more {group} than was agreed.")
    if values.get("outcome") not in {"succeeded", "failed"}:
        raise InvalidError("The outcome is succeeded or failed.")
    rate(agreement_of(job).tariff, quantities)


def agreement_of(job: Job) -> AgreementStatement:
    """The agreement that holds for a job now."""
    assert job.agreement_entry is not None
    body = parse_statement(job.agreement_entry).body
    assert isinstance(body, AgreementStatement)
    return body


def _held(transaction: Transaction, node: str, job_id: str, attempt: int) -> Job:
    job = transaction.session.get(Job, job_id)
    if job is None or job.node != node:
        # A job of another node looks like no job at all.
        raise NotFoundError("There is no such lease.")
    if not _holds(job, node, attempt):
        raise LeaseLostError("Another attempt holds this job.")
    return job


def _holds(job: Job, node: str, attempt: int) -> bool:
    return job.node == node and job.attempt == attempt and job.state in ACTIVE_STATES


def _lease_json(transaction: Transaction, job: Job) -> dict[str, Json]:
    placement = Placement.of(transaction, job)
    terms = placement.terms
    assert job.agreement_entry is not None
    recipient = terms.recipient.to_json() if terms.recipient else None
    circuit = placement.workload.content if placement.workload else None
    return {
        "jobId": job.job_id,
        "attempt": job.attempt,
        "consumer": job.consumer,
        "agreement": entry_digest(job.agreement_entry),
        "leaseExpiresAtMs": job.lease_expires_ms,
        "protection": terms.data_policy.protection,
        "workload": terms.workload.to_json(),
        "limits": terms.limits.to_json(),
        "recipient": recipient,
        "source": job.source,
        "circuit": encode_base64(circuit) if circuit is not None else None,
        "input": payload_json(find_payload(transaction.session, job.job_id, "input")),
    }


def openings_of(text: str) -> Json:
    """Stored openings as plain JSON."""
    return {name: item.to_json() for name, item in load_openings(text).items()}
