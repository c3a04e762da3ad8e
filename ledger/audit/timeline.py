"""Statements of a log over time, counted by kind, in memory that no log can fill."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from ledger.encoding import Json
from ledger.statements.kinds import StatementBody

BUCKETS_MAX = 256
"""More than a chart can show; with every kind in each about 200 KB."""

WIDTH_FIRST_MS = 1000
"""Buckets begin with a second each, and double when there are too many."""


@dataclass
class Timeline:
    """Counts by kind in buckets of one width, which grows with what is counted."""

    width_ms: int = WIDTH_FIRST_MS
    counts: dict[int, Counter[str]] = field(default_factory=dict)
    """By number of the bucket, counted from 1970."""

    def add(self, kind: str, at_ms: int) -> None:
        """Count a statement.

        Args:
            kind: Of the statement.
            at_ms: When it was made, as it says itself.
        """
        bucket = self.counts.get(at_ms // self.width_ms)
        if bucket is None:
            bucket = self.counts[at_ms // self.width_ms] = Counter()
        bucket[kind] += 1
        while len(self.counts) > BUCKETS_MAX:
            self._widen()

    @property
    def buckets(self) -> Mapping[int, Mapping[str, int]]:
        """Counts by kind, by when a bucket begins in ms; none that are empty."""
        return {
            number * self.width_ms: bucket
            for number, bucket in sorted(self.counts.items())
        }

    def to_json(self) -> dict[str, Json]:
        """The counts as plain JSON."""
        return {
            "bucketMs": self.width_ms,
            "buckets": [
                {"startMs": start_ms, "kinds": dict(sorted(kinds.items()))}
                for start_ms, kinds in self.buckets.items()
            ],
        }

    def _widen(self) -> None:
        self.width_ms *= 2
        narrow, self.counts = self.counts, {}
        for number, bucket in narrow.items():
            self.counts.setdefault(number // 2, Counter()).update(bucket)


def made_at_ms(body: StatementBody) -> int:
    """When a statement was made, as it says itself."""
    at_ms = getattr(body, _time_field(type(body)))
    assert isinstance(at_ms, int)
    return at_ms


@cache
def _time_field(kind: type[StatementBody]) -> str:
    """The name of the first field that holds a time; each kind has one."""
    return next(name for name in kind.model_fields if name.endswith("_at_ms"))
