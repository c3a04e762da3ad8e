"""HTTP: the log in the layout of C2SP tlog-tiles, for anybody, without signing."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool

from ledger.errors import TileError
from market.context import Market
from market.errors import NotFoundError

router = APIRouter(prefix="/log", tags=["log"])

IMMUTABLE = "public, max-age=31536000, immutable"


@router.get("/log.vkey", operation_id="getLogKey")
async def get_log_key(market: Market) -> Response:
    """The log's verifier key. Pin it: who asks again can be told another."""
    return PlainTextResponse(market.log_key + "\n")


@router.get("/checkpoint", operation_id="getCheckpoint")
async def get_checkpoint(market: Market) -> Response:
    """The newest signed checkpoint."""
    return await _file(market, "checkpoint", "text/plain; charset=utf-8", "no-cache")


@router.get("/tile/{path:path}", operation_id="getTile")
async def get_tile(path: str, market: Market) -> Response:
    """A hash tile or an entry bundle, full or partial."""
    return await _file(market, f"tile/{path}", "application/octet-stream", IMMUTABLE)


async def _file(market: Market, path: str, media_type: str, cache: str) -> Response:
    try:
        data = await run_in_threadpool(market.log.tiles.read, path)
    except TileError:
        raise NotFoundError("The log has no such file.") from None
    return Response(data, media_type=media_type, headers={"Cache-Control": cache})
