"""One no-op Python function in the sandbox."""

import os
import statistics
import time
from contextlib import ExitStack

from enclave_sim.sandbox.cache import default_cache
from enclave_sim.sandbox.limits import Limits
from enclave_sim.sandbox.pool import SandboxPool
from enclave_sim.sandbox.runner import build_runner

SOURCE = "def nothing(x):\n    return x\n"
LIMITS = Limits(fuel=10**9, memory_bytes=2**28, time_ms=10_000, output_bytes=2**16)
WARM_UP = 20
REPEATS = 300


def python_job_ms_p50(stack: ExitStack) -> float:
    """Milliseconds from call to outcome, through the pool, a fresh instance each."""
    cache = default_cache(os.environ)
    pool = stack.enter_context(SandboxPool(1, build_runner(cache), cache))
    times_ms = []
    for _ in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        outcome = pool.run(SOURCE, "nothing", b"[1]", LIMITS)
        times_ms.append((time.perf_counter() - started) * 1000)
        assert outcome.status == "succeeded"
    return statistics.median(times_ms[WARM_UP:])
