"""The consumer's word on a reported job: a signature, or a dispute (step 10)."""

from dataclasses import dataclass

from ledger.encoding import Json, sha256_text
from ledger.signing import PrivateKey
from ledger.statements.statement import Statement
from sdk.checking import Agreed, check_usage, read_agreement, read_slice
from sdk.errors import JobDisputedError, MarketAnswerError
from sdk.outcomes import JobOutcome
from sdk.payloads import receive_payload
from sdk.results import JobResult
from sdk.session import Session
from sdk.work import Work


@dataclass(frozen=True)
class Judged:
    """A job that holds, with the countersigned slice."""

    finished: JobResult
    signed_slice: Statement


def check_agreement(session: Session, work: Work, outcome: JobOutcome) -> Agreed:
    """Check the agreement that a job runs under.

    Raises:
        JobDisputedError: It is not what was ordered.
    """
    agreed = read_agreement(
        outcome.agreement,
        work.order,
        market=session.market,
        market_tariff=session.tariff,
    )
    if agreed.body.attempt != outcome.attempt:
        message = "The agreement is of another attempt."
        raise JobDisputedError("usage_wrong", message)
    return agreed


def judge(session: Session, work: Work, outcome: JobOutcome) -> Judged:
    """Check all that came back for a job, and countersign its slice.

    Raises:
        JobDisputedError: Something does not hold; nothing was signed.
        SdkError: A large result could not be fetched.
    """
    agreed = check_agreement(session, work, outcome)
    order = work.order
    reported = read_slice(outcome.slice, outcome.slice_openings, agreed, order)
    result = _fetch_result(session, work, outcome, due=reported.result_digest)
    opened = work.open(result, attempt=outcome.attempt)
    check_usage(reported, opened)
    finished = JobResult(
        job_id=order.job_id,
        attempt=outcome.attempt,
        protection=order.protection,
        assurance=opened.assurance,
        provider=agreed.body.provider,
        node=agreed.body.node,
        status=opened.status,
        value=opened.value,
        result_bytes=opened.result_bytes,
        log=opened.log,
        fuel=opened.fuel,
        quantities=reported.quantities,
        total_microcredits=reported.total_microcredits,
        failure=opened.failure,
        session=session,
    )
    return Judged(finished, countersign(reported.statement, order.key))


def countersign(statement: Statement, key: PrivateKey) -> Statement:
    """Add the consumer's signature to a slice that was checked.

    Args:
        statement: The slice.
        key: Of the job's pseudonym.
    """
    return statement.signed_by("consumer", key)


def acceptance(judged: Judged) -> dict[str, Json]:
    """How a countersigned slice is told to the market."""
    signature = next(
        item for item in judged.signed_slice.signatures if item.role == "consumer"
    )
    return {
        "jobId": judged.finished.job_id,
        "attempt": judged.finished.attempt,
        "signature": signature.to_json(),
    }


def dispute(outcome: JobOutcome, reason: str) -> dict[str, Json]:
    """How a dispute is told to the market; a word, and nothing about the result."""
    return {"jobId": outcome.job_id, "attempt": outcome.attempt, "dispute": reason}


def _fetch_result(
    session: Session, work: Work, outcome: JobOutcome, *, due: str
) -> bytes:
    try:
        result = receive_payload(
            session.transport,
            outcome.result,
            job_id=outcome.job_id,
            name="result",
            size_max=work.order.draft.limits.output_bytes,
        )
    except MarketAnswerError as error:
        raise JobDisputedError("result_invalid", str(error)) from error
    if sha256_text(result) != due:
        message = "The result is not the one that the slice names."
        raise JobDisputedError("result_invalid", message)
    return result
