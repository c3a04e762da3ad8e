"""HTTP for the agents of nodes: leases, heartbeats, evidence, slices.

Agents call out and are never called, so a node may sit behind any NAT.
"""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import Session

from ledger.encoding import Json
from market.auth import SignedNode
from market.context import Market
from market.errors import MarketError
from market.jobs.leasing import (
    has_leases,
    keep_evidence,
    renew_leases,
    sealed_input,
    slice_command,
    take_leases,
)
from market.jobs.ordering import refused_item
from market.jobs.schemas import (
    WAIT_MS_MAX,
    EvidenceReport,
    Heartbeat,
    LeaseQuery,
    SliceBatch,
)
from market.jobs.sealing import sealed_key
from market.json_route import JsonRoute
from market.writer import Command

router = APIRouter(
    prefix="/node-agent/v0.1", tags=["node-agent"], route_class=JsonRoute
)


@router.post("/leases", operation_id="createLeases")
async def create_leases(node: SignedNode, market: Market) -> Json:
    """Take up to `limit` jobs that were placed on the calling node; may wait."""
    query = node.caller.parse(LeaseQuery)
    deadline_ms = market.clock.now_ms() + query.wait_ms
    command = Command(
        party=node.node_id,
        command_id=f"lease/{query.command_id}",
        payload=query.limit,
        apply=lambda transaction: take_leases(
            transaction, market.broker, node.node_id, query
        ),
    )

    def read(session: Session) -> bool:
        return has_leases(session, node.node_id, command.command_id)

    with market.broker.changes.watch(node.node_id) as watch:
        woken = False
        while True:
            # Whoever is woken was given something, and need not look first.
            if woken or await market.read(read):
                answer = await market.writer.submit_one(command)
                if answer is not None:
                    return answer
            now_ms = market.clock.now_ms()
            market.broker.fleet.seen(node.node_id, now_ms)
            if now_ms >= deadline_ms:
                return {"leases": []}
            woken = await watch.change((deadline_ms - now_ms) / 1000)


@router.post("/heartbeats", operation_id="createHeartbeat")
async def create_heartbeat(node: SignedNode, market: Market) -> Json:
    """Say that the node is alive and still works on these leases."""
    heartbeat = node.caller.parse(Heartbeat)
    if not heartbeat.leases:
        return {"lost": []}
    command = Command(
        party=node.node_id,
        command_id=f"heartbeat/{heartbeat.command_id}",
        payload=heartbeat.to_json(),
        apply=lambda transaction: renew_leases(
            transaction, market.broker, node.node_id, heartbeat
        ),
    )
    return await market.writer.submit_one(command) or {"lost": []}


@router.post("/leases/{jobId}/evidence", operation_id="createEvidence")
async def create_evidence(jobId: str, node: SignedNode, market: Market) -> Json:  # noqa: N803 - the API's name
    """Hand over an enclave's evidence for the consumer to appraise."""
    report = node.caller.parse(EvidenceReport)
    command = Command(
        party=node.node_id,
        command_id=f"evidence/{jobId}/{report.attempt}",
        payload=report.to_json(),
        apply=lambda transaction: keep_evidence(
            transaction, market.broker, node.node_id, jobId, report
        ),
    )
    return await market.writer.submit_one(command)


@router.get("/leases/{jobId}/sealed-input", operation_id="getSealedInput")
async def get_sealed_input(
    jobId: str,  # noqa: N803 - the API's name
    node: SignedNode,
    market: Market,
    attempt: Annotated[int, Query(ge=1, le=1000)],
    wait_ms: Annotated[int, Query(alias="waitMs", ge=0, le=WAIT_MS_MAX)] = 0,
) -> Json:
    """The input sealed to this attempt's enclave; null if it is not there in time."""
    deadline_ms = market.clock.now_ms() + wait_ms

    def read(session: Session) -> Json:
        return sealed_input(session, node.node_id, jobId, attempt)

    with market.broker.changes.watch(sealed_key(jobId)) as watch:
        while True:
            found = await market.read(read)
            left_s = (deadline_ms - market.clock.now_ms()) / 1000
            if found is not None or left_s <= 0:
                return {"input": found}
            await watch.change(left_s)


@router.post("/slices", operation_id="createSlices")
async def create_slices(node: SignedNode, market: Market) -> Json:
    """Report results with their signed slices; each is taken or refused by itself."""
    batch = node.caller.parse(SliceBatch)
    answers: list[Json] = [None] * len(batch.slices)
    commands: dict[int, Command] = {}
    for place, item in enumerate(batch.slices):
        try:
            commands[place] = slice_command(market.broker, node.node_id, item)
        except MarketError as error:
            answers[place] = refused_item(item.job_id, error)
    results = await market.writer.submit(list(commands.values()))
    for place, result in zip(commands, results, strict=True):
        answers[place] = (
            refused_item(batch.slices[place].job_id, result)
            if isinstance(result, MarketError)
            else result
        )
    return {"jobs": answers}
