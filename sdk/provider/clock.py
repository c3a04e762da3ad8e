"""The node's clock."""

import time


def system_now_ms() -> int:
    """The time of this machine, in Unix milliseconds."""
    return time.time_ns() // 1_000_000
