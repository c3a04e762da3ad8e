"""The chart of a report: no statement is lost, whatever the times."""

import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.report_chart import (
    COLUMNS_MAX,
    draw_chart,
    format_time,
    gather_columns,
)
from ledger.audit.timeline import Timeline

KINDS = ("agreement", "charge", "order")
STATEMENTS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2**52)), min_size=1, max_size=80
)


@given(STATEMENTS)
def test_bars_hold_every_statement(statements: list[tuple[str, int]]) -> None:
    timeline = Timeline()
    for kind, at_ms in statements:
        timeline.add(kind, at_ms)
    columns = gather_columns(timeline)
    assert 0 < len(columns) <= COLUMNS_MAX
    total: Counter[str] = Counter()
    for _, counts in columns:
        total.update(counts)
    assert total == Counter(kind for kind, _ in statements)
    chart = draw_chart(timeline, KINDS)
    assert chart.count("<rect") == sum(
        count > 0 for _, counts in columns for count in counts.values()
    )
    assert "nan" not in chart
    assert "inf" not in chart


def test_bars_stay_inside_and_stack() -> None:
    timeline = Timeline()
    for kind in KINDS:
        timeline.add(kind, 5000)
    chart = draw_chart(timeline, KINDS)
    bars = re.findall(r' y="([0-9.]+)" width="[0-9.]+" height="([0-9.]+)"', chart)
    assert [(float(y), float(height)) for y, height in bars] == [
        (134.0, 62.0),
        (72.0, 62.0),
        (10.0, 62.0),
    ]
    assert [f"kind-{number}" in chart for number in range(4)] == [*[True] * 3, False]
    assert "1970-01-01 00:00:05 UTC: 1 order" in chart


def test_times_beyond_all_calendars_stay_numbers() -> None:
    assert format_time(0) == "1970-01-01 00:00:00 UTC"
    assert format_time(2**52) == f"{2**52} ms"
    assert format_time(10**30) == f"{10**30} ms"
