"""A market with two nodes as separate processes, and a consumer with money."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from sdk import Market
from sdk.demo.cast import NodeRole
from sdk.demo.stage import Stage

LEASE_MS = 30_000
NODES = tuple(
    NodeRole(f"bench-{place}", "edge_site", "fr", f"bench-{place}", ("sandbox",), 2)
    for place in range(2)
)


def open_market(stack: ExitStack, *, nodes: int) -> Market:
    """Start everything, and stop it when the stack is closed."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    stage = stack.enter_context(Stage(folder))
    stage.start_market(lease_ms=LEASE_MS)
    stage.start_nodes(NODES[:nodes])
    market = Market.open(stage.url, key=folder / "consumer.key", create_key=True)
    stack.enter_context(market)
    market.top_up(1_000)
    return market


def worker_count() -> int:
    """Worker processes on this machine, the same for Sixfold and its peer."""
    return min(os.cpu_count() or 1, 2)
