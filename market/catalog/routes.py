"""HTTP: the catalogue of offers and workloads, and the runner they run on."""

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from pydantic import Field
from sqlmodel import Session

from ledger.document import Base64, Document
from ledger.encoding import Json, canonical_json, decode_base64
from ledger.statements.statement import Statement, parse_statement
from market.auth import SignedCaller
from market.catalog.offers import list_offers, publish_offer, withdraw_offer
from market.catalog.workloads import (
    CONTENT_BYTES_MAX,
    find_workload,
    publish_workload,
)
from market.context import Market
from market.errors import InvalidError, NotFoundError
from market.json_route import JsonRoute
from market.pagination import PER_PAGE_MAX, Page, PerPage, pagination_json
from market.writer import Command

router = APIRouter(prefix="/catalog/v0.1", tags=["catalog"], route_class=JsonRoute)


class OfferPublication(Document):
    """A signed `offer` statement."""

    statement: dict[str, Json]


class WorkloadPublication(Document):
    """A signed `workload` statement with the content that it names."""

    statement: dict[str, Json]
    content: Base64 = Field(max_length=2 * CONTENT_BYTES_MAX)


@router.post("/offers", operation_id="createOffer")
async def create_offer(caller: SignedCaller, market: Market) -> Json:
    """Publish a provider's offer for a node; it replaces the node's earlier one."""
    publication = caller.parse(OfferPublication)
    statement = _own_statement(publication.statement, "provider", caller.account_id)
    command = Command(
        party=caller.account_id,
        command_id=f"offer/{getattr(statement.body, 'offer_id', '')}",
        payload=publication.statement,
        apply=lambda transaction: publish_offer(transaction, market.broker, statement),
    )
    return await market.writer.submit_one(command)


@router.get("/offers", operation_id="getOffers")
async def get_offers(
    caller: SignedCaller,
    market: Market,
    *,
    mine: bool = False,
    page: Page = 1,
    per_page: PerPage = PER_PAGE_MAX,
) -> Json:
    """List live offers, all of them or the caller's own."""
    provider = caller.account_id if mine else None
    now_ms = market.clock.now_ms()

    def read(session: Session) -> Json:
        offers, total = list_offers(
            session,
            market.broker,
            provider=provider,
            now_ms=now_ms,
            page=page,
            per_page=per_page,
        )
        pagination = pagination_json(page=page, per_page=per_page, total=total)
        return {"offers": offers, "pagination": pagination}

    return await market.read(read)


@router.delete("/offers/{offerId}", operation_id="deleteOffer")
async def delete_offer(offerId: str, caller: SignedCaller, market: Market) -> Json:  # noqa: N803 - the API's name
    """Withdraw one of the caller's offers; jobs that run on it go on."""
    command = Command(
        party=caller.account_id,
        command_id=f"withdraw/{offerId}",
        payload=offerId,
        apply=lambda transaction: withdraw_offer(
            transaction, market.broker, caller.account_id, offerId
        ),
    )
    return await market.writer.submit_one(command)


@router.post("/workloads", operation_id="createWorkload")
async def create_workload(caller: SignedCaller, market: Market) -> Json:
    """Publish a workload under its owner's name and price."""
    publication = caller.parse(WorkloadPublication)
    statement = _own_statement(publication.statement, "owner", caller.account_id)
    content = decode_base64(publication.content)
    command = Command(
        party=caller.account_id,
        command_id=f"workload/{getattr(statement.body, 'workload_id', '')}",
        payload=publication.statement,
        apply=lambda transaction: publish_workload(transaction, statement, content),
    )
    return await market.writer.submit_one(command)


@router.get("/workloads/{workloadId}", operation_id="getWorkload")
async def get_workload(workloadId: str, _caller: SignedCaller, market: Market) -> Json:  # noqa: N803 - the API's name
    """Describe a published workload; its content stays with its owner."""

    def read(session: Session) -> Json:
        workload = find_workload(session, workloadId)
        return {
            "workloadId": workload.workload_id,
            "owner": workload.owner,
            "name": workload.name,
            "kind": workload.workload_kind,
            "contentDigest": workload.content_digest,
            "contentBytes": len(workload.content),
            "royaltyMicrocredits": workload.royalty_microcredits,
        }

    return await market.read(read)


@router.get("/runners/{sha384}", operation_id="getRunner")
async def get_runner(sha384: str, market: Market) -> Response:
    """Download the Python runner component that this market uses; public."""
    if sha384 != market.broker.runner:
        raise NotFoundError("This market publishes another runner.")
    return FileResponse(
        market.runner_path,
        media_type="application/wasm",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )


def _own_statement(value: dict[str, Json], role: str, account_id: str) -> Statement:
    statement = parse_statement(canonical_json(value))
    if getattr(statement.body, role, None) != account_id:
        raise InvalidError(f"The caller must be the {role} that the statement names.")
    return statement
