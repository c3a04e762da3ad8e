"""Who is calling: a signed request, its body read once and bounded.

Every route but the public ones depends on `Caller`. The signature covers method,
address, query, body and time; the nonce counts once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from ledger.document import Document
from ledger.encoding import parse_json
from ledger.errors import EncodingError, RequestError
from ledger.request_signing import (
    Refusal,
    RefusedRequestError,
    SignedRequest,
    verify_request,
)
from ledger.signing import PublicKey
from market.context import Market
from market.errors import (
    InvalidError,
    LimitError,
    MarketError,
    NotFoundError,
    SlowError,
    TooLargeError,
    UnauthenticatedError,
)

JSON_BYTES_MAX = 8 * 2**20
"""256 orders with 16 KiB of payload each, and room."""
BLOB_BYTES_MAX = 64 * 2**20
"""As `PAYLOAD_BYTES_MAX` of the ledger's order terms."""
BODY_READ_S_MAX = 120
"""64 MiB over 5 Mbit/s; slower, a sender would hold memory for too long."""
NOT_STRICT_JSON = (
    "The body is not strict JSON: UTF-8, no key twice in an object, whole numbers "
    "within 2**53 - 1, at most 16 levels."
)

DocumentType = TypeVar("DocumentType", bound=Document)


@dataclass(frozen=True)
class Caller:
    """The key that signed the request, and the body that it signed."""

    key: PublicKey
    body: bytes

    @property
    def account_id(self) -> str:
        """The caller as a party."""
        return self.key.account_id

    @property
    def node_id(self) -> str:
        """The caller as a node."""
        return self.key.node_id

    def parse(self, form: type[DocumentType]) -> DocumentType:
        """Read the body as a document.

        Raises:
            InvalidError: It is not strict JSON of this form.
        """
        try:
            value = parse_json(self.body, size_max=JSON_BYTES_MAX)
        except EncodingError as error:
            # The parser's own words may quote the payload.
            raise InvalidError(NOT_STRICT_JSON) from error
        try:
            return form.from_json(value)
        except EncodingError as error:
            raise InvalidError(str(error)) from error


def _authenticate(size_max: int) -> Callable[..., object]:
    async def authenticate(request: Request, market: Market) -> Caller:
        if "\0" in request.scope["path"]:
            # No name has it, and not every database can be asked for it.
            raise NotFoundError("There is nothing of this name.")
        body = await _read_body(request, size_max)
        # As they arrived: what a framework has decoded is not what was signed.
        path, query = request.scope["raw_path"], request.scope["query_string"]
        target = path + b"?" + query if query else path
        url = market.public_url + target.decode("latin-1")
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
        ]
        now_ms = market.clock.now_ms()

        def verify() -> SignedRequest:
            signed = verify_request(request.method, url, headers, body, now_ms=now_ms)
            market.replay.admit(signed, now_ms=now_ms)
            return signed

        try:
            if len(body) > JSON_BYTES_MAX:
                signed = await run_in_threadpool(verify)
            else:
                signed = verify()
            await market.peers.admit(signed)
        except RequestError as error:
            raise _refusal(error) from error
        return Caller(signed.public_key, body)

    return authenticate


def _refusal(error: RequestError) -> MarketError:
    reason = error.reason if isinstance(error, RefusedRequestError) else None
    if reason is Refusal.WINDOW_FULL:
        return LimitError(str(error))
    return UnauthenticatedError(str(error))


async def _read_body(request: Request, size_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_READ_S_MAX):
            async for part in request.stream():
                size += len(part)
                if size > size_max:
                    raise TooLargeError(f"A body has at most {size_max} bytes here.")
                parts.append(part)
    except TimeoutError:
        raise SlowError(f"A body arrives within {BODY_READ_S_MAX} s.") from None
    return b"".join(parts)


SignedCaller = Annotated[Caller, Depends(_authenticate(JSON_BYTES_MAX))]
"""For routes that take JSON or nothing."""
Uploader = Annotated[Caller, Depends(_authenticate(BLOB_BYTES_MAX))]
"""For routes that take a blob."""


async def _node_of(caller: SignedCaller, market: Market) -> "NodeCaller":
    await market.peers.learn(caller.node_id)
    if not market.broker.fleet.knows(caller.node_id):
        raise NotFoundError("No offer was ever published for this node.")
    market.broker.fleet.seen(caller.node_id, market.clock.now_ms())
    return NodeCaller(caller)


@dataclass(frozen=True)
class NodeCaller:
    """A caller that was offered as a node; calling counts as a sign of life."""

    caller: Caller

    @property
    def node_id(self) -> str:
        """The node's id."""
        return self.caller.node_id


SignedNode = Annotated[NodeCaller, Depends(_node_of)]
"""For the routes of agents."""
