"""A report as one HTML page that needs nothing else: no script, no other file.

All that comes from a log is text to it, whatever it looks like: characters that mean
something in HTML are escaped, and those that cannot be seen are made visible.
"""

from collections.abc import Iterable, Sequence
from html import escape
from string import Template

from ledger.audit.report import AuditReport, Problem
from ledger.audit.report_chart import (
    KIND_COLOURS,
    draw_chart,
    format_time,
)
from ledger.audit.rule_meanings import MEANINGS
from ledger.console import plain
from ledger.encoding import encode_base64

ROWS_SHOWN_MAX = 500
"""Rows of one table; more of them nobody reads, and `--json` has all."""

_LIGHT = (
    *("#4269d0", "#b07f00", "#d6453d", "#2f8f83", "#3b8a2f", "#c2479a"),
    *("#7c4fc4", "#3d7fb8", "#8a6340", "#6b7280", "#a33f1f", "#1f7a4d"),
)
_DARK = (
    *("#8aa5f2", "#efc14a", "#ff8a80", "#6cc5b0", "#7fd06f", "#ff9bd0"),
    *("#b497f0", "#97c8f0", "#c9a27e", "#b3bac5", "#f0a07a", "#74d3a2"),
)
assert len(_LIGHT) == len(_DARK) == KIND_COLOURS


_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$content_policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
$style
$light
@media (prefers-color-scheme: dark) {
$dark
}
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p class="$verdict">$summary</p>
$sections
</main>
</body>
</html>
""")

_CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Even if something slipped through, it could load nothing and run nothing."""

_STYLE = """\
:root {
  color-scheme: light dark;
  --text: #1b1f24; --page: #fff; --line: #d0d7de; --ok: #1a7f37; --failed: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6e9ee; --page: #14171b; --line: #3b424c; --ok: #57c278;
    --failed: #ff8a80;
  }
}
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif;
}
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem }
h1 { font-size: 1.5rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin-top: 2rem }
.ok, .failed { font-weight: 600; padding: .5rem .75rem; border-left: .35rem solid }
.ok { color: var(--ok) }
.failed { color: var(--failed) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td {
  padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top; overflow-wrap: anywhere;
}
td:first-child, th:first-child { min-width: 8rem }
.number { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 0 }
svg { width: 100%; height: auto }
svg text { fill: var(--text); font: 11px system-ui, sans-serif }
.axis { stroke: var(--line) }
.swatch {
  display: inline-block; width: .8em; height: .8em; margin-right: .5em;
  background: currentColor;
}"""


def render_page(report: AuditReport) -> str:
    """Render a whole report as an HTML document."""
    origin = report.checkpoint.origin if report.checkpoint else "a log"
    sections = (
        *_about(report),
        *_problems(report),
        *_statements(report),
        *_checked(report),
        *_invoices(report),
        *_totals(report),
        *_balances(report),
    )
    return _PAGE.substitute(
        content_policy=_CONTENT_POLICY,
        title=f"Audit of {_text(origin)}",
        style=_STYLE,
        light=_colours(_LIGHT),
        dark=_colours(_DARK),
        verdict="ok" if report.is_ok else "failed",
        summary=_text(report.summary),
        sections="\n".join(sections),
    )


def _about(report: AuditReport) -> Iterable[str]:
    rows: list[tuple[object, object]] = [("log key", key) for key in report.keys]
    checkpoint, earlier = report.checkpoint, report.earlier
    if checkpoint is not None:
        rows.append(("entries under the checkpoint", f"{checkpoint.size:,}"))
        rows.append(("root", encode_base64(checkpoint.root)))
    rows += [
        (f"cosigned by {name}", format_time(at_s * 1000))
        for name, at_s in sorted(report.witnesses.items())
    ]
    if earlier is not None:
        rows.append(("extends an earlier checkpoint of", f"{earlier.size:,} entries"))
    yield "<h2>The log</h2>"
    yield _table(("what", "value"), rows)
    if report.is_structure_only:
        yield "<p>Only files and hashes were checked; no statement was read.</p>"


def _problems(report: AuditReport) -> Iterable[str]:
    yield "<h2>Problems</h2>"
    if report.is_ok:
        yield "<p>None. Every rule held.</p>"
        return
    yield _table(
        ("place", "rule", "what is wrong", "what it means"),
        [_problem_row(problem) for problem in report.problems[:ROWS_SHOWN_MAX]],
        count=report.problem_count,
    )


def _problem_row(problem: Problem) -> tuple[object, ...]:
    return problem.place, problem.rule, problem.message, MEANINGS[problem.rule]


def _statements(report: AuditReport) -> Iterable[str]:
    yield "<h2>Statements</h2>"
    kinds = sorted(report.kinds)
    if not kinds:
        yield "<p>None were read.</p>"
        return
    if report.timeline.buckets:
        yield "<figure>"
        yield draw_chart(report.timeline, kinds)
        yield "<figcaption>When statements were made, by what they say themselves."
        yield "</figcaption></figure>"
    yield '<table><thead><tr><th scope="col">kind</th><th scope="col">count</th>'
    yield "</tr></thead><tbody>"
    for number, kind in enumerate(kinds):
        swatch = f'<span class="swatch kind-{number % KIND_COLOURS}"></span>'
        yield f'<tr><th scope="row">{swatch}{_text(kind)}</th>'
        yield f'<td class="number">{report.kinds[kind]:,}</td></tr>'
    yield "</tbody></table>"


def _checked(report: AuditReport) -> Iterable[str]:
    yield "<h2>What was checked</h2>"
    yield _table(("what", "count"), report.checked_rows())


def _invoices(report: AuditReport) -> Iterable[str]:
    if not report.invoices:
        return
    yield "<h2>Invoices computed again</h2>"
    yield _table(
        ("account", "jobs", "micro-credits"),
        [
            (account, invoice.jobs, invoice.total_microcredits)
            for account, invoice in sorted(report.invoices.items())[:ROWS_SHOWN_MAX]
        ],
        count=len(report.invoices),
    )


def _totals(report: AuditReport) -> Iterable[str]:
    if not report.totals:
        return
    yield "<h2>Totals proved</h2>"
    yield _table(
        ("opened in", "charges", "paid to", "micro-credits"),
        [
            (
                total.place,
                total.charges,
                total.payee or "all together",
                total.amount_microcredits,
            )
            for total in report.totals[:ROWS_SHOWN_MAX]
        ],
        count=len(report.totals),
    )


def _balances(report: AuditReport) -> Iterable[str]:
    if not report.balances:
        return
    yield "<h2>Balances replayed</h2>"
    yield _table(
        ("account", "posted micro-credits", "held micro-credits"),
        [
            (account, balance.posted_microcredits, balance.held_microcredits)
            for account, balance in sorted(report.balances.items())[:ROWS_SHOWN_MAX]
        ],
        count=len(report.balances),
    )


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    count: int | None = None,
) -> str:
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in columns)
    body = "\n".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    table = (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )
    if count is not None and count > len(rows):
        table += f"<p>These are the first {len(rows):,} of {count:,}.</p>"
    return table


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{_text(value)}</td>"


def _text(value: object) -> str:
    return escape(plain(str(value)), quote=True)


def _colours(colours: Sequence[str]) -> str:
    return "\n".join(
        f".kind-{number} {{ fill: {colour}; color: {colour} }}"
        for number, colour in enumerate(colours)
    )
