"""Many no-op jobs at once, and the same no-ops on Dask's distributed."""

import time
from contextlib import ExitStack

from running_market import open_market, worker_count

JOBS = 2_000


def jobs_per_s(stack: ExitStack) -> float:
    """Jobs per second, each held, leased, run, signed twice, charged and logged."""
    market = open_market(stack, nodes=worker_count())

    @market.offload(sensitivity="public")
    def nothing(x: int) -> int:
        return x

    nothing.map(range(50))
    started = time.perf_counter()
    values = nothing.map(range(JOBS))
    elapsed_s = time.perf_counter() - started
    assert values == list(range(JOBS))
    return JOBS / elapsed_s


def dask_tasks_per_s(stack: ExitStack) -> float:
    """Tasks per second of the same no-ops on a local cluster of worker processes."""
    from distributed import Client, LocalCluster  # noqa: PLC0415 - the peer is optional

    cluster = stack.enter_context(
        LocalCluster(
            n_workers=worker_count(),
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
        )
    )
    client = stack.enter_context(Client(cluster))
    client.gather(client.map(_nothing, range(50), pure=False))
    started = time.perf_counter()
    values = client.gather(client.map(_nothing, range(JOBS), pure=False))
    elapsed_s = time.perf_counter() - started
    assert values == list(range(JOBS))
    return JOBS / elapsed_s


def _nothing(x: int) -> int:
    return x
