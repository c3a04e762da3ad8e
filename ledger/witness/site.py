"""A witness over HTTP: one route to submit, two to look.

Bodies are bounded in size and in time. Put a proxy with TLS before it to serve it
to others than this machine.

Source: C2SP tlog-witness.
"""

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ledger.log.witness_protocol import ADD_CHECKPOINT_PATH, REQUEST_BYTES_MAX
from ledger.witness.errors import WitnessStoreError
from ledger.witness.witness import Answer, Status, Witness

BODY_S_MAX = 10.0
"""70 KB at 56 kbit/s; a slower sender would only hold a connection."""

_UNAVAILABLE = 503

Tell = Callable[[int, str], None]
"""Told of each decision: the HTTP status and one line, which may hold outside text."""


def create_site(witness: Witness, *, tell: Tell) -> Starlette:
    """Make the application that serves a witness.

    Args:
        witness: What decides.
        tell: Told of each decision, from any thread.
    """
    site = _Site(witness, tell)
    return Starlette(
        routes=[
            Route(f"/{ADD_CHECKPOINT_PATH}", site.add_checkpoint, methods=["POST"]),
            Route("/{digest:str}/checkpoint", site.checkpoint, methods=["GET"]),
            Route("/vkey", site.vkey, methods=["GET"]),
        ]
    )


class _Site:
    """The routes of one witness."""

    def __init__(self, witness: Witness, tell: Tell) -> None:
        self._witness = witness
        self._tell = tell

    async def add_checkpoint(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_S_MAX):
                body = await _read_body(request)
        except TimeoutError:
            return self._refuse("The request did not arrive in time.")
        if body is None:
            return self._refuse(f"A request has at most {REQUEST_BYTES_MAX} bytes.")
        return await run_in_threadpool(self._decide, body)

    def checkpoint(self, request: Request) -> Response:
        path = f"{request.path_params['digest']}/checkpoint"
        try:
            note = self._witness.shown(path)
        except WitnessStoreError as error:
            return self._fail(error)
        if note is None:
            return PlainTextResponse("Nothing was cosigned for this log.\n", 404)
        headers = {"cache-control": "no-cache"}
        return Response(note, media_type="text/plain", headers=headers)

    async def vkey(self, _: Request) -> Response:
        return PlainTextResponse("".join(f"{vkey}\n" for vkey in self._witness.vkeys))

    def _decide(self, body: bytes) -> Response:
        try:
            answer = self._witness.add_checkpoint(body)
        except (WitnessStoreError, OSError) as error:
            return self._fail(error)
        self._tell(answer.status, answer.account)
        return _respond(answer)

    def _refuse(self, reason: str) -> Response:
        self._tell(Status.MALFORMED, reason)
        return _respond(Answer(Status.MALFORMED, f"{reason}\n".encode(), reason))

    def _fail(self, error: Exception) -> Response:
        self._tell(_UNAVAILABLE, str(error))
        return PlainTextResponse("The witness cannot remember.\n", _UNAVAILABLE)


async def _read_body(request: Request) -> bytes | None:
    """Return the body, or None if it is larger than a request can be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > REQUEST_BYTES_MAX:
            return None
    return bytes(body)


def _respond(answer: Answer) -> Response:
    # Set as it is: Starlette would add a charset to the type of a size.
    headers = {"content-type": answer.media_type}
    return Response(answer.body, int(answer.status), headers=headers)
