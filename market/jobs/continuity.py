"""When a node dies the job is placed again; when nobody signs, the agreed rule pays.

Run at short intervals. Nothing is charged twice: the lost attempt's hold is given
back in the same transaction that places the job anew.
"""

import json

from sqlmodel import col, select

from ledger.books.errors import FundsError
from ledger.encoding import Json
from ledger.statements.statement import parse_statement
from market.broker import Broker
from market.jobs.agreement import Placement, place
from market.jobs.leasing import agreement_of
from market.jobs.models import ACTIVE_STATES, Job, JobState
from market.jobs.settling import charge, release
from market.transaction import Transaction

JOBS_PER_ROUND_MAX = 256
"""One round stays short; what is left over is met in the next."""
ATTEMPTS_MAX = 5
"""A job that five nodes lost is more likely the cause than the victim."""


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
        agreed_ms = agreement_of(job).acceptance_timeout_ms
        if job.updated_at_ms + agreed_ms < transaction.now_ms:
            assert job.slice_entry is not None
            statement = parse_statement(job.slice_entry)
            charge(transaction, broker, job, statement, acceptance="timeout")
    return None


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
