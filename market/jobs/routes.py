"""HTTP: jobs, as consumers order, follow, seal, accept and prove them."""

import json
from functools import partial

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, ValidationError
from sqlmodel import Session

from ledger.books.models import BookTransfer
from ledger.document import Identifier
from ledger.encoding import Json
from ledger.errors import LogError
from market.auth import SignedCaller
from market.context import Context, Market
from market.errors import LimitError, MarketError, NotFoundError, QuorumShortError
from market.jobs.agreement import hold_of
from market.jobs.models import FINAL_STATES, Job
from market.jobs.ordering import order_command, refused_item
from market.jobs.payloads import find_payload, payload_bytes
from market.jobs.schemas import (
    AcceptanceBatch,
    OrderBatch,
    OrderItem,
    OutcomesQuery,
    SealedInput,
)
from market.jobs.sealing import seal_input
from market.jobs.settling import settle
from market.jobs.views import (
    find_job,
    job_json,
    list_jobs,
    outcome_json,
    outcomes,
    receipt_bytes,
)
from market.json_route import JsonRoute
from market.log_site.publisher import LOG_CHANGED
from market.pagination import Page, PerPage, pagination_json
from market.writer import Command, Outcome

router = APIRouter(
    prefix="/compute-jobs/v0.1", tags=["compute-jobs"], route_class=JsonRoute
)

RECEIPT_WAIT_S = 10.0
"""The log publishes several times a second; this long means that it is stuck."""
COSIGNATURES_WAIT_S = 2.0
"""Witnesses answer within a second; a receipt without them is a receipt as well."""


class _Claim(BaseModel):
    job_id: Identifier = Field(alias="jobId")


@router.post("/jobs", operation_id="createJobs")
async def create_jobs(caller: SignedCaller, market: Market) -> Json:
    """Place up to 256 orders; each is placed or refused by itself."""
    batch = caller.parse(OrderBatch)
    answers: list[Json] = [None] * len(batch.orders)
    commands: list[tuple[int, str, Command]] = []
    for place, item in enumerate(batch.orders):
        try:
            job_id, command = order_command(market.broker, caller.account_id, item)
        except MarketError as error:
            answers[place] = refused_item(_claimed_id(item), error)
        else:
            commands.append((place, job_id, command))
    outcomes_ = await market.writer.submit([command for _, _, command in commands])
    for (place, job_id, _), outcome in zip(commands, outcomes_, strict=True):
        answers[place] = _item(job_id, outcome)
    return {"jobs": answers}


@router.post("/retrieve-outcomes", operation_id="retrieveOutcomes")
async def retrieve_outcomes(caller: SignedCaller, market: Market) -> Json:
    """Wait until one of the named jobs needs the caller, and return those that do."""
    query = caller.parse(OutcomesQuery)
    deadline_ms = market.clock.now_ms() + query.wait_ms

    def read(session: Session) -> list[Json]:
        return outcomes(session, caller.account_id, query.job_ids, limit=query.limit)

    with market.broker.changes.watch(caller.account_id) as watch:
        while True:
            found = await market.read(read)
            left_s = (deadline_ms - market.clock.now_ms()) / 1000
            if found or left_s <= 0:
                return {"jobs": found}
            await watch.change(left_s)


@router.post("/acceptances", operation_id="createAcceptances")
async def create_acceptances(caller: SignedCaller, market: Market) -> Json:
    """Countersign or dispute up to 256 slices; each is settled by itself."""
    batch = caller.parse(AcceptanceBatch)
    commands = [
        Command(
            party=caller.account_id,
            command_id=f"accept/{item.job_id}/{item.attempt}",
            payload=item.to_json(),
            apply=lambda transaction, item=item: settle(  # type: ignore[misc]
                transaction, market.broker, caller.account_id, item
            ),
            reads=(
                (Job, (item.job_id,)),
                (BookTransfer, (hold_of(item.job_id, item.attempt),)),
            ),
        )
        for item in batch.acceptances
    ]
    results = await market.writer.submit(commands)
    answers = [
        _item(item.job_id, result)
        for item, result in zip(batch.acceptances, results, strict=True)
    ]
    return {"jobs": answers}


@router.post("/jobs/{jobId}/input", operation_id="sealJobInput")
async def seal_job_input(jobId: str, caller: SignedCaller, market: Market) -> Json:  # noqa: N803 - the API's name
    """Hand over the input, sealed to the enclave whose evidence was appraised."""
    sealed = caller.parse(SealedInput)
    command = Command(
        party=caller.account_id,
        command_id=f"seal/{jobId}/{sealed.attempt}",
        payload=sealed.to_json(),
        apply=lambda transaction: seal_input(
            transaction, market.broker, caller.account_id, jobId, sealed
        ),
    )
    return await market.writer.submit_one(command)


