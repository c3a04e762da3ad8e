"""The plain verifier before a market's whole history, true and false in one thing."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audited_market import (
    ORIGIN,
    START_MS,
    AuditedMarket,
    MadeJob,
    WrittenMarket,
    fixed_key,
)
from document_tables import ROOT
from foreign_builds import run
from page_programs import PLAIN_VERIFIER, load_plain, read_commands

from ledger.audit.disclosure_file import OpenedTotal, make_totals
from ledger.charging.committed import open_amounts
from ledger.charging.tariff import RatingGroup
from ledger.log import Signer
from ledger.log.log import Log
from ledger.log.log_signers import LogSigners
from ledger.statements.disclosure import opened_numbers

copies, groups = load_plain("plain_copy"), load_plain("plain_group")
receipts, plain = load_plain("plain_receipt"), load_plain("plain_log")


def live(market: AuditedMarket) -> list[MadeJob]:
    """A paid job, one that was given up once, and one that nobody countersigned."""
    market.begin()
    first = market.run_job()
    second = market.order()
    market.agree(second)
    market.release(second)
    market.agree(second)
    market.use(second, countersigned=False)
    market.charge(second, acceptance="timeout", charged_at_ms=START_MS + 10**6)
    return [first, second]


class WrittenCopy:
    """A copy of what a market has written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.market = AuditedMarket()

    def write(self, jobs: list[MadeJob]) -> Path:
        """Publish, with all openings and the receipts of some jobs."""
        written = WrittenMarket(self.market, self.folder)
        written.publish()
        written.disclose()
        for job in jobs:
            written.keep_receipt(job)
        written.close()
        return self.folder


@pytest.fixture
def copy(tmp_path: Path) -> WrittenCopy:
    return WrittenCopy(tmp_path)


def refusal(folder: Path) -> str:
    with pytest.raises(plain.WrongError) as refused:
        copies.verify_copy(folder)
    return str(refused.value)


def test_program_accepts_history_openings_and_receipts(copy) -> None:
    copy.folder /= "copy"
    copy.folder.mkdir()
    folder = copy.write(live(copy.market))
    (folder.parent / "tests").symlink_to(ROOT / "tests")
    (command,) = read_commands("A plain verifier")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = run(["sh", "-c", command], folder=folder.parent, PATH=path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.removeprefix("ok: ")) == {
        "entries": len(copy.market.entries),
        "charges": 2,
        "receipts": 2,
        "hidden": 0,
    }


def test_program_refuses_a_damaged_copy(copy) -> None:
    folder = copy.write(live(copy.market))
    (folder / "openings.jsonl").write_text("{}\n")
    done = run([sys.executable, PLAIN_VERIFIER, folder])
    assert done.returncode == 1
    assert done.stderr.startswith("wrong: ")


def test_history_is_accepted_without_openings(copy) -> None:
    folder = copy.write(live(copy.market))
    (folder / "openings.jsonl").unlink()
    result = copies.verify_copy(folder)
    assert result.charges == 0
    assert result.hidden > 0


