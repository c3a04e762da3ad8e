"""The chart of a report: statements over time, stacked by kind, as one SVG.

Drawn from numbers alone, with classes that the page colours, so that it follows the
reader's choice of light or dark.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from string import Template

from ledger.audit.timeline import Timeline
from ledger.console import plain

COLUMNS_MAX = 60
"""Bars that still can be told apart on a small screen."""

KIND_COLOURS = 12
"""The page has that many; further kinds begin again."""

_LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 56, 10, 664, 186

_CHART = Template("""\
<svg viewBox="0 0 720 220" role="img" aria-labelledby="chart-name chart-account">
<title id="chart-name">Statements over time by kind</title>
<desc id="chart-account">$account</desc>
<line class="axis" x1="56" y1="196" x2="720" y2="196"/>
<text x="50" y="20" text-anchor="end">$highest</text>
<text x="50" y="196" text-anchor="end">0</text>
<text x="56" y="214">$first</text>
<text x="720" y="214" text-anchor="end">$last</text>
$bars
</svg>""")

_BAR = Template("""\
<rect class="kind-$colour" x="$x" y="$y" width="$width" height="$height">
<title>$label</title></rect>""")

Columns = Sequence[tuple[int, Mapping[str, int]]]
"""When each bar begins in ms, and its counts by kind."""


def draw_chart(timeline: Timeline, kinds: Sequence[str]) -> str:
    """Draw the counts, one bar for each stretch of time.

    Args:
        timeline: What was counted; at least one statement.
        kinds: All kinds in it, in the order in which they are stacked and coloured.
    """
    columns = gather_columns(timeline)
    highest = max(sum(counts.values()) for _, counts in columns)
    first, last = format_time(columns[0][0]), format_time(columns[-1][0])
    return _CHART.substitute(
        account=f"{len(columns)} bars from {first} to {last}; the highest has "
        f"{highest:,} statements. The table below has the counts.",
        highest=f"{highest:,}",
        first=first,
        last=last,
        bars="\n".join(_bars(columns, kinds, highest)),
    )


def _bars(columns: Columns, kinds: Sequence[str], highest: int) -> Iterator[str]:
    step = _PLOT_WIDTH / len(columns)
    for place, (start_ms, counts) in enumerate(columns):
        below = 0
        for number, kind in enumerate(kinds):
            count = counts.get(kind, 0)
            if not count:
                continue
            below += count
            yield _BAR.substitute(
                colour=number % KIND_COLOURS,
                x=f"{_LEFT + place * step:.2f}",
                y=f"{_TOP + _PLOT_HEIGHT * (1 - below / highest):.2f}",
                width=f"{max(step - 1, 1):.2f}",
                height=f"{_PLOT_HEIGHT * count / highest:.2f}",
                label=escape(plain(f"{format_time(start_ms)}: {count:,} {kind}")),
            )


def gather_columns(timeline: Timeline) -> Columns:
    """Bring buckets together into evenly spaced bars, the empty ones included."""
    buckets = timeline.buckets
    first, last = min(buckets), max(buckets)
    spans = (last - first) // timeline.width_ms + 1
    width_ms = timeline.width_ms * -(-spans // COLUMNS_MAX)
    columns: list[Counter[str]] = [
        Counter() for _ in range((last - first) // width_ms + 1)
    ]
    for start_ms, counts in buckets.items():
        columns[(start_ms - first) // width_ms].update(counts)
    return [(first + place * width_ms, counts) for place, counts in enumerate(columns)]


def format_time(at_ms: int) -> str:
    """A time as people read it; one that no calendar has stays a number."""
    try:
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
