"""Receipts of a real market, true and with one thing changed."""

from dataclasses import replace

import pytest

from ledger.log.log_keys import LogKeys
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from sdk import ReceiptError


def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def receipts(alice, node):
    remote = alice.offload(sensitivity="public")(double)
    remote.map([1, 2])
    return [job.receipt for job in remote.last_jobs]


def test_receipt_proves_its_job(receipts, alice) -> None:
    for receipt in receipts:
        facts = receipt.verify()
        assert facts.job_id == receipt.job_id
        assert facts.account == alice.account_id
        assert facts.consumer.startswith("psn_")
        assert facts.acceptance == "countersigned"
    assert alice.receipt(receipts[0].job_id).verify().job_id == receipts[0].job_id


def test_receipt_of_another_job_or_party_is_refused(receipts, alice) -> None:
    first, second = receipts
    other = PrivateKey.generate()
    for wrong in (
        replace(first, data=second.data),
        replace(first, consumer=other.account_id),
        replace(first, market=other.account_id),
    ):
        with pytest.raises(ReceiptError, match="another job"):
            wrong.verify()


def test_receipt_under_another_log_key_is_refused(receipts) -> None:
    origin = receipts[0].verify().origin
    keys = LogKeys((Signer(origin, PrivateKey.generate()).verifier,))
    with pytest.raises(ReceiptError, match="does not hold"):
        replace(receipts[0], log_keys=keys).verify()


def test_receipt_with_one_byte_changed_is_refused(receipts) -> None:
    data = receipts[0].data
    for place in range(0, len(data), 97):
        damaged = bytearray(data)
        damaged[place] ^= 1
        with pytest.raises(ReceiptError):
            replace(receipts[0], data=bytes(damaged)).verify()


def test_receipt_is_saved_whole_or_not_at_all(receipts, tmp_path) -> None:
    folder = tmp_path / "receipts"
    folder.mkdir()
    named = receipts[0].save(folder / "one.tlog-proof")
    assert named.read_bytes() == receipts[0].data
    within = receipts[0].save(str(folder))
    assert within.name == f"{receipts[0].job_id}.tlog-proof"
    with pytest.raises(ReceiptError, match="cannot be written"):
        receipts[0].save(folder / "missing" / "one.tlog-proof")
    assert len(list(folder.iterdir())) == 2
