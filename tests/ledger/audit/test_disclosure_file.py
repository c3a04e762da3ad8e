"""Disclosure files hold records and totals, in one form each."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit import disclosure_file
from ledger.audit.disclosure_file import (
    TOTAL_CHARGES_MAX,
    DisclosureFile,
    OpenedTotal,
    make_totals,
    open_disclosure,
    parse_total_line,
    record_line,
)
from ledger.audit.openings_file import LINE_BYTES_MAX
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.commitments.group import ORDER
from ledger.commitments.pedersen import VALUE_MAX, CommitmentOpening
from ledger.encoding import canonical_json, encode_base64
from ledger.errors import AuditError, EncodingError

A, B = "A" * 43 + "=", "B" * 43 + "="
PAYEE = "acc_" + "a" * 26
OPENING = CommitmentOpening(17, 5)
TOTAL = OpenedTotal((A, B), None, OPENING)


def opened(data: bytes) -> tuple[DisclosureFile, AuditReport]:
    report = AuditReport()
    return DisclosureFile(BytesIO(data), "shown.jsonl", report), report


def total_line(**changes: Any) -> bytes:
    fields = {"charges": [A, B], "payee": None, "opening": OPENING.to_json()}
    fields |= changes
    known = {name: value for name, value in fields.items() if value != "left out"}
    return canonical_json({"total": known}) + b"\n"


def test_total_is_read_as_it_was_written() -> None:
    for total in (TOTAL, OpenedTotal((A,), PAYEE, CommitmentOpening(0, ORDER - 1))):
        assert parse_total_line(total.to_line()) == total
        assert parse_total_line(total.to_line().rstrip()) == total


def test_records_and_totals_stand_in_any_order() -> None:
    record = record_line(A, {"amount.0": OPENING.to_json()})
    paid = OpenedTotal((B,), PAYEE, OPENING).to_line()
    file, report = opened(TOTAL.to_line() + record + paid)
    assert file.find(A) == record
    assert [placed.place for placed in file.totals()] == [
        "shown.jsonl line 1",
        "shown.jsonl line 3",
    ]
    assert [placed.total.payee for placed in file.totals()] == [None, PAYEE]
    assert file.unused_lines() == [2]
    assert report.is_ok


@pytest.mark.parametrize(
    "bad",
    [
        b'{"total": {}}\n',
        b'{"total": []}\n',
        b'{"total": 7, "digest": "x"}\n',
        total_line(charges=[]),
        total_line(charges=[A, A]),
        total_line(charges=[A, "short"]),
        total_line(charges="left out"),
        total_line(payee="left out"),
        total_line(payee="psn_" + "a" * 26),
        total_line(payee=""),
        total_line(amount=0),
        total_line(opening={"salt": "AAAA", "value": 17}),
        total_line(opening={"blinding": OPENING.to_json()["blinding"], "value": -1}),
        total_line(opening={"blinding": encode_base64(bytes(31)), "value": 17}),
        total_line(
            opening={
                "blinding": encode_base64(ORDER.to_bytes(32, "little")),
                "value": 1,
            }
        ),
        total_line(opening=OPENING.to_json())[:-2] + b',"extra":1}\n',
        total_line().replace(b":17", b":17.0"),
        total_line().replace(b":17", b":9007199254740992"),
        b'{"total":' + b"[" * 100_000 + b"\n",
        b"\n",
        b"\xff\n",
    ],
)
def test_malformed_line_is_named_and_skipped(bad: bytes) -> None:
    file, report = opened(TOTAL.to_line() + bad + TOTAL.to_line())
    assert len(file.totals()) == 2
    (problem,) = report.problems
    assert (problem.place, problem.rule) == ("shown.jsonl line 2", Rule.OPENING_FORM)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_our_error(data: bytes) -> None:
    for prefix in (b"", b'{"total":', b'{"total":{"charges":'):
        try:
            parse_total_line(prefix + data)
        except EncodingError:
            continue


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_line_with_one_byte_changed_is_refused_or_another_total(
    place: int, change: int
) -> None:
    data = bytearray(TOTAL.to_line())
    data[place % len(data)] ^= change
    try:
        total = parse_total_line(bytes(data))
    except EncodingError:
        return
    assert total != TOTAL or bytes(data).split() == TOTAL.to_line().split()


def test_charges_of_a_total_are_bounded() -> None:
    names = [encode_base64(n.to_bytes(32, "big")) for n in range(TOTAL_CHARGES_MAX + 1)]
    largest = OpenedTotal(names[:-1], None, OPENING).to_line()
    assert LINE_BYTES_MAX < len(largest) < disclosure_file.TOTAL_BYTES_MAX
    file, _ = opened(largest)
    assert len(file.totals()[0].total.charges) == TOTAL_CHARGES_MAX
    with pytest.raises(EncodingError):
        parse_total_line(OpenedTotal(names, None, OPENING).to_line())


def test_charges_of_a_file_are_bounded(monkeypatch) -> None:
    monkeypatch.setattr(disclosure_file, "CHARGES_NAMED_MAX", 3)
    file, report = opened(TOTAL.to_line() * 2)
    assert len(file.totals()) == 1
    assert [problem.place for problem in report.problems] == ["shown.jsonl line 2"]


def test_record_line_beyond_its_bound_is_refused() -> None:
    huge = record_line(A, {"decision": {"salt": "A" * LINE_BYTES_MAX, "value": 1}})
    file, report = opened(huge + TOTAL.to_line())
    assert len(file.totals()) == 1
    assert [problem.place for problem in report.problems] == ["shown.jsonl line 1"]


def test_record_line_out_of_form_is_not_written() -> None:
    for digest, openings in (("short", {}), (A, []), (A, None)):
        with pytest.raises(EncodingError):
            record_line(digest, openings)  # type: ignore[arg-type]


def test_totals_are_sums_of_openings() -> None:
    first, second = CommitmentOpening(3, ORDER - 1), CommitmentOpening(4, 5)
    (total,) = make_totals([(A, first), (B, second)], PAYEE)
    assert total == OpenedTotal([A, B], PAYEE, CommitmentOpening(7, 4))
    assert list(make_totals([], None)) == []


def test_total_that_cannot_be_written_is_several(monkeypatch) -> None:
    most = CommitmentOpening(VALUE_MAX, 1)
    totals = list(make_totals([(A, most), (B, CommitmentOpening(1, 1))], None))
    assert [total.opening.value for total in totals] == [VALUE_MAX, 1]
    monkeypatch.setattr(disclosure_file, "TOTAL_CHARGES_MAX", 2)
    names = [encode_base64(bytes([n]) * 32) for n in range(5)]
    totals = list(make_totals([(name, OPENING) for name in names], None))
    assert [len(total.charges) for total in totals] == [2, 2, 1]
    assert [name for total in totals for name in total.charges] == names


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with (
            pytest.raises(AuditError),
            open_disclosure(path, "shown", AuditReport()),
        ):
            pass
    path = tmp_path / "shown"
    path.write_bytes(TOTAL.to_line())
    with open_disclosure(path, "shown", AuditReport()) as file:
        assert len(file.totals()) == 1
