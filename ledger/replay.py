"""Refuses signed requests that were made before: each counts once.

Source: RFC 9421, section 7.2.2 (signature replay).
"""

import heapq
import threading

from ledger.request_signing import Refusal, RefusedRequestError, SignedRequest

REPLAY_CAPACITY = 2**20
"""Over 10,000 requests a second, each remembered for at most 90 s; about 250 MB."""


class ReplayWindow:
    """Remembers the requests of the last minutes, so that each counts once.

    In memory, for one process; safe for several threads. It fails closed: what
    cannot be remembered is refused. Let it see a request only when the key is
    known to be a customer's, or strangers fill it.

    A restart forgets, so requests made before the start are refused. What remains
    is a signer whose clock runs ahead: its last requests before a restart could be
    repeated for as long as it is ahead. Add the skew to `started_ms` to exclude
    that too, at the price of refusing everybody for as long. Commands carry an id
    of their own and are never executed twice in any case.

    Args:
        started_ms: When this process began to listen, in Unix milliseconds.
        capacity: How many requests are remembered at most.
    """

    def __init__(self, *, started_ms: int, capacity: int = REPLAY_CAPACITY) -> None:
        self._started_s = started_ms // 1000
        self._capacity = capacity
        self._lock = threading.Lock()
        self._seen: set[bytes] = set()
        self._by_expiry: list[tuple[int, bytes]] = []
        self._latest_ms = started_ms

    def admit(self, request: SignedRequest, *, now_ms: int) -> None:
        """Remember a request, once.

        Args:
            request: From `verify_request`, with the same `now_ms`.
            now_ms: The time, in Unix milliseconds.

        Raises:
            RefusedRequestError: It was here before, or that cannot be told.
        """
        if request.created_s < self._started_s:
            raise RefusedRequestError(
                Refusal.BEFORE_START, "Made before the start; sign it again."
            )
        entry = request.public_key.data + bytes.fromhex(request.nonce)
        with self._lock:
            # A clock that is set back must not revive what was forgotten.
            self._latest_ms = max(self._latest_ms, now_ms)
            self._forget_expired()
            if self._latest_ms > request.over_after_ms:
                raise RefusedRequestError(
                    Refusal.EXPIRED, "The request's life is over."
                )
            if entry in self._seen:
                raise RefusedRequestError(
                    Refusal.REPLAYED, "This request was made before."
                )
            if len(self._seen) >= self._capacity:
                raise RefusedRequestError(
                    Refusal.WINDOW_FULL, "Too many requests; try again later."
                )
            self._seen.add(entry)
            heapq.heappush(self._by_expiry, (request.over_after_ms, entry))

    def _forget_expired(self) -> None:
        while self._by_expiry and self._by_expiry[0][0] < self._latest_ms:
            self._seen.remove(heapq.heappop(self._by_expiry)[1])
