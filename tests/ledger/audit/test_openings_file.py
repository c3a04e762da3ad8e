"""Openings are found by digest, wherever their line stands."""

from io import BytesIO
from pathlib import Path

import pytest

from ledger.audit.disclosure_file import open_disclosure
from ledger.audit.openings_file import (
    LINE_BYTES_MAX,
    OpeningsFile,
    parse_openings_line,
)
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.encoding import canonical_json
from ledger.errors import AuditError

A, B = "A" * 43 + "=", "B" * 43 + "="


def line(digest: str, name: str) -> bytes:
    return canonical_json({"digest": digest, "openings": {name: {}}}) + b"\n"


def opened(data: bytes) -> tuple[OpeningsFile, AuditReport]:
    report = AuditReport()
    return OpeningsFile(BytesIO(data), "openings.jsonl", report), report


def test_lines_are_found_in_any_order() -> None:
    file, report = opened(line(A, "one") + line(B, "two"))
    assert file.find(B) == line(B, "two")
    file.forget(B)
    assert file.find(B) is None
    assert file.unused_lines() == [1]
    assert file.find(A) == line(A, "one")
    file.forget(A)
    assert file.unused_lines() == []
    assert report.is_ok


def test_last_line_needs_no_newline() -> None:
    file, report = opened(line(A, "one").rstrip())
    assert file.find(A) == line(A, "one").rstrip()
    assert report.is_ok


@pytest.mark.parametrize(
    "bad",
    [
        b"\n",
        b"{}\n",
        b"[]\n",
        b"\xff\n",
        b'{"digest": "short", "openings": {}}\n',
        line(A, "more")[:-2] + b',"extra":1}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_malformed_line_is_named_and_skipped(bad: bytes) -> None:
    file, report = opened(line(A, "one") + bad + line(B, "two"))
    assert [(item.place, item.rule) for item in report.problems] == [
        ("openings.jsonl line 2", Rule.OPENING_FORM)
    ]
    assert file.find(B) == line(B, "two")


def test_doubled_line_is_named() -> None:
    _, report = opened(line(A, "one") + line(A, "two"))
    assert report.problems[0].place == "openings.jsonl line 2"


def test_too_long_line_is_refused_in_bounded_memory() -> None:
    _, report = opened(b" " * (3 * LINE_BYTES_MAX))
    assert report.problem_count >= 2
    assert {problem.rule for problem in report.problems} == {Rule.OPENING_FORM}


def test_line_that_is_taken_can_be_parsed() -> None:
    file, _ = opened(line(A, "one"))
    data = file.find(A)
    assert data is not None
    assert parse_openings_line(data).openings == {"one": {}}


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(AuditError, match="cannot be read"),
        open_disclosure(tmp_path / "none", "none", AuditReport()),
    ):
        pass


def test_folder_is_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(AuditError, match="cannot be read"),
        open_disclosure(tmp_path, "folder", AuditReport()),
    ):
        pass
