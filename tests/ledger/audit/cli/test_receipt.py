"""`sixfold audit receipt`: answers and exit codes."""

import json
from pathlib import Path

from audit_command import flip, run
from audited_market import WrittenMarket


def receipt_of(audited: WrittenMarket) -> Path:
    return audited.copy.receipts / audited.copy.receipt_names()[0]


def test_receipt_that_is_true_is_ok(audited: WrittenMarket) -> None:
    result = run("receipt", receipt_of(audited))
    assert result.exit_code == 0
    assert "log.vkey" in result.stdout
    assert "it does not prove" in result.stdout
    assert "183" in result.stdout
    *_, last = result.stdout.splitlines()
    assert last == "receipt: ok"


def test_receipt_answers_as_json(audited: WrittenMarket) -> None:
    result = run("receipt", receipt_of(audited), "--json")
    assert result.exit_code == 0
    value = json.loads(result.stdout)
    assert value["ok"] is True
    assert value["totalMicrocredits"] == 183
    assert value["key"].endswith("log.vkey")


def test_receipt_that_is_damaged_is_refused(audited: WrittenMarket) -> None:
    receipt = receipt_of(audited)
    flip(receipt, 200)
    result = run("receipt", receipt)
    assert result.exit_code == 3
    assert "LEDGER.RECEIPT" in result.stderr
    assert "Broken rule" in result.stderr
    assert run("receipt", receipt, "--json").exit_code == 3
    receipt.write_bytes(bytes(10**6))
    assert run("receipt", receipt).exit_code == 3


def test_receipt_without_key_is_misuse(audited: WrittenMarket) -> None:
    audited.copy.key.unlink()
    result = run("receipt", receipt_of(audited))
    assert result.exit_code == 2
    assert "--key" in result.stderr


def test_receipt_takes_key_beside_it(audited: WrittenMarket) -> None:
    receipt = receipt_of(audited)
    audited.copy.key.rename(receipt.parent / "log.vkey")
    assert run("receipt", receipt).exit_code == 0
