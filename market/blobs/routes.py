"""HTTP: uploads of payloads that are too large to travel inline."""

from fastapi import APIRouter
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool

from ledger.encoding import Json, sha256_text
from market.auth import Uploader
from market.blobs.uploads import record_upload, require_room
from market.context import Market
from market.errors import InvalidError
from market.json_route import JsonRoute
from market.transaction import Transaction
from market.writer import Command

router = APIRouter(prefix="/blobs/v0.1", tags=["blobs"], route_class=JsonRoute)


@router.put("/blobs", operation_id="putBlob")
async def put_blob(caller: Uploader, market: Market) -> Json:
    """Upload up to 64 MiB; the answer names them by SHA-256."""
    if not caller.body:
        raise InvalidError("An empty blob is no blob.")
    digest = await run_in_threadpool(sha256_text, caller.body)
    size_bytes = len(caller.body)

    def check(session: Session) -> None:
        require_room(
            session, market.broker, caller.key, digest=digest, size_bytes=size_bytes
        )

    await market.peers.learn(caller.node_id)
    await market.read(check)
    await run_in_threadpool(market.broker.blobs.put, caller.body)

    def apply(transaction: Transaction) -> Json:
        record_upload(transaction, caller.key, digest=digest, size_bytes=size_bytes)
        return {"digest": digest, "sizeBytes": size_bytes}

    command = Command(
        party=caller.account_id,
        command_id=f"blob/{digest}",
        payload=digest,
        apply=apply,
    )
    return await market.writer.submit_one(command)
