"""One job at a time on an idle market, all parts running as separate processes."""

import statistics
import time
from contextlib import ExitStack

from running_market import open_market

WARM_UP = 10
REPEATS = 100


def job_roundtrip_ms_p50(stack: ExitStack) -> float:
    """Milliseconds from the SDK's call until its slice is countersigned and charged."""
    market = open_market(stack, nodes=1)

    @market.offload(sensitivity="public")
    def nothing(x: int) -> int:
        return x

    times_ms = []
    for place in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        assert nothing(place) == place
        times_ms.append((time.perf_counter() - started) * 1000)
    return statistics.median(times_ms[WARM_UP:])
