"""Laws of the audit: it never breaks, and a log that was touched is never ok."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from audited_market import AuditedMarket, WrittenMarket
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.audit.checked_statement import (
    check_commitments,
    check_signatures,
    read_statement,
)
from ledger.audit.errors import ReceiptError, RuleError
from ledger.audit.history import History
from ledger.audit.log_audit import audit_log
from ledger.audit.log_copy import LogCopy
from ledger.audit.receipt import verify_receipt
from ledger.audit.replay import Replay
from ledger.audit.report import AuditReport
from ledger.commitments.pedersen import CommitmentOpening
from ledger.log.proof import TlogProof, parse_proof
from ledger.statements.disclosure import Opening, Openings


def _market() -> AuditedMarket:
    market = AuditedMarket().begin()
    market.run_job()
    job = market.order()
    market.agree(job)
    market.release(job)
    market.agree(job)
    market.use(job)
    market.charge(job)
    return market


MARKET = _market()


def _receipt() -> bytes:
    market = AuditedMarket().begin()
    job = market.run_job()
    with tempfile.TemporaryDirectory() as folder:
        written = WrittenMarket(market, Path(folder))
        written.publish()
        written.close()
        return written.receipt(job)


RECEIPT = _receipt()
ENTRIES = st.sampled_from(MARKET.entries) | st.binary(max_size=50)
NUMBERS = st.builds(CommitmentOpening, st.integers(0, 2000), st.integers(0, 5))
AMOUNTS = st.builds(
    Opening,
    salt=st.just("AAAA"),
    value=st.integers(-5, 2000) | st.none() | st.text(max_size=3) | st.booleans(),
)


def judged(entries: list[bytes], amounts: Mapping[str, Openings]) -> AuditReport:
    """All rules but those of the tree, which would refuse any change at once."""
    report = AuditReport()
    history, replay = (
        History("ledger.example/test", entries.__getitem__),
        Replay(report),
    )
    for index, entry in enumerate(entries):
        try:
            statement = read_statement(entry)
            check_signatures(statement)
            check_commitments(statement)
            context = history.take(index, statement)
            openings = dict(MARKET.openings.get(statement.digest, {}))
            openings.update(amounts.get(statement.digest, {}))
            replay.take(statement, context, openings)
        except RuleError as error:
            report.add_problem(f"entry {index}", error.rule, str(error))
    try:
        replay.finish()
    except RuleError as error:
        report.add_problem("books", error.rule, str(error))
    return report


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=25))
def test_any_order_of_statements_is_judged(entries: list[bytes]) -> None:
    report = judged(entries, {})
    repeated = len(set(entries)) < len(entries)
    headless = bool(entries) and entries[0] != MARKET.entries[0]
    assert not (report.is_ok and (repeated or headless))


@given(st.data())
def test_history_without_one_statement_is_refused_or_shorter(
    data: st.DataObject,
) -> None:
    """A statement can be left out only if nothing was built on it."""
    gone = data.draw(st.integers(0, len(MARKET.entries) - 1))
    kind = read_statement(MARKET.entries[gone]).kind
    entries = MARKET.entries[:gone] + MARKET.entries[gone + 1 :]
    report = judged(entries, {})
    assert report.is_ok == (kind == "charge")


@given(st.data())
def test_swapped_neighbours_are_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(MARKET.entries) - 2))
    entries = list(MARKET.entries)
    entries[place : place + 2] = reversed(entries[place : place + 2])
    kinds = {read_statement(entry).kind for entry in entries[place : place + 2]}
    # These are the neighbours of which neither builds upon the other.
    free = kinds in (
        {"account"},
        {"account", "offer"},
        {"offer", "workload"},
        {"workload", "top_up"},
        {"top_up", "order"},
        {"charge", "order"},
    )
    assert judged(entries, {}).is_ok == free


@pytest.mark.slow
@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(MARKET.openings)),
        st.dictionaries(
            st.sampled_from(["amount", "amount.0", "quantity.fuel"]), NUMBERS
        )
        | st.fixed_dictionaries({"hold": AMOUNTS}),
    )
)
def test_any_amounts_are_judged(amounts: dict[str, Openings]) -> None:
    report = judged(MARKET.entries, amounts)
    assert sum(item.posted_microcredits for item in report.balances.values()) == 0


@given(st.binary(max_size=3000))
def test_receipt_of_any_bytes_raises_one_error(data: bytes) -> None:
    with pytest.raises(ReceiptError):
        verify_receipt(data, MARKET.signer.verifier)


@given(st.binary(max_size=500), st.integers(0, 2**63 - 1))
def test_receipt_of_any_extra_raises_one_error(extra: bytes, index: int) -> None:
    proof = parse_proof(RECEIPT)
    changed = TlogProof(index, proof.path, proof.checkpoint_note, extra)
    with pytest.raises(ReceiptError):
        verify_receipt(changed.encode(), MARKET.signer.verifier)


@given(st.data())
def test_receipt_with_a_byte_changed_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(RECEIPT) - 1))
    middle = data.draw(
        st.binary(max_size=2).filter(lambda it: it != RECEIPT[place : place + 1])
    )
    with pytest.raises(ReceiptError):
        verify_receipt(
            RECEIPT[:place] + middle + RECEIPT[place + 1 :], MARKET.signer.verifier
        )


def _files() -> dict[str, bytes]:
    """A whole copy, by path."""
    with tempfile.TemporaryDirectory() as name:
        written = WrittenMarket(MARKET, Path(name))
        written.publish()
        written.disclose()
        written.close()
        return {
            path.relative_to(name).as_posix(): path.read_bytes()
            for path in Path(name).rglob("*")
            if path.is_file() and path.suffix != ".sqlite"
        }


FILES = _files()


def audited(changes: dict[str, bytes]) -> AuditReport:
    """The report on the copy with some files changed."""
    with tempfile.TemporaryDirectory() as name:
        for path, data in {**FILES, **changes}.items():
            target = Path(name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return audit_log(LogCopy.at(Path(name)))


def test_copy_is_ok() -> None:
    assert audited({}).is_ok


@pytest.mark.slow
@settings(deadline=None)
@given(st.data())
def test_copy_with_a_bit_changed_is_never_ok(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    content = bytearray(FILES[name])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    report = audited({name: bytes(content)})
    assert not report.is_ok
    assert report.problems


@pytest.mark.slow
@settings(deadline=None)
@given(st.sampled_from(sorted(FILES)), st.binary(max_size=300))
def test_copy_with_garbage_is_judged(name: str, garbage: bytes) -> None:
    """A report is due, whatever lies in the folder."""
    is_nothing = name == "openings.jsonl" and not garbage
    assert audited({name: garbage}).is_ok == is_nothing
