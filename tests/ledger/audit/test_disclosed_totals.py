"""An audit with a party's disclosure file: totals and single records, or nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from audited_market import WrittenMarket

from ledger.audit.disclosure_file import OpenedTotal, make_totals, record_line
from ledger.audit.log_audit import AuditOptions, audit_log
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.commitments.pedersen import CommitmentOpening
from ledger.encoding import encode_base64
from ledger.statements.disclosure import openings_json
from ledger.statements.kinds import ChargeStatement
from ledger.statements.statement import Statement, parse_statement

DUE = 7 * 11 + 2 * 3 + 100
"""What one of the jobs costs: fuel, kibibytes up, a royalty."""

Audit = Callable[..., AuditReport]


@pytest.fixture
def charges(audited: WrittenMarket) -> list[Statement]:
    statements = [parse_statement(entry) for entry in audited.market.entries]
    return [item for item in statements if isinstance(item.body, ChargeStatement)]


@pytest.fixture
def total(audited: WrittenMarket, charges: list[Statement]) -> OpenedTotal:
    openings = audited.market.openings
    opened = []
    for charge in charges:
        opening = openings[charge.digest]["amount.0"]
        assert isinstance(opening, CommitmentOpening)
        opened.append((charge.digest, opening))
    (total,) = make_totals(opened, None)
    return total


@pytest.fixture
def audit(audited: WrittenMarket, tmp_path: Path) -> Audit:
    def run(*lines: bytes, state: Path | None = None) -> AuditReport:
        path = tmp_path / "shown.jsonl"
        path.write_bytes(b"".join(lines))
        audited.copy.openings.unlink(missing_ok=True)
        options = AuditOptions(disclosures=[path], state=state)
        return audit_log(audited.copy, options=options)

    return run


def test_total_is_proved_with_nothing_else_opened(audit: Audit, total) -> None:
    report = audit(total.to_line())
    assert report.problems == []
    (proved,) = report.totals
    assert (proved.charges, proved.payee) == (2, None)
    assert proved.amount_microcredits == 2 * DUE
    assert f"2 charges of this log cost {2 * DUE} micro-credits" in proved.meaning
    assert (report.opened, report.charges_computed, report.invoices) == (0, 0, {})


def test_one_record_is_opened_with_nothing_else(
    audit: Audit, audited: WrittenMarket, charges: Sequence[Statement]
) -> None:
    digest = charges[0].digest
    shown = openings_json(audited.market.openings[digest])
    report = audit(record_line(digest, {"amount.1": shown["amount.1"]}))
    assert report.problems == []
    assert (report.opened, report.charges_computed) == (0, 0)
    value = shown["amount.1"]["value"] + 1
    wrong = {"amount.1": {**shown["amount.1"], "value": value}}
    (problem,) = audit(record_line(digest, wrong)).problems
    assert problem.rule is Rule.OPENING


def test_nothing_shown_is_nothing_wrong(audit: Audit) -> None:
    report = audit()
    assert report.is_ok
    assert (report.opened, report.totals, report.invoices) == (0, [], {})


def test_wrong_total_is_told_with_its_place(audit: Audit, total: OpenedTotal) -> None:
    more = CommitmentOpening(total.opening.value + 1, total.opening.blinding)
    wrong = OpenedTotal(total.charges, None, more)
    report = audit(total.to_line(), wrong.to_line())
    (problem,) = report.problems
    assert (problem.place, problem.rule) == ("shown.jsonl line 2", Rule.TOTAL)
    assert len(report.totals) == 1


def test_total_over_charges_of_another_log_is_told(
    audit: Audit, total: OpenedTotal
) -> None:
    charges = [*total.charges, encode_base64(bytes(32))]
    (problem,) = audit(OpenedTotal(charges, None, total.opening).to_line()).problems
    assert problem.rule is Rule.TOTAL
    assert charges[-1] in problem.message


def test_total_of_what_is_no_charge_is_told(
    audit: Audit, audited: WrittenMarket, total: OpenedTotal
) -> None:
    agreement = parse_statement(audited.market.entries[-2])
    wrong = OpenedTotal([agreement.digest], None, total.opening)
    (problem,) = audit(wrong.to_line()).problems
    assert problem.rule is Rule.TOTAL