FALSE: dict[str, Callable[[AuditedMarket, MadeJob], object]] = {
    "a market of another log": lambda market, _: market.open_market(origin="other"),
    "a party that came before": lambda market, _: market.register(market.consumer),
    "an offer of nobody": lambda market, _: market.publish_offer(
        provider=fixed_key("nobody").account_id
    ),
    "money for nobody": lambda market, _: market.top_up(
        1, consumer=fixed_key("nobody")
    ),
    "money from a wallet": lambda market, _: market.top_up(
        1, debit=f"{market.consumer.account_id}/wallet"
    ),
    "a job that was ordered before": lambda market, job: market.order(
        job_id=job.job_id
    ),
    "an attempt too many": lambda market, job: market.agree(job, attempt=2),
    "an expired offer": lambda market, job: market.agree(
        job, agreed_at_ms=START_MS + 10**9
    ),
    "another wallet": lambda market, job: market.agree(
        job, debit=f"{market.owner.account_id}/wallet"
    ),
    "more held than ordered": lambda market, job: market.agree(job, hold=6000),
    "another hold": lambda market, job: (
        market.agree(job),
        market.release(job, hold_transfer=market.new_id("hold")),
    ),
    "other quantities than are priced": lambda market, job: (
        market.agree(job),
        market.use(job, groups=[RatingGroup.FUEL]),
    ),
    "a slice of another node": lambda market, job: (
        market.agree(job),
        market.use(job, node=fixed_key("other").node_id),
    ),
    "a charge before its time": lambda market, job: (
        market.agree(job),
        market.use(job, countersigned=False),
        market.charge(job, acceptance="timeout", charged_at_ms=START_MS + 5),
    ),
    "a charge without a posting": lambda market, job: (
        market.agree(job),
        market.use(job),
        market.charge(job, postings=()),
    ),
    "more charged than held": lambda market, job: (
        market.agree(job, hold=10),
        market.use(job),
        market.charge(job),
    ),
    "more held than there is": lambda market, job: [
        market.agree(job, hold=5000),
        *(market.agree(market.order(), hold=5000) for _ in range(200)),
    ],
}


@pytest.mark.parametrize("act", FALSE.values(), ids=FALSE)
def test_false_statement_is_refused(copy, act) -> None:
    copy.market.begin()
    job = copy.market.order()
    true_count = len(copy.market.entries)
    act(copy.market, job)
    place = refusal(copy.write([])).partition(":")[0]
    assert int(place.removeprefix("entry ")) >= true_count


