"""Who is calling: a signed request, its body read once and bounded.

Every route but the public ones depends on `Caller`. The signature covers method,
address, query, body and time; the nonce counts once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from ledger.document import Document
from ledger.errors import EncodingError, RequestError
from ledger.request_signing import verify_request
from ledger.signing import PublicKey
from market.context import Market
from market.errors import (
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnauthenticatedError,
)

JSON_BYTES_MAX = 8 * 2**20
"""256 orders with 16 KiB of payload each, and room."""
BLOB_BYTES_MAX = 64 * 2**20
"""As `PAYLOAD_BYTES_MAX` of the ledger's order terms."""

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
            return form.from_bytes(self.body, size_max=JSON_BYTES_MAX)
        except EncodingError as error:
            raise InvalidError(str(error)) from error


def _authenticate(size_max: int) -> Callable[..., object]:
    async def authenticate(request: Request, market: Market) -> Caller:
        body = await _read_body(request, size_max)
        url = market.public_url + request.url.path
        if request.url.query:
            url += "?" + request.url.query
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in request.headers.raw
        ]
        now_ms = market.clock.now_ms()

        def verify() -> Caller:
            signed = verify_request(request.method, url, headers, body, now_ms=now_ms)
            market.replay.admit(signed, now_ms=now_ms)
            return Caller(signed.public_key, body)

        try:
            if len(body) > JSON_BYTES_MAX:
                return await run_in_threadpool(verify)
            return verify()
        except RequestError as error:
            raise UnauthenticatedError(str(error)) from error

    return authenticate


async def _read_body(request: Request, size_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > size_max:
            raise TooLargeError(f"A body has at most {size_max} bytes here.")
        parts.append(part)
    return b"".join(parts)


SignedCaller = Annotated[Caller, Depends(_authenticate(JSON_BYTES_MAX))]
"""For routes that take JSON or nothing."""
Uploader = Annotated[Caller, Depends(_authenticate(BLOB_BYTES_MAX))]
"""For routes that take a blob."""


async def _node_of(caller: SignedCaller, market: Market) -> "NodeCaller":
    if market.broker.fleet.offer_of(caller.node_id) is None:
        raise NotFoundError("This node has no live offer here.")
    market.broker.fleet.seen(caller.node_id, market.clock.now_ms())
    return NodeCaller(caller)


@dataclass(frozen=True)
class NodeCaller:
    """A caller that is a node with a live offer; calling counts as a sign of life."""

    caller: Caller

    @property
    def node_id(self) -> str:
        """The node's id."""
        return self.caller.node_id


SignedNode = Annotated[NodeCaller, Depends(_node_of)]
"""For the routes of agents."""
