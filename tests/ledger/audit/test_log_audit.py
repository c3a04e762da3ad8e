"""A copy of a log, audited as a whole: true, garbage, and with one thing changed."""

import shutil
from pathlib import Path

import pytest
from audited_market import AuditedMarket, WrittenMarket, fixed_key

from ledger.audit.log_audit import AuditOptions, Watch, audit_log
from ledger.audit.log_copy import LogCopy
from ledger.audit.report import PROBLEMS_KEPT_MAX, AuditReport
from ledger.audit.rule_meanings import MEANINGS
from ledger.audit.rules import Rule
from ledger.encoding import canonical_json
from ledger.errors import AuditError
from ledger.log import LogKeys, Signer, sign_note


def found(report: AuditReport) -> list[tuple[str, Rule]]:
    return [(problem.place, problem.rule) for problem in report.problems]


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_true_log_is_ok(audited: WrittenMarket) -> None:
    told: list[tuple[int, int]] = []
    report = audit_log(
        audited.copy,
        watch=Watch(progress=lambda done, total: told.append((done, total))),
    )
    assert found(report) == []
    assert report.summary == "audit: ok (17 statements, 2 receipts, 0 problems)"
    assert report.is_ok
    assert report.keys == (audited.market.signer.verifier.vkey,)
    assert report.kinds == {
        "market": 1,
        "account": 3,
        "offer": 1,
        "workload": 1,
        "top_up": 1,
        "order": 2,
        "agreement": 3,
        "slice": 2,
        "charge": 2,
        "release": 1,
    }
    assert (report.opened, report.concealed) == (8, 0)
    assert report.charges_computed == 2
    assert report.accounts_unknown == 0
    assert len(report.balances) == 6
    assert report.files_not_covered == 0
    assert set(told) == {(17, 17)}


def test_report_is_plain_json(audited: WrittenMarket) -> None:
    value = audit_log(audited.copy).to_json()
    canonical_json(value)
    assert value["ok"] is True
    assert value["summary"] == "audit: ok (17 statements, 2 receipts, 0 problems)"
    assert value["checkpoint"]["size"] == 17  # type: ignore[index, call-overload]
    assert value["earlierCheckpoint"] is None
    audited.copy.key.write_text("no key")
    value = audit_log(audited.copy).to_json()
    assert value["checkpoint"] is None
    assert value["problems"] == [
        {
            "place": "log.vkey",
            "rule": "LOG.KEY",
            "message": "A verifier key is <name>+<key id>+<key>.",
            "meaning": MEANINGS[Rule.KEY],
        }
    ]


def test_log_without_openings_is_ok(audited: WrittenMarket) -> None:
    audited.copy.openings.unlink()
    report = audit_log(audited.copy)
    assert report.summary == "audit: ok (17 statements, 2 receipts, 0 problems)"
    assert (report.opened, report.concealed) == (0, 8)
    assert report.charges_computed == 0
    assert report.balances == {}


def test_openings_may_lie_elsewhere(audited: WrittenMarket, tmp_path: Path) -> None:
    other = tmp_path / "disclosed.jsonl"
    audited.copy.openings.rename(other)
    options = AuditOptions(disclosures=[other])
    assert audit_log(audited.copy, options=options).charges_computed == 2


def test_empty_log_is_ok(written: WrittenMarket) -> None:
    written.market.entries.clear()
    written.publish()
    report = audit_log(written.copy)
    assert report.summary == "audit: ok (0 statements, 0 receipts, 0 problems)"


def test_log_folder_itself_is_found(audited: WrittenMarket) -> None:
    assert audit_log(LogCopy.find(audited.copy.log)).receipts == 2
    assert audit_log(LogCopy.find(audited.folder)).receipts == 2


def test_folder_without_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="no log"):
        LogCopy.find(tmp_path)


def test_folder_without_key_is_told(audited: WrittenMarket) -> None:
    audited.copy.key.unlink()
    with pytest.raises(AuditError, match=r"log\.vkey"):
        audit_log(audited.copy)


