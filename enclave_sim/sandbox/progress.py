"""How long steps tell how far they are."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

Progress = Callable[[str, float], None]
"""Called with the name of a step and the part that is done, 0 to 1.

It may be called from another thread than the one that does the work. In between,
the part is an estimate from the time that the step usually takes.
"""

_TICK_S = 0.2
_ESTIMATE_MAX = 0.98


def ignore_progress(step: str, part: float) -> None:
    """Tell nobody; for callers without anyone to tell."""


@contextlib.contextmanager
def shown(progress: Progress, step: str, *, usual_s: float) -> Iterator[None]:
    """Report a step as 0 when it begins, as 1 when it is done, and an estimate between.

    Args:
        progress: Whom to tell.
        step: A short name, as a person reads it.
        usual_s: How long the step takes on an ordinary machine.
    """
    started_s = time.monotonic()
    done = threading.Event()

    def tick() -> None:
        while not done.wait(_TICK_S):
            elapsed_s = time.monotonic() - started_s
            progress(step, min(elapsed_s / usual_s, _ESTIMATE_MAX))

    progress(step, 0.0)
    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        yield
    finally:
        done.set()
        ticker.join()
    progress(step, 1.0)
