"""Stops a run that takes too long, by the engine's epoch."""

import contextlib
import threading
import time
from collections.abc import Iterator

import wasmtime

TICK_S = 0.02
"""How late a run may be stopped; short against any limit that a job would set."""


class Watchdog:
    """A thread that ticks one engine's epoch when the run under way is overdue.

    Between runs it soon falls asleep. Starting a thread for each run would take
    longer than many runs do.
    """

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._deadline_s: float | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    @contextlib.contextmanager
    def watching(self, time_ms: int) -> Iterator[None]:
        """Tick once if the body takes longer than `time_ms`; never after its end."""
        with self._lock:
            self._deadline_s = time.monotonic() + time_ms / 1000
            if not self._awake.is_set():
                self._awake.set()
        try:
            yield
        finally:
            with self._lock:
                self._deadline_s = None

    def _watch(self) -> None:
        pause = threading.Event()
        while self._awake.wait():
            pause.wait(TICK_S)
            with self._lock:
                if self._deadline_s is None:
                    self._awake.clear()
                elif time.monotonic() >= self._deadline_s:
                    self._engine.increment_epoch()
                    self._deadline_s = None
