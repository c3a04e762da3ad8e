"""Wakes those who wait for something to change: a consumer's jobs, a node's queue.

Long polls sleep here instead of asking the database again and again. A wake-up says
only that a look is worth while; the truth is in the database.
"""

import asyncio
from collections.abc import Iterable
from typing import Self


class Changes:
    """Wake-ups by key, for the waiters of one process's event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: dict[str, set[asyncio.Event]] = {}

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the event loop in which all waiters live."""
        self._loop = loop

    def announce(self, keys: Iterable[str]) -> None:
        """Wake the waiters of these keys; may be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, tuple(keys))

    def announce_all(self) -> None:
        """Wake all waiters: what has changed is not known."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._wake(tuple(self._waiters)))

    def watch(self, key: str) -> "Watch":
        """Begin to watch a key; changes from now on are not missed."""
        return Watch(self._waiters, key)

    def _wake(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            for waiter in self._waiters.get(key, ()):
                waiter.set()


class Watch:
    """A context in which one waiter is told of changes to one key."""

    def __init__(self, waiters: dict[str, set[asyncio.Event]], key: str) -> None:
        self._waiters = waiters
        self._key = key
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        self._waiters.setdefault(self._key, set()).add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        waiting = self._waiters[self._key]
        waiting.discard(self._event)
        if not waiting:
            del self._waiters[self._key]

    async def change(self, timeout_s: float) -> bool:
        """Wait for the next change; False if the time ran out first."""
        try:
            async with asyncio.timeout(max(timeout_s, 0)):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
