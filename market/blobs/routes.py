"""HTTP: uploads of payloads that are too large to travel inline."""

from fastapi import APIRouter
from sqlalchemy import insert
from starlette.concurrency import run_in_threadpool

from ledger.encoding import Json
from market.auth import Uploader
from market.blobs.models import Blob
from market.context import Market
from market.errors import InvalidError
from market.transaction import Transaction
from market.writer import Command

router = APIRouter(prefix="/blobs/v0.1", tags=["blobs"])


@router.put("/blobs", operation_id="putBlob")
async def put_blob(caller: Uploader, market: Market) -> Json:
    """Upload up to 64 MiB; the answer names them by SHA-256."""
    if not caller.body:
        raise InvalidError("An empty blob is no blob.")
    digest = await run_in_threadpool(market.broker.blobs.put, caller.body)
    size_bytes = len(caller.body)
    party = caller.account_id
    if market.broker.fleet.offer_of(caller.node_id) is not None:
        party = caller.node_id

    def apply(transaction: Transaction) -> Json:
        row = {
            "digest": digest,
            "owner": party,
            "size_bytes": size_bytes,
            "created_at_ms": transaction.now_ms,
        }
        transaction.session.execute(insert(Blob), row)
        return {"digest": digest, "sizeBytes": size_bytes}

    command = Command(
        party=party, command_id=f"blob/{digest}", payload=digest, apply=apply
    )
    return await market.writer.submit_one(command)
