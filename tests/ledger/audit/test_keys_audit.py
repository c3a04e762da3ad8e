"""The checkpoint is signed with the keys that the log announced last."""

from pathlib import Path

import pytest
from audited_market import ORIGIN, AuditedMarket, WrittenMarket, fixed_key

from ledger.audit.log_audit import audit_log
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.log import LogKeys, Signer, sign_note

SECOND = Signer(ORIGIN, fixed_key("second log"))


def found(report: AuditReport) -> list[tuple[str, Rule]]:
    return [(problem.place, problem.rule) for problem in report.problems]


@pytest.fixture
def rotated(audited: WrittenMarket) -> WrittenMarket:
    """The keys changed after two jobs with receipts; both still sign."""
    audited.market.change_log_keys()
    audited.publish()
    sign(audited, audited.market.signer, SECOND)
    return audited


def sign(written: WrittenMarket, *signers: Signer) -> None:
    path = written.copy.log / "checkpoint"
    text = path.read_text().partition("\n\n")[0] + "\n"
    path.write_bytes(sign_note(text, signers))


def keys_of(signer: Signer) -> LogKeys:
    return LogKeys((signer.verifier,))


def test_old_and_new_keys_open_the_log(rotated: WrittenMarket) -> None:
    for signer in (rotated.market.signer, SECOND):
        report = audit_log(rotated.copy, keys=keys_of(signer))
        assert found(report) == []
        assert report.receipts == 2


def test_new_keys_alone_are_enough(rotated: WrittenMarket) -> None:
    """Receipts from before the change still verify, with the keys of then."""
    sign(rotated, SECOND)
    report = audit_log(rotated.copy, keys=keys_of(SECOND))
    assert found(report) == []
    assert report.receipts == 2


def test_checkpoint_without_the_new_keys_is_named(rotated: WrittenMarket) -> None:
    sign(rotated, rotated.market.signer)
    report = audit_log(rotated.copy)
    assert found(report) == [("entry 17", Rule.LOG_KEY)]
    assert "not signed with the keys that it announces" in report.problems[0].message


def test_keys_that_the_log_never_had_are_named(rotated: WrittenMarket) -> None:
    stranger = Signer(ORIGIN, fixed_key("stranger"))
    sign(rotated, SECOND, stranger)
    report = audit_log(rotated.copy, keys=keys_of(stranger))
    assert found(report)[0] == ("entry 17", Rule.LOG_KEY)
    assert "never had" in report.problems[0].message


def test_change_out_of_order_is_named(rotated: WrittenMarket) -> None:
    rotated.market.change_log_keys()
    rotated.market.change_log_keys(generation=3)
    rotated.publish()
    sign(rotated, rotated.market.signer, SECOND)
    assert found(audit_log(rotated.copy)) == [
        ("entry 18", Rule.LOG_KEY),
        ("entry 19", Rule.LOG_KEY),
    ]


def test_keys_that_no_log_can_have_are_named(tmp_path: Path) -> None:
    market = AuditedMarket().begin()
    other = Signer("other.example/log", fixed_key("other")).verifier.vkey
    market.change_log_keys(after=(SECOND.verifier.vkey, other))
    written = WrittenMarket(market, tmp_path)
    written.publish()
    written.close()
    assert found(audit_log(written.copy)) == [("entry 7", Rule.LOG_KEY)]
