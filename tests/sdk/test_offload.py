"""Offloaded functions against a real market and nodes that work in this process."""

from pathlib import Path

import pytest

from sdk import JobFailedError, JobRefusedError


def double(x: int) -> int:
    return 2 * x


def invert(x: float) -> float:
    if x == 0:
        raise ValueError("no inverse")
    return 1 / x


def total(rows: list[list[float]], scale: float = 1.0) -> float:
    return sum(map(sum, rows)) * scale


def test_sandbox_job_runs_and_is_paid(alice, node) -> None:
    remote = alice.offload(sensitivity="public")(double)
    assert remote(21) == 42
    last = remote.last
    assert (last.value, last.result_bytes, last.protection) == (42, b"42", "sandbox")
    assert (last.node, last.attempt, last.assurance) == (node.node_id, 1, "none")
    assert alice.invoice()["totalMicrocredits"] == last.total_microcredits > 0
    assert alice.balance()["heldMicrocredits"] == 0
    assert alice.job(last.job_id)["state"] == "charged"


def test_enclave_job_is_sealed_to_appraised_enclave(alice, node) -> None:
    remote = alice.offload(sensitivity="confidential", categories=["health"])(total)
    assert remote([[1.5, 2], [3, 4.25]], scale=2) == 21.5
    assert remote.last.protection == "enclave"
    assert remote.last.assurance == "simulated"


def test_receipt_verifies_offline(alice, node, tmp_path) -> None:
    remote = alice.offload(sensitivity="public")(double)
    remote(1)
    receipt = remote.last.receipt
    facts = receipt.verify()
    assert facts.total_microcredits == remote.last.total_microcredits
    assert receipt.save(tmp_path).read_bytes() == receipt.data
    assert remote.last.job_id in receipt.summary()


@pytest.mark.slow
def test_map_keeps_order_and_tells_progress(alice, node) -> None:
    seen = []
    remote = alice.offload(sensitivity="public")(double)
    values = remote.map(range(300), progress=lambda done, of: seen.append((done, of)))
    assert values == [2 * x for x in range(300)]
    assert seen[-1] == (300, 300)
    assert [job.value for job in remote.last_jobs] == values
    assert remote.starmap(iter([(1,), (2,)])) == [2, 4]


def test_failure_names_line_of_own_file(alice, node) -> None:
    remote = alice.offload(sensitivity="public")(invert)
    with pytest.raises(JobFailedError, match="no inverse") as failure:
        remote(0)
    lines = Path(__file__).read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "no inverse" in text)
    assert (failure.value.line, failure.value.code) == (line, "SANDBOX.RAISED")
    assert failure.value.job_id == remote.last.job_id
    assert alice.job(remote.last.job_id)["state"] == "charged"


def test_refused_job_tells_every_reason(alice, node) -> None:
    remote = alice.offload(sensitivity="restricted")(double)
    with pytest.raises(JobRefusedError, match="attested hardware") as refusal:
        remote(1)
    (offer,) = refusal.value.decision["offers"]
    rules = [item["rule"] for item in offer["refusals"]]
    assert rules == ["sensitivity_floor", "assurance"]
    assert alice.explain(refusal.value.job_id)["state"] == "refused"


def repeat(text: str, times: int) -> str:
    return text * times


@pytest.mark.parametrize("sensitivity", ["public", "confidential"])
def test_large_payloads_travel_both_ways(alice, node, sensitivity) -> None:
    remote = alice.offload(sensitivity=sensitivity)(repeat)
    text = "x" * 100_000
    assert remote(text, 2) == text * 2
    assert remote.last.quantities["bytes_up"] > 97
    assert remote.last.quantities["bytes_down"] > 195
    remote.last.receipt.verify()