def test_key_that_is_given_counts(audited: WrittenMarket) -> None:
    audited.copy.key.unlink()
    verifier = audited.market.signer.verifier
    assert audit_log(audited.copy, keys=LogKeys((verifier,))).is_ok
    stranger = Signer(verifier.name, fixed_key("stranger")).verifier
    report = audit_log(audited.copy, keys=LogKeys((stranger,)))
    assert found(report) == [("checkpoint", Rule.CHECKPOINT)]
    assert report.summary == "audit: FAILED (0 statements, 0 receipts, 1 problems)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stride"),
    [
        ("log/checkpoint", 1),
        ("log/tile/0/000.p/17", 7),
        ("log/tile/entries/000.p/17", 211),
        ("log.vkey", 1),
        ("openings.jsonl", 97),
    ],
)
def test_changed_byte_is_found_and_named(
    audited: WrittenMarket, name: str, stride: int
) -> None:
    shutil.rmtree(audited.copy.receipts)
    path = audited.folder / name
    original = path.read_bytes()
    for place in range(0, len(original), stride):
        flip(path, place)
        report = audit_log(audited.copy)
        assert report.summary.startswith("audit: FAILED (")
        named = {problem.place.split(" line ")[0] for problem in report.problems}
        what = name.removeprefix("log/")
        assert any(what in each or each.startswith("entry") for each in named)
        path.write_bytes(original)


def test_each_receipt_is_checked(audited: WrittenMarket) -> None:
    one, two = audited.copy.receipt_names()
    flip(audited.copy.receipts / one, 100)
    report = audit_log(audited.copy)
    assert [place for place, _ in found(report)] == [f"receipts/{one}"]
    assert report.receipts == 1
    (audited.copy.receipts / two).write_bytes(b"x" * 10**6)
    report = audit_log(audited.copy)
    assert found(report)[1] == (f"receipts/{two}", Rule.RECEIPT_FORM)
    assert report.summary == "audit: FAILED (17 statements, 0 receipts, 2 problems)"


def test_other_files_are_no_receipts(audited: WrittenMarket) -> None:
    (audited.copy.receipts / "notes.txt").write_text("hello")
    assert audit_log(audited.copy).is_ok


def test_receipts_that_are_no_folder_are_told(audited: WrittenMarket) -> None:
    shutil.rmtree(audited.copy.receipts)
    audited.copy.receipts.write_text("hello")
    with pytest.raises(AuditError):
        audit_log(audited.copy)


def test_receipt_of_earlier_checkpoint_is_ok(audited: WrittenMarket) -> None:
    audited.market.run_job()
    audited.publish()
    audited.disclose()
    assert audit_log(audited.copy).receipts == 2


