"""HTTP: balances, top-ups, invoices, earnings, disclosures of the calling account."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import Session

from ledger.books.books import Books
from ledger.encoding import Json
from market.auth import SignedCaller
from market.billing.service import (
    TopUp,
    balance,
    disclosures,
    earnings,
    invoice,
    open_jobs,
    top_up,
)
from market.context import Market
from market.identity.service import require_account
from market.json_route import JsonRoute
from market.writer import Command

router = APIRouter(prefix="/billing/v0.1", tags=["billing"], route_class=JsonRoute)


@router.post("/top-ups", operation_id="createTopUp")
async def create_top_up(caller: SignedCaller, market: Market) -> Json:
    """Credit the caller with development credit."""
    wish = caller.parse(TopUp)
    command = Command(
        party=caller.account_id,
        command_id=f"top-up/{wish.transfer_id}",
        payload=wish.to_json(),
        apply=lambda transaction: top_up(
            transaction, market.broker, caller.account_id, wish
        ),
    )
    return await market.writer.submit_one(command)


@router.get("/balance", operation_id="getBalance")
async def get_balance(caller: SignedCaller, market: Market) -> Json:
    """The caller's money: posted, held, free, and how many jobs are open."""

    def read(session: Session) -> Json:
        require_account(session, caller.account_id)
        books = Books(session, now_ms=market.clock.now_ms(), locking=False)
        return {
            **balance(books, caller.account_id),
            "openJobs": open_jobs(session, caller.account_id),
        }

    return await market.read(read)


@router.get("/invoice", operation_id="getInvoice")
async def get_invoice(caller: SignedCaller, market: Market) -> Json:
    """All charges of the caller as a consumer."""
    return await market.read(lambda session: invoice(session, caller.account_id))


@router.get("/earnings", operation_id="getEarnings")
async def get_earnings(caller: SignedCaller, market: Market) -> Json:
    """What the caller earned as a provider and as an owner of workloads."""
    return await market.read(lambda session: earnings(session, caller.account_id))


@router.get("/disclosures", operation_id="getDisclosures")
async def get_disclosures(
    caller: SignedCaller,
    market: Market,
    after: Annotated[int, Query(ge=-1, le=2**52)] = -1,
) -> Json:
    """The statements in which the caller takes part, opened, by log index."""

    def read(session: Session) -> Json:
        return {"disclosures": disclosures(session, caller.account_id, after=after)}

    return await market.read(read)