def changed_line(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """A change to the openings of the first slice."""

    def edit(text: str) -> str:
        lines = [json.loads(line) for line in text.splitlines()]
        usage = next(it for it in lines if "quantity.fuel" in it["openings"])
        change(usage["openings"])
        return "".join(json.dumps(line) + "\n" for line in lines)

    return edit


WRONG_OPENINGS = {
    "another value": lambda it: it["quantity.fuel"].update(value=8),
    "a value below zero": lambda it: it["quantity.fuel"].update(value=-7),
    "another blinding": lambda it: it["quantity.fuel"].update(
        blinding="AA" * 21 + "A="
    ),
    "a blinding that is too large": lambda it: it["quantity.fuel"].update(
        blinding="/" * 42 + "8="
    ),
    "two openings swapped": lambda it: it.update(
        {
            "quantity.fuel": it["quantity.bytes_up"],
            "quantity.bytes_up": it["quantity.fuel"],
        }
    ),
    "a field that is not there": lambda it: it.update(amount=it["quantity.fuel"]),
    "another outcome": lambda it: it["outcome"].update(value="failed"),
    "another salt": lambda it: it["outcome"].update(salt="AAAA"),
}


@pytest.mark.parametrize("change", WRONG_OPENINGS.values(), ids=WRONG_OPENINGS)
def test_wrong_opening_is_refused(copy, change) -> None:
    folder = copy.write(live(copy.market))
    path = folder / "openings.jsonl"
    path.write_text(changed_line(change)(path.read_text()))
    assert refusal(folder).startswith("entry ")


def opened_total(jobs: list[MadeJob], place: int, payee: str | None) -> OpenedTotal:
    """The sum of one amount over some jobs."""
    opened = []
    for job in jobs:
        agreed = job.statements["agreement"].body
        amounts = open_amounts(agreed.tariff, opened_numbers(job.used))
        opened.append((job.statements["charge"].digest, amounts[f"amount.{place}"]))
    (total,) = make_totals(opened, payee)
    return total


def test_total_is_checked_with_nothing_else_opened(copy) -> None:
    jobs = live(copy.market)
    folder = copy.write([])
    path = folder / "openings.jsonl"
    whole, share = (
        opened_total(jobs, 0, None),
        opened_total(jobs, 1, copy.market.provider.account_id),
    )
    path.write_bytes(whole.to_line() + share.to_line())
    assert copies.verify_copy(folder).charges == 0
    for wrong in (
        replace(whole, payee=share.payee),
        replace(whole, charges=whole.charges[:1]),
        replace(whole, charges=[*whole.charges, whole.charges[0]]),
        replace(whole, charges=[copy.market.entries[0].hex()[:44], *whole.charges]),
        replace(share, payee=copy.market.consumer.account_id),
        replace(whole, opening=share.opening),
    ):
        path.write_bytes(wrong.to_line())
        refusal(folder)


def test_receipt_with_any_part_changed_is_refused(copy) -> None:
    job = live(copy.market)[0]
    folder = copy.write([job])
    keys = plain.Keys(plain.read_log_keys((folder / "log.vkey").read_text().split()))
    receipt = (folder / "receipts" / f"{job.job_id}.tlog-proof").read_bytes()
    assert receipts.verify_receipt(receipt, keys) == 7 * 11 + 2 * 3 + 100
    for place in range(0, len(receipt), max(1, len(receipt) // 60)):
        changed = bytearray(receipt)
        changed[place] ^= 1
        with pytest.raises(plain.WrongError):
            receipts.verify_receipt(bytes(changed), keys)


# Of the group


def test_commitment_is_that_of_the_vector() -> None:
    """Source: computed with libsodium, and printed on the page."""
    opening = groups.Opening(1234, 5678)
    point = plain.decode64(groups.commit(opening))
    assert point.hex() == (
        "80703331ac734126f3459d1e2d51f301017aa88b85ad429edf5df995d600ccc0"
    )
    assert groups.encode_point(groups.H).hex() == (
        "0c1f54d8d69c408e085f471f674d9d6876a798a63a2d4f6ffd0533f5087c88c8"
    )


@pytest.mark.parametrize(
    "data",
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ],
    ids=["identity", "order 2", "order 4", "not canonical", "not on the curve"],
)
def test_point_that_is_no_commitment_is_refused(data) -> None:
    statements = load_plain("plain_statements")
    with pytest.raises(plain.WrongError):
        groups.parse_commitment(statements.encode64(bytes.fromhex(data)))


# New keys


def test_log_with_new_keys_is_followed(copy) -> None:
    """From the first keys to the second, with a receipt and a checkpoint of before."""
    market, folder = copy.market.begin(), copy.folder
    written = WrittenMarket(market, folder)
    signers = LogSigners([market.signer])
    written.log = Log(written.copy.log, signers)
    job = market.run_job()
    written.publish()
    receipt = written.keep_receipt(job).read_bytes()
    shutil.copy(folder / "log" / "checkpoint", folder / "checkpoint.earlier")
    first = plain.read_log_keys([market.signer.verifier.vkey])
    signers.add([Signer(ORIGIN, fixed_key("second log"))])
    change = market.change_log_keys()
    written.publish()
    # The old keys sign still, so whoever has only them can check the copy.
    (folder / "log.vkey").write_text(market.signer.verifier.vkey + "\n")
    assert copies.verify_copy(folder).receipts == 1
    index = market.entries.index(change.entry)
    proof = replace(written.log.prove(index), extra=change.entry).encode()
    signers.retire_before(2)
    market.run_job()
    written.publish()
    written.close()
    (folder / "log.vkey").write_text(signers.keys.text)
    second = copies.learn_keys(proof, first, market.market.account_id)
    assert [key.text for key in second] == list(signers.keys.vkeys)
    assert copies.verify_copy(folder).receipts == 1
    with pytest.raises(plain.WrongError):
        receipts.verify_receipt(receipt, plain.Keys(second))
    with pytest.raises(plain.WrongError):
        copies.learn_keys(proof, second, market.market.account_id)
    with pytest.raises(plain.WrongError):
        copies.learn_keys(proof, first, market.consumer.account_id)
    (folder / "log.vkey").write_text(market.signer.verifier.vkey + "\n")
    refusal(folder)
