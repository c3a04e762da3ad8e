"""Checking opened quantities against the commitments of their slices."""

import time
from contextlib import ExitStack

from ledger.statements.disclosure import (
    commit_openings,
    conceal_numbers,
    verify_openings,
)

SLICES = 400
GROUPS = ("fuel", "memory", "bytes_up", "bytes_down", "homomorphic")


def commitment_lines_per_s(_stack: ExitStack) -> float:
    """Lines per second, each one quantity opened and checked, on one core."""
    slices = []
    for place in range(SLICES):
        numbers = {group: place * 1000 + n for n, group in enumerate(GROUPS)}
        openings = conceal_numbers(numbers, b"b" * 32, "slice", place)
        slices.append((openings, commit_openings(openings)))
    started = time.perf_counter()
    for openings, commitments in slices:
        verify_openings({}, commitments, openings, required=commitments)
    return SLICES * len(GROUPS) / (time.perf_counter() - started)
