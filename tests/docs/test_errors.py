"""The list of codes in the reference is the list of codes in the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

from document_tables import REFERENCE, ROOT, plain, read_rows, read_section

from enclave_sim.sandbox.outcome import FailureCode
from ledger.audit.rule_meanings import MEANINGS
from ledger.audit.rules import Rule
from ledger.request_signing import Refusal
from market import errors as market_errors
from market.error_responses import _CODES
from market.placement.rules import RULES

PACKAGES = ("enclave_sim", "ledger", "market", "sdk")


def documented(heading: str) -> list[str]:
    rows = read_rows(read_section("errors.md", heading))
    assert all(cells[-1] for cells in rows), "each code has a meaning"
    return [plain(cells[0]) for cells in rows]


def classes_with_codes(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ClassDef):
            continue
        for item in node.body:
            match item:
                case (
                    ast.Assign(targets=[ast.Name("code")], value=ast.Constant(code))
                    | ast.AnnAssign(target=ast.Name("code"), value=ast.Constant(code))
                ):
                    yield node.name, code


def codes_of(package: str) -> set[str]:
    return {
        code
        for path in (ROOT / package).rglob("*.py")
        for _, code in classes_with_codes(path)
    }


def test_codes_of_lower_packages_are_listed() -> None:
    for heading, package in (("Ledger", "ledger"), ("Enclave", "enclave_sim")):
        listed = documented(heading)
        assert sorted(listed) == sorted(codes_of(package))
        assert len(set(listed)) == len(listed)


def test_codes_of_sdk_are_listed() -> None:
    assert sorted(documented("SDK")) == sorted(codes_of("sdk"))


def test_codes_of_market_are_listed_with_their_status() -> None:
    rows = read_rows(read_section("errors.md", "Market"))
    listed = {(plain(cells[0]), plain(cells[1])) for cells in rows}
    classes = vars(market_errors).values()
    due = {
        (error.code, str(error.status))
        for error in classes
        if isinstance(error, type) and issubclass(error, market_errors.MarketError)
    }
    due |= {(code, str(status)) for status, code in _CODES.items()}
    assert listed == due


def test_failures_of_functions_are_listed() -> None:
    assert documented("Failures of a function") == [str(code) for code in FailureCode]


def test_rules_of_the_audit_are_listed() -> None:
    assert documented("Rules of the audit") == [str(rule) for rule in Rule]
    rows = read_rows(read_section("errors.md", "Rules of the audit"))
    assert [cells[-1] for cells in rows] == [MEANINGS[rule] for rule in Rule]


def test_rules_of_placement_are_listed() -> None:
    assert documented("Rules of placement") == list(RULES)


def test_refusals_of_signatures_are_listed() -> None:
    assert documented("Refused signatures") == [str(reason) for reason in Refusal]


def test_rules_of_the_appraisal_are_listed() -> None:
    source = ROOT / "enclave_sim" / "attestation" / "appraisal.py"
    table = ast.get_docstring(ast.parse(source.read_text()))
    assert table is not None
    due = [plain(cells[0]) for cells in read_rows(table)]
    assert documented("Rules of the appraisal") == due


def test_no_code_stands_outside_the_list() -> None:
    text = (REFERENCE / "errors.md").read_text()
    missing = [
        code for package in PACKAGES for code in codes_of(package) if code not in text
    ]
    assert missing == []
