"""Counts over time: none is lost, and no times can fill the memory."""

from collections import Counter

from audited_market import AuditedMarket
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.timeline import (
    BUCKETS_MAX,
    WIDTH_FIRST_MS,
    Timeline,
    made_at_ms,
)
from ledger.statements.kinds import KINDS
from ledger.statements.statement import parse_statement

TIMES = st.integers(0, 2**52)


@given(st.lists(st.tuples(st.sampled_from("abc"), TIMES), max_size=600))
def test_every_statement_is_counted_in_its_bucket(
    statements: list[tuple[str, int]],
) -> None:
    timeline = Timeline()
    for kind, at_ms in statements:
        timeline.add(kind, at_ms)
    total: Counter[str] = Counter()
    for counts in timeline.buckets.values():
        total.update(counts)
    assert total == Counter(kind for kind, _ in statements)
    assert len(timeline.buckets) <= BUCKETS_MAX
    starts = {at_ms // timeline.width_ms * timeline.width_ms for _, at_ms in statements}
    assert set(timeline.buckets) == starts


def test_buckets_widen_when_there_are_too_many() -> None:
    timeline = Timeline()
    for number in range(BUCKETS_MAX):
        timeline.add("order", number * WIDTH_FIRST_MS)
    assert timeline.width_ms == WIDTH_FIRST_MS
    timeline.add("order", BUCKETS_MAX * WIDTH_FIRST_MS)
    assert timeline.width_ms == 2 * WIDTH_FIRST_MS
    assert timeline.to_json()["bucketMs"] == 2 * WIDTH_FIRST_MS


def test_each_kind_says_when_it_was_made() -> None:
    for kind in KINDS.values():
        assert any(name.endswith("_at_ms") for name in kind.model_fields)
    statement = parse_statement(AuditedMarket().begin().entries[0])
    assert made_at_ms(statement.body) == 1_800_000_000_000
