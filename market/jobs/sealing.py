"""Step 7, the consumer's side: the evidence was good, here is the sealed input."""

from ledger.encoding import Json
from market.broker import Broker
from market.errors import NotFoundError, StateError
from market.jobs.models import Job, JobState
from market.jobs.payloads import keep_payload
from market.jobs.schemas import SealedInput
from market.transaction import Transaction


def seal_input(
    transaction: Transaction,
    broker: Broker,
    consumer: str,
    job_id: str,
    sealed: SealedInput,
) -> Json:
    """Pass the sealed input on to the node whose enclave can open it.

    Raises:
        NotFoundError: The consumer has no such job.
        StateError: The attempt that attested itself is not the one that holds now.
    """
    job = transaction.find(Job, job_id)
    if job is None or job.consumer != consumer:
        raise NotFoundError("There is no such job.")
    if job.state is not JobState.ATTESTED or job.attempt != sealed.attempt:
        raise StateError("This attempt does not wait for an input.")
    row = keep_payload(
        transaction,
        job_id=job_id,
        attempt=sealed.attempt,
        name="sealed_input",
        payload=sealed.input,
        sender=consumer,
    )
    job.state = JobState.SEALED
    job.lease_expires_ms = transaction.now_ms + broker.terms.lease_ms
    transaction.announce(sealed_key(job_id))
    return {"jobId": job_id, "state": job.state, "digest": row.digest}


def sealed_key(job_id: str) -> str:
    """What an agent watches while it waits for a sealed input."""
    return f"{job_id}/sealed"
