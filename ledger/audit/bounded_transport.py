"""Carries requests with one time limit for all of each: sending, headers, and body.

The limits of an HTTP client are for single steps. A server that sends one byte within
each of them could hold its reader for weeks, in the midst of the headers even.
"""

import asyncio
from collections.abc import Iterator

import httpx

EXCHANGE_S_MAX = 60.0
"""16 MB, the largest bundle, over 2.3 Mbit/s."""

EXCHANGE_BYTES_MAX = 2**24 + 2**20
"""A bundle of 256 of the largest entries, and room."""

_PIECE_BYTES = 4_096


class BoundedTransport(httpx.BaseTransport):
    """Reads each answer to its end, or gives up. For one thread without event loop."""

    def __init__(self, *, exchange_s: float = EXCHANGE_S_MAX) -> None:
        """Open nothing yet.

        Args:
            exchange_s: For all of one request and its answer.
        """
        self._exchange_s = exchange_s
        self._transport = httpx.AsyncHTTPTransport(trust_env=False)
        self._runner = asyncio.Runner()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request; the answer is not unpacked.

        Raises:
            httpx.ReadTimeout: It took too long.
            httpx.ReadError: The answer is too large.
            httpx.TransportError: The server cannot be reached or breaks HTTP.
        """
        return self._runner.run(self._exchange(request))

    def close(self) -> None:
        """Close all connections."""
        self._runner.run(self._transport.aclose())
        self._runner.close()

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(self._exchange_s):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await _read(response, request)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            message = f"no answer within {self._exchange_s:.0f} s"
            raise httpx.ReadTimeout(message, request=request) from error
        return httpx.Response(
            response.status_code, headers=response.headers, stream=_Pieces(body)
        )


async def _read(response: httpx.Response, request: httpx.Request) -> bytes:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = bytearray()
    async for chunk in response.stream:
        body += chunk
        if len(body) > EXCHANGE_BYTES_MAX:
            raise httpx.ReadError("the answer is too large", request=request)
    return bytes(body)


class _Pieces(httpx.SyncByteStream):
    """A body in small pieces: what is packed unpacks to a thousand times as much."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._body), _PIECE_BYTES):
            yield self._body[at : at + _PIECE_BYTES]
