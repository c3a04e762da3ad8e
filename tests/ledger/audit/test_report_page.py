"""A report as a page: whole, readable without anything else, and deaf to its input."""

import re
from html.parser import HTMLParser

import pytest
from audited_market import WrittenMarket

from ledger.audit.log_audit import audit_log
from ledger.audit.report import AccountBalance, AuditReport, Invoice
from ledger.audit.report_page import ROWS_SHOWN_MAX, render_page
from ledger.audit.rule_meanings import MEANINGS
from ledger.audit.rules import Rule
from ledger.log import Checkpoint

TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p"),
    *("table", "thead", "tbody", "tr", "th", "td", "div", "span"),
    *("figure", "figcaption", "svg", "desc", "line", "rect", "text"),
}
HOSTILE = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<!-- -->",
    "]]>",
    "&lt;script&gt;",
    "${title} $title {title} %s",
    "\x00\x1b[31m\u202e\u2066\ufeff",
    "javascript:alert(1)",
]


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def check_harmless(text: str) -> Page:
    page = Page(text)
    assert page.tags <= TAGS
    names = {name for name, _ in page.attributes}
    assert not any(name.startswith("on") for name in names)
    assert names.isdisjoint({"src", "href", "style", "action", "srcdoc", "data"})
    assert not re.search(r"url\(|@import|https?:", text)
    # Nothing that cannot be seen.
    assert all(mark.isprintable() or mark == "\n" for mark in text)
    return page


def test_page_of_a_true_log_shows_what_was_found(audited: WrittenMarket) -> None:
    report = audit_log(audited.copy)
    text = render_page(report)
    page = check_harmless(text)
    assert report.summary in page.text
    assert "None. Every rule held." in page.text
    assert "Statements over time by kind" in page.text
    assert page.text.count("order") >= 2
    assert audited.market.consumer.account_id in page.text
    assert 'class="ok"' in text


def test_page_needs_nothing_else_and_follows_the_reader(audited: WrittenMarket) -> None:
    text = render_page(audit_log(audited.copy))
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert '<html lang="en">' in text
    assert 'role="img"' in text
    assert text.count('scope="col"') >= 6


def test_problem_has_place_rule_and_meaning(audited: WrittenMarket) -> None:
    audited.copy.openings.write_bytes(b"x\n")
    report = audit_log(audited.copy)
    text = render_page(report)
    page = check_harmless(text)
    assert "openings.jsonl line 1" in page.text
    assert "OPENING.FORM" in page.text
    assert MEANINGS[Rule.OPENING_FORM] in page.text
    assert 'class="failed"' in text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_from_a_log_stays_text(hostile: str) -> None:
    report = AuditReport(
        keys=(hostile,),
        checkpoint=Checkpoint(hostile.replace("\n", " "), 5, bytes(32)),
        witnesses={hostile: 2**60},
        invoices={hostile: Invoice(1, 2)},
        balances={hostile: AccountBalance(1, 2)},
    )
    report.kinds[hostile] += 1
    report.timeline.add(hostile, 2**52)
    report.add_problem(hostile, Rule.FORM, hostile)
    page = check_harmless(render_page(report))
    assert "STATEMENT.FORM" in page.text


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if "/" not in text])
def test_names_of_files_stay_text(audited: WrittenMarket, hostile: str) -> None:
    name = hostile.replace("\x00", "") + ".tlog-proof"
    (audited.copy.receipts / name).write_bytes(b"x")
    report = audit_log(audited.copy)
    assert report.problem_count == 1
    check_harmless(render_page(report))


def test_page_of_nothing_is_a_page() -> None:
    report = AuditReport()
    report.add_problem("log.vkey", Rule.KEY, "There is none.")
    page = check_harmless(render_page(report))
    assert "Audit of a log" in page.text
    assert "None were read." in page.text


def test_structure_alone_says_so() -> None:
    page = Page(render_page(AuditReport(is_structure_only=True)))
    assert "no statement was read" in page.text


def test_page_shows_the_first_of_many() -> None:
    report = AuditReport()
    for number in range(2 * ROWS_SHOWN_MAX):
        report.add_problem(f"entry {number}", Rule.FORM, "It is none.")
    page = check_harmless(render_page(report))
    assert f"These are the first {ROWS_SHOWN_MAX} of 1,000." in page.text
    assert "entry 499" in page.text
    assert "entry 500" not in page.text
