"""Steps 6 to 9, the node's side: take leases, keep them, attest, report.

A lease is known by its job and attempt. The attempt is a fencing token: once a job
has been placed again, whatever an earlier holder sends is refused.
"""

import json
from functools import lru_cache

from sqlmodel import Session, col, select

from ledger.charging.tariff import RatingGroup, rate
from ledger.encoding import Json, canonical_json, encode_base64, sha256_text
from ledger.errors import LedgerError
from ledger.metering.usage import parse_quantities
from ledger.statements.disclosure import (
    Openings,
    opened_values,
    parse_openings,
    verify_blindings,
    verify_openings,
)
from ledger.statements.kinds import AgreementStatement, SliceStatement
from ledger.statements.statement import (
    Statement,
    parse_statement,
    verify_signatures,
)
from ledger.writing.models import CommandRecord
from market.broker import Broker
from market.errors import InvalidError, LeaseLostError, NotFoundError, StateError
from market.jobs.agreement import Placement
from market.jobs.models import ACTIVE_STATES, Job, JobPayload, JobState
from market.jobs.payloads import (
    ANSWER_BYTES_MAX,
    find_payload,
    keep_payload,
    payload_json,
)
from market.jobs.schemas import EvidenceReport, Heartbeat, LeaseQuery, SliceReport
from market.refusals import refusal_of
from market.transaction import Transaction, openings_text
from market.writer import Command

PARSED_MAX = 4096
"""Agreements kept parsed: each is read when its slice comes and when it is paid."""
CLOCK_SKEW_MS_MAX = 120_000
"""How far a node's clock may be off in what it signs."""


def take_leases(
    transaction: Transaction, broker: Broker, node: str, query: LeaseQuery
) -> Json:
    """Give a node the jobs that were placed on it, oldest first.

    Returns:
        The leases with all that is needed to run them, or None if there are none.
        Jobs beyond `ANSWER_BYTES_MAX` are left for the next call.
    """
    jobs = transaction.session.exec(
        select(Job)
        .where(Job.node == node, Job.state == JobState.PLACED)
        .order_by(col(Job.created_at_ms))
        .limit(query.limit)
    ).all()
    transaction.prefetch((JobPayload, (job.job_id, "input")) for job in jobs)
    expires_ms = transaction.now_ms + broker.terms.lease_ms
    leases: list[Json] = []
    size_bytes = 0
    for job in jobs:
        lease = _lease_json(transaction, job, expires_ms=expires_ms)
        size_bytes += len(json.dumps(lease))
        if leases and size_bytes > ANSWER_BYTES_MAX:
            break
        job.state = JobState.LEASED
        job.lease_expires_ms = expires_ms
        leases.append(lease)
    return {"leases": leases} if leases else None


def has_leases(session: Session, node: str, command_id: str) -> bool:
    """Whether a job waits for this node, or this command has given it some before."""
    if session.get(CommandRecord, (node, command_id)) is not None:
        return True
    query = select(Job.job_id).where(Job.node == node, Job.state == JobState.PLACED)
    return session.exec(query.limit(1)).first() is not None


def renew_leases(
    transaction: Transaction, broker: Broker, node: str, heartbeat: Heartbeat
) -> Json:
    """Extend the leases that a node still holds; name those that it has lost.

    Returns:
        The lost ones, or None if there are none: doing this twice does no harm, so
        there is nothing to remember for ever.
    """
    transaction.prefetch((Job, (lease.job_id,)) for lease in heartbeat.leases)
    lost: list[Json] = []
    for lease in heartbeat.leases:
        job = transaction.find(Job, lease.job_id)
        if job is None or not _holds(job, node, lease.attempt):
            lost.append({"jobId": lease.job_id, "attempt": lease.attempt})
            continue
        job.lease_expires_ms = transaction.now_ms + broker.terms.lease_ms
    return {"lost": lost} if lost else None


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
    transaction.announce(job.consumer)
    return {"jobId": job_id, "state": job.state}


def slice_command(broker: Broker, node: str, report: SliceReport) -> Command:
    """Check a reported slice without the database and make a command of it (9).

    Raises:
        MarketError: The slice is malformed, or signature or openings do not hold.
    """
    try:
        statement = parse_statement(canonical_json(report.slice))
        verify_signatures(statement)
        openings = parse_openings(report.openings)
        verify_openings(
            statement.private,
            statement.commitments,
            openings,
            required=[*statement.private, *statement.commitments],
        )
    except LedgerError as error:
        raise refusal_of(error) from error

    def apply(transaction: Transaction) -> Json:
        return _report(transaction, broker, node, report, statement, openings)

    return Command(
        party=node,
        command_id=f"slice/{report.job_id}/{report.attempt}",
        payload=statement.digest,
        apply=apply,
        reads=(
            (Job, (report.job_id,)),
            (JobPayload, (report.job_id, "input")),
            (JobPayload, (report.job_id, "result")),
        ),
    )