def test_receipt_newer_than_copy_is_told(
    audited: WrittenMarket, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(audited.copy.log, copied / "log")
    shutil.copy(audited.copy.key, copied)
    job = audited.market.run_job()
    audited.publish()
    (copied / "receipts").mkdir()
    (copied / "receipts" / "new.tlog-proof").write_bytes(audited.receipt(job))
    report = audit_log(LogCopy.at(copied))
    assert found(report) == [("receipts/new.tlog-proof", Rule.RECEIPT_LOG)]


def other_history(folder: Path) -> tuple[WrittenMarket, bytes]:
    """Another log under the same key, as a market makes that shows two histories."""
    folder.mkdir()
    market = AuditedMarket().begin()
    market.top_up(77)
    other = WrittenMarket(market, folder)
    job = market.run_job()
    other.publish()
    return other, other.receipt(job)


def test_receipt_of_other_history_is_found(
    audited: WrittenMarket, tmp_path: Path
) -> None:
    other, receipt = other_history(tmp_path / "other")
    other.close()
    (audited.copy.receipts / "z.tlog-proof").write_bytes(receipt)
    report = audit_log(audited.copy)
    assert found(report) == [("receipts/z.tlog-proof", Rule.RECEIPT_LOG)]
    assert "another history" in report.problems[0].message


def test_receipt_is_not_believed_over_missing_tiles(audited: WrittenMarket) -> None:
    (audited.copy.log / "tile/0/000.p/17").unlink()
    rules = {rule for _, rule in found(audit_log(audited.copy))}
    assert rules == {Rule.TILE, Rule.RECEIPT_LOG}


def test_earlier_checkpoint_is_checked(audited: WrittenMarket) -> None:
    shutil.copy(audited.copy.log / "checkpoint", audited.copy.earlier)
    audited.market.run_job()
    audited.publish()
    audited.disclose()
    report = audit_log(audited.copy)
    assert report.is_ok
    assert report.earlier is not None
    assert report.earlier.size == 17


def test_two_histories_are_found(audited: WrittenMarket, tmp_path: Path) -> None:
    other, _ = other_history(tmp_path / "other")
    other.close()
    shutil.copy(other.copy.log / "checkpoint", audited.copy.earlier)
    report = audit_log(audited.copy)
    assert found(report) == [("checkpoint.earlier", Rule.GROWTH)]


def test_smaller_log_is_found(audited: WrittenMarket, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(audited.copy.log, old)
    audited.market.run_job()
    audited.publish()
    shutil.copy(audited.copy.log / "checkpoint", audited.copy.earlier)
    shutil.rmtree(audited.copy.log)
    shutil.copytree(old, audited.copy.log)
    audited.copy.openings.unlink()
    report = audit_log(audited.copy)
    assert found(report) == [("checkpoint.earlier", Rule.GROWTH)]


@pytest.mark.parametrize("note", [b"", b"garbage", b"x" * 100_000])
def test_earlier_checkpoint_of_garbage_is_found(
    audited: WrittenMarket, note: bytes
) -> None:
    audited.copy.earlier.write_bytes(note)
    assert found(audit_log(audited.copy)) == [("checkpoint.earlier", Rule.CHECKPOINT)]


def test_checkpoint_of_garbage_is_found(audited: WrittenMarket) -> None:
    for note in (b"", b"garbage", b"x" * 100_000):
        (audited.copy.log / "checkpoint").write_bytes(note)
        assert found(audit_log(audited.copy)) == [("checkpoint", Rule.CHECKPOINT)]


def test_key_of_garbage_is_found(audited: WrittenMarket) -> None:
    audited.copy.key.write_bytes(b"\xff\xfe")
    assert found(audit_log(audited.copy)) == [("log.vkey", Rule.KEY)]


def test_damaged_statement_is_named_and_the_rest_goes_on(
    audited: WrittenMarket,
) -> None:
    path = audited.copy.log / "tile/entries/000.p/17"
    data = path.read_bytes()
    top_up = audited.market.entries[6]
    path.write_bytes(data.replace(top_up, top_up.replace(b"top_up", b"top-up")))
    report = audit_log(audited.copy)
    assert report.statements == 17
    assert found(report)[0] == (
        "entry 6 in tile/entries/000.p/17",
        Rule.ENTRY,
    )
    # Its opening opens nothing now, and the holds that it paid for are not covered.
    assert {rule for _, rule in found(report)[1:]} == {
        Rule.OVERDRAFT,
        Rule.OPENING_FORM,
    }


def test_false_statement_is_named_by_entry(written: WrittenMarket) -> None:
    market = written.market
    job = market.order()
    market.agree(job, attempt=3)
    market.entries.append(b"{}")
    written.publish()
    assert found(audit_log(written.copy)) == [
        ("entry 8", Rule.AGREEMENT),
        ("entry 9", Rule.FORM),
    ]


def test_opening_that_does_not_fit_is_named(audited: WrittenMarket) -> None:
    lines = audited.copy.openings.read_bytes().splitlines(keepends=True)
    lines[0] = lines[0].replace(b"1000000", b"1000001")
    audited.copy.openings.write_bytes(b"".join(lines))
    report = audit_log(audited.copy)
    assert found(report) == [("entry 6", Rule.OPENING)]
    assert report.concealed == 1


def test_amount_that_is_not_due_is_named(written: WrittenMarket) -> None:
    market = written.market
    job = market.order()
    market.agree(job)
    market.use(job)
    market.charge(job, amounts={"amount.3": 99})
    written.publish()
    written.disclose()
    assert found(audit_log(written.copy)) == [("entry 10", Rule.RATING)]


def test_openings_of_nothing_are_named(audited: WrittenMarket) -> None:
    with audited.copy.openings.open("ab") as file:
        file.write(canonical_json({"digest": "A" * 43 + "=", "openings": {}}))
    assert found(audit_log(audited.copy)) == [
        ("openings.jsonl line 11", Rule.OPENING_FORM)
    ]


def test_files_without_signature_are_counted(audited: WrittenMarket) -> None:
    (audited.copy.log / "README").write_text("hello")
    (audited.copy.log / "tile/0/000.p/3").write_bytes(bytes(96))
    report = audit_log(audited.copy)
    assert report.is_ok
    assert report.files_not_covered == 2


def test_problems_are_counted_beyond_those_kept() -> None:
    report = AuditReport()
    for index in range(PROBLEMS_KEPT_MAX + 5):
        report.add_problem(f"entry {index}", Rule.FORM, "This is no statement.")
    assert len(report.problems) == PROBLEMS_KEPT_MAX
    assert report.problem_count == PROBLEMS_KEPT_MAX + 5
    assert str(PROBLEMS_KEPT_MAX + 5) in report.summary


def test_signed_note_of_other_text_is_no_checkpoint(audited: WrittenMarket) -> None:
    note = sign_note("hello\n", [audited.market.signer])
    (audited.copy.log / "checkpoint").write_bytes(note)
    assert found(audit_log(audited.copy)) == [("checkpoint", Rule.CHECKPOINT)]
