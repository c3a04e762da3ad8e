"""When a node dies the job is placed again; when nobody signs, the agreed rule pays.

Run at short intervals. Nothing is charged twice: the lost attempt's hold is given
back in the same transaction that places the job anew.
"""

import json

from sqlalchemy import update
from sqlmodel import col, select

from ledger.books.errors import FundsError
from ledger.encoding import Json
from ledger.statements.kinds import SliceStatement
from ledger.statements.statement import parse_statement
from market.broker import Broker
from market.jobs.agreement import Placement, place
from market.jobs.leasing import agreement_of
from market.jobs.models import ACTIVE_STATES, Job, JobState
from market.jobs.settling import charge, release
from market.placement.rules import NODE_SILENT_MS_MAX
from market.transaction import Transaction

JOBS_PER_ROUND_MAX = 256
"""One round stays short; what is left over is met in the next."""
ATTEMPTS_MAX = 5
"""A job that five nodes lost is more likely the cause than the victim."""
QUEUE_MS_MAX = 600_000
"""A job that even a live node has not fetched for so long is placed elsewhere."""


def resume(transaction: Transaction, broker: Broker) -> None:
    """Begin a fresh lease time for every job that a node holds.

    For the market's start: while it was away no node could renew its leases, and none
    is to lose them for that.
    """
    now_ms, lease_ms = transaction.now_ms, broker.terms.lease_ms
    transaction.session.execute(
        update(Job)
        .where(
            col(Job.state).in_(ACTIVE_STATES),
            col(Job.lease_expires_ms) < now_ms + lease_ms,
        )
        .values(lease_expires_ms=now_ms + lease_ms)
    )
    transaction.after_commit(lambda: broker.fleet.greet(now_ms))


def replace_lost_jobs(transaction: Transaction, broker: Broker) -> Json:
    """Place the jobs again whose lease has run out."""
    lost = transaction.session.exec(
        select(Job)
        .where(
            col(Job.state).in_(ACTIVE_STATES),
            col(Job.lease_expires_ms) < transaction.now_ms,
        )
        .limit(JOBS_PER_ROUND_MAX)
    ).all()
    for job in lost:
        if _is_queued(transaction, broker, job):
            job.lease_expires_ms = transaction.now_ms + broker.terms.lease_ms
        else:
            _replace(transaction, broker, job)
    return None


def charge_unanswered_slices(transaction: Transaction, broker: Broker) -> Json:
    """Charge slices that the consumer left unanswered for the agreed time."""
    overdue = transaction.session.exec(
        select(Job)
        .where(
            Job.state == JobState.REPORTED,
            col(Job.updated_at_ms)
            < transaction.now_ms - broker.terms.acceptance_timeout_ms,
        )
        .limit(JOBS_PER_ROUND_MAX)
    ).all()
    for job in overdue:
        assert job.slice_entry is not None
        statement = parse_statement(job.slice_entry)
        assert isinstance(statement.body, SliceStatement)
        # An auditor counts from the time in the slice, by a clock that may be ahead.
        since_ms = max(job.updated_at_ms, statement.body.finished_at_ms)
        if since_ms + agreement_of(job).acceptance_timeout_ms < transaction.now_ms:
            charge(transaction, broker, job, statement, acceptance="timeout")
    return None


def _is_queued(transaction: Transaction, broker: Broker, job: Job) -> bool:
    """Whether a job is not lost, but has to wait for a live node with much to do."""
    if job.state is not JobState.PLACED or job.node is None:
        return False
    silent_ms = broker.fleet.silent_ms(job.node, transaction.now_ms)
    waiting_ms = transaction.now_ms - job.updated_at_ms
    return silent_ms <= NODE_SILENT_MS_MAX and waiting_ms <= QUEUE_MS_MAX


def _replace(transaction: Transaction, broker: Broker, job: Job) -> None:
    node = job.node
    assert node is not None
    transaction.after_commit(lambda: broker.fleet.give_back(node))
    release(transaction, broker, job, reason="node_lost")
    excluded = {*json.loads(job.excluded_nodes), node}
    job.excluded_nodes = json.dumps(sorted(excluded))
    if job.attempt >= ATTEMPTS_MAX:
        job.reason = "attempts_exhausted"
        return
    try:
        if place(transaction, broker, Placement.of(transaction, job)):
            job.reason = None
    except FundsError:
        job.reason = "insufficient_funds"
    transaction.session.flush()