def _report(
    transaction: Transaction,
    broker: Broker,
    node: str,
    report: SliceReport,
    statement: Statement,
    openings: Openings,
) -> Json:
    """Take a result and the slice that the node signed for it.

    Raises:
        LeaseLostError: The node does not hold this attempt; nothing is charged.
        StateError: The node has not got the input yet.
        InvalidError: The slice does not belong to the agreement, or exceeds it.
        DisclosureError: Its blindings are not those of the job's record key.
        TariffError: The quantities cannot be rated.
    """
    job = _held(transaction, node, report.job_id, report.attempt)
    placement = Placement.of(transaction, job)
    is_sealed = placement.terms.recipient is not None
    # Else an enclave could be paid by the timeout rule for what it never computed.
    if job.state is not (JobState.SEALED if is_sealed else JobState.LEASED):
        raise StateError("This attempt has no input yet that a result could be of.")
    body = _slice_of(job, node, statement)
    if abs(body.finished_at_ms - transaction.now_ms) > CLOCK_SKEW_MS_MAX:
        raise InvalidError("The node's clock is more than two minutes off.")
    values = opened_values(openings)
    _check_values(placement, values)
    # Else nobody could open the slice again from the job's record key.
    verify_blindings(openings, job.record_key, body.agreement, body.sequence)
    name = "sealed_input" if is_sealed else "input"
    source = transaction.find(JobPayload, job.job_id, name)
    if source is None or source.digest != values["input_digest"]:
        raise InvalidError("The slice names another input than was given.")
    row = keep_payload(
        transaction,
        job_id=job.job_id,
        attempt=report.attempt,
        name="result",
        payload=report.result,
        sender=node,
    )
    if row.digest != values["result_digest"]:
        raise InvalidError("The result is not the one that the slice names.")
    job.slice_entry = statement.entry
    job.slice_openings = openings_text(openings)
    job.state = JobState.REPORTED
    job.updated_at_ms = transaction.now_ms
    transaction.after_commit(lambda: broker.fleet.give_back(node))
    transaction.announce(job.consumer)
    return {"jobId": job.job_id, "state": job.state}


def _slice_of(job: Job, node: str, statement: Statement) -> SliceStatement:
    """The body of a slice, if it is the node's own word on the job's agreement."""
    assert job.agreement_entry is not None
    agreed = (job.job_id, sha256_text(job.agreement_entry), node, job.pseudonym)
    body = statement.body
    if not isinstance(body, SliceStatement) or agreed != (
        body.job_id,
        body.agreement,
        body.node,
        body.consumer,
    ):
        raise InvalidError("The slice does not belong to this agreement.")
    if statement.key_of("consumer") is not None:
        raise InvalidError("The consumer signs after the node.")
    return body


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


def _check_values(placement: Placement, values: dict[str, Json]) -> None:
    quantities = parse_quantities(values)
    tariff = agreement_of(placement.job).tariff
    if quantities.keys() != set(tariff.groups):
        raise InvalidError("The slice has other quantities than the tariff rates.")
    bounds = placement.quantities_max
    for group, quantity in quantities.items():
        if quantity > bounds[group]:
            raise InvalidError(f"The slice has more {group} than was agreed.")
    if values.get("outcome") not in {"succeeded", "failed"}:
        raise InvalidError("The outcome is succeeded or failed.")
    if values["outcome"] == "succeeded" and (
        quantities.get(RatingGroup.ROYALTY, 0) != bounds[RatingGroup.ROYALTY]
    ):
        # Node and consumer could agree to forget the owner.
        raise InvalidError("A run that succeeded owes the owner's royalty.")
    rate(tariff, quantities)


def agreement_of(job: Job) -> AgreementStatement:
    """The agreement that holds for a job now."""
    assert job.agreement_entry is not None
    return _parse_agreement(job.agreement_entry)


@lru_cache(maxsize=PARSED_MAX)
def _parse_agreement(entry: bytes) -> AgreementStatement:
    # Our own words, so their form need not be checked again.
    return AgreementStatement.from_json(json.loads(entry)["body"])


def _held(transaction: Transaction, node: str, job_id: str, attempt: int) -> Job:
    job = transaction.find(Job, job_id)
    if job is None or (job.node != node and node not in json.loads(job.excluded_nodes)):
        # A job that this node never held looks like no job at all.
        raise NotFoundError("There is no such lease.")
    if not _holds(job, node, attempt):
        raise LeaseLostError("Another attempt holds this job.")
    return job


def _holds(job: Job, node: str, attempt: int) -> bool:
    return job.node == node and job.attempt == attempt and job.state in ACTIVE_STATES


def _lease_json(
    transaction: Transaction, job: Job, *, expires_ms: int
) -> dict[str, Json]:
    placement = Placement.of(transaction, job)
    terms = placement.terms
    assert job.agreement_entry is not None
    recipient = terms.recipient.to_json() if terms.recipient else None
    circuit = placement.workload.content if placement.workload else None
    return {
        "jobId": job.job_id,
        "attempt": job.attempt,
        "consumer": job.pseudonym,
        "recordKey": encode_base64(job.record_key),
        "ratingGroups": list(agreement_of(job).tariff.groups),
        "agreement": sha256_text(job.agreement_entry),
        "leaseExpiresAtMs": expires_ms,
        "protection": terms.data_policy.protection,
        "workload": terms.workload.to_json(),
        "limits": terms.limits.to_json(),
        "recipient": recipient,
        "source": job.source,
        "circuit": encode_base64(circuit) if circuit is not None else None,
        "input": payload_json(transaction.find(JobPayload, job.job_id, "input")),
    }
