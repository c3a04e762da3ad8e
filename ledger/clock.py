"""The ledger's one reader of the clock; everything else is told what time it is."""

import time


def system_now_ms() -> int:
    """Milliseconds since 1970-01-01 UTC, by the clock of this machine."""
    return time.time_ns() // 1_000_000
