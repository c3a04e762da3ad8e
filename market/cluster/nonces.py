"""Signed requests count once, whichever process they are sent to.

Each process remembers its own requests; here is what all of them remember together.
Those that arrive at the same time are stored together.

They are stored without waiting for the disk, so a database that crashes may lose the
last of them. But then every process loses its connection too, and when it has
another one it refuses all requests that were made before.

Source: RFC 9421, section 7.2.2 (signature replay).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import URL

from ledger.errors import LedgerError
from ledger.request_signing import Refusal, RefusedRequestError, SignedRequest
from ledger.writing.group_commit import GroupCommit
from market import postgresql
from market.clock import Clock
from market.errors import UnavailableError
from market.refusals import refusal_of

TIDIED_EVERY_MS = 10_000
CLOCK_SKEW_MS = 60_000
"""What has expired is kept for so long: another process' clock may be behind."""
FORGOTTEN_MAX = 20_000
"""Deleted at once; more would make requests wait."""

_REMEMBER = """
INSERT INTO request_nonce (request, over_after_ms)
SELECT * FROM unnest(%s::bytea[], %s::bigint[])
ON CONFLICT (request) DO NOTHING
RETURNING request
"""
_FORGET = """
DELETE FROM request_nonce WHERE request IN (
    SELECT request FROM request_nonce WHERE over_after_ms < %s
    LIMIT %s FOR UPDATE SKIP LOCKED
)
"""


class SharedNonces:
    """Remembers requests for all processes, in a thread between `start` and `stop`."""

    def __init__(self, url: URL, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._group = GroupCommit[SignedRequest, bool](self._remember)
        self._connection: psycopg.Connection[Any] | None = None
        self._was_lost = False
        self._floor_s = 0
        """Requests that were made before this may have been forgotten."""
        self._tidied_ms = clock.now_ms()

    def start(self) -> None:
        """Begin to remember."""
        self._group.start()

    def stop(self) -> None:
        """Store what waits, then stop."""
        self._group.stop()
        self._disconnect()

    async def admit(self, request: SignedRequest) -> None:
        """Remember a request, once.

        Raises:
            RefusedRequestError: A process has admitted it before.
            UnavailableError: Whether one has cannot be told now.
            LimitError: Too many requests wait.
        """
        try:
            is_new = await asyncio.wrap_future(self._group.submit([request]))
        except LedgerError as error:
            raise refusal_of(error) from error
        if request.created_s <= self._floor_s:
            raise UnavailableError("The database was away; sign the request again.")
        if not is_new:
            raise RefusedRequestError(Refusal.REPLAYED, "This request was made before.")

    def _remember(self, groups: Sequence[Sequence[SignedRequest]]) -> list[bool]:
        requests = [request for group in groups for request in group]
        names = [item.public_key.data + bytes.fromhex(item.nonce) for item in requests]
        times = [item.over_after_ms for item in requests]
        try:
            connection = self._connected()
            stored = {
                bytes(row[0]) for row in connection.execute(_REMEMBER, (names, times))
            }
            self._tidy(connection)
        except psycopg.Error:
            self._was_lost = True
            self._disconnect()
            raise
        return [name in stored for name in names]

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = postgresql.connect(self._url)
            self._connection.execute("SET synchronous_commit = off")
            if self._was_lost:
                self._floor_s = self._clock.now_ms() // 1000
        return self._connection

    def _tidy(self, connection: psycopg.Connection[Any]) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - self._tidied_ms > TIDIED_EVERY_MS:
            self._tidied_ms = now_ms
            connection.execute(_FORGET, (now_ms - CLOCK_SKEW_MS, FORGOTTEN_MAX))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
