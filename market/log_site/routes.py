"""HTTP: the log in the layout of C2SP tlog-tiles, for anybody, without signing."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from ledger.encoding import Json
from ledger.errors import TileError
from market.context import Context, Market
from market.errors import NotFoundError
from market.json_route import JsonRoute
from market.log_site.cached_answer import FOR_SECONDS, IMMUTABLE, cached_answer

router = APIRouter(prefix="/log", tags=["log"], route_class=JsonRoute)

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"


@router.head("/log.vkey", include_in_schema=False)
@router.get("/log.vkey", operation_id="getLogKey")
async def get_log_key(request: Request, market: Market) -> Response:
    """The log's verifier keys. Pin them: who asks again can be told others."""
    keys = await run_in_threadpool(lambda: market.log.keys)
    return _text(request, keys.text.encode())


@router.head("/checkpoint", include_in_schema=False)
@router.get("/checkpoint", operation_id="getCheckpoint")
async def get_checkpoint(request: Request, market: Market) -> Response:
    """The newest signed checkpoint."""
    return _text(request, await _read(market, "checkpoint"))


@router.head("/checkpoint.witnessed", include_in_schema=False)
@router.get("/checkpoint.witnessed", operation_id="getWitnessedCheckpoint")
async def get_witnessed_checkpoint(request: Request, market: Market) -> Response:
    """The newest checkpoint that the quorum has cosigned."""
    note = await run_in_threadpool(market.log.witnessed_note)
    if note is None:
        raise NotFoundError("No checkpoint has met the quorum.")
    return _text(request, note)


@router.get("/witnesses", operation_id="getWitnesses")
async def get_witnesses(market: Market) -> Json:
    """Who cosigns the log, what they cosigned last, and whether it is enough."""
    return await run_in_threadpool(market.witnesses.status)


@router.head("/keys/{generation}.tlog-proof", include_in_schema=False)
@router.get("/keys/{generation}.tlog-proof", operation_id="getLogKeyChange")
async def get_log_key_change(
    generation: Annotated[int, PathParameter(ge=2, le=2**32)],
    request: Request,
    market: Market,
) -> Response:
    """The proof of a change of the log's keys, for those who know the old ones."""
    proof = await run_in_threadpool(market.log.key_change, generation)
    if proof is None:
        raise NotFoundError("There was no such change of keys.")
    return _text(request, proof)


@router.head("/tile/{path:path}", include_in_schema=False)
@router.get("/tile/{path:path}", operation_id="getTile")
async def get_tile(path: str, request: Request, market: Market) -> Response:
    """A hash tile or an entry bundle, full or partial."""
    data = await _read(market, f"tile/{path}")
    return cached_answer(request, data, media_type=BYTES, cache_control=IMMUTABLE)


def _text(request: Request, data: bytes) -> Response:
    return cached_answer(request, data, media_type=TEXT, cache_control=FOR_SECONDS)


async def _read(market: Context, path: str) -> bytes:
    try:
        return await run_in_threadpool(market.log.tiles.read, path)
    except TileError:
        raise NotFoundError("The log has no such file.") from None