@router.get("/jobs", operation_id="getJobs")
async def get_jobs(
    caller: SignedCaller,
    market: Market,
    page: Page = 1,
    per_page: PerPage = 20,
) -> Json:
    """List the caller's jobs, newest first."""

    def read(session: Session) -> Json:
        jobs, total = list_jobs(
            session, caller.account_id, page=page, per_page=per_page
        )
        pagination = pagination_json(page=page, per_page=per_page, total=total)
        return {"jobs": jobs, "pagination": pagination}

    return await market.read(read)


@router.get("/jobs/{jobId}", operation_id="getJob")
async def get_job(jobId: str, caller: SignedCaller, market: Market) -> Json:  # noqa: N803 - the API's name
    """One of the caller's jobs, with what its state has to show."""
    return await market.read(
        lambda session: outcome_json(
            session, find_job(session, caller.account_id, jobId)
        )
    )


@router.get("/jobs/{jobId}/decision", operation_id="getJobDecision")
async def get_job_decision(jobId: str, caller: SignedCaller, market: Market) -> Json:  # noqa: N803 - the API's name
    """Why the job was placed where it was: every offer with all its refusals."""

    def read(session: Session) -> Json:
        job = find_job(session, caller.account_id, jobId)
        return {**job_json(job), "decision": json.loads(job.decision)}

    return await market.read(read)


@router.get("/jobs/{jobId}/payloads/{name}", operation_id="getJobPayload")
async def get_job_payload(
    jobId: str,  # noqa: N803 - the API's name
    name: str,
    caller: SignedCaller,
    market: Market,
) -> Response:
    """The bytes of a payload, for the consumer or the node that holds the job."""

    def read(session: Session) -> bytes:
        row = find_payload(session, jobId, name)
        if row is None or not _may_read(session, caller, jobId):
            raise NotFoundError("There is no such payload.")
        return payload_bytes(row, market.broker.blobs)

    data = await market.read(read)
    return Response(data, media_type="application/octet-stream")


@router.get("/jobs/{jobId}/receipt", operation_id="getJobReceipt")
async def get_job_receipt(
    jobId: str,  # noqa: N803 - the API's name
    caller: SignedCaller,
    market: Market,
) -> Response:
    """The job's receipt, as soon as its charge is under a checkpoint.

    With the cosignatures of witnesses, if they come soon; if this market asks for a
    quorum, not without it.
    """
    witnesses = market.witnesses

    def read(session: Session, *, is_witnessed: bool) -> bytes | None:
        job = find_job(session, caller.account_id, jobId)
        prove = witnesses.prove_witnessed if is_witnessed else witnesses.prove
        try:
            return receipt_bytes(session, prove, job)
        except LogError:
            return None

    with market.broker.changes.watch(LOG_CHANGED) as watch:
        started_ms = market.clock.now_ms()
        while True:
            waited_s = (market.clock.now_ms() - started_ms) / 1000
            is_witnessed = witnesses.is_required or waited_s < COSIGNATURES_WAIT_S
            receipt = await market.read(partial(read, is_witnessed=is_witnessed))
            if receipt is not None:
                return Response(receipt, media_type="text/plain; charset=utf-8")
            if waited_s >= RECEIPT_WAIT_S:
                raise _late(market)
            await watch.change(COSIGNATURES_WAIT_S)


def _late(market: Context) -> MarketError:
    if market.witnesses.is_required:
        return QuorumShortError(
            "Too few witnesses have cosigned the charge by now; ask again later."
        )
    return LimitError("The receipt is not published yet; ask again soon.")


def _item(job_id: str, outcome: Outcome) -> Json:
    if isinstance(outcome, MarketError):
        return refused_item(job_id, outcome)
    return outcome


def _claimed_id(item: OrderItem) -> str | None:
    """The id of an order that is out of form; None if that is no id either."""
    body = item.order.get("body")
    try:
        return _Claim.model_validate(body).job_id
    except ValidationError:
        return None


def _may_read(session: Session, caller: SignedCaller, job_id: str) -> bool:
    job = session.get(Job, job_id)
    return job is not None and (
        job.consumer == caller.account_id
        or (job.node == caller.node_id and job.state not in FINAL_STATES)
    )
