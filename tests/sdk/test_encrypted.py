"""Scoring under encryption, with a node that evaluates for real."""

import pytest
from scripted_node import Cheats

from enclave_sim.sandbox.outcome import FailureCode, Outcome
from sdk import InputError, JobDisputedError, JobFailedError
from sdk.payloads import encode_outcome

WEIGHTS = [[0.5, -1.25, 0.75]]
BIAS = [0.125]
ROWS = [[1.0, 2.0, 3.0], [-0.5, 0.25, 8.0]]
SCORES = [[0.375], [5.5625]]

pytestmark = pytest.mark.slow


@pytest.fixture
def scorer(alice):
    workload_id = alice.publish_circuit(
        "a model", weights=WEIGHTS, bias=BIAS, royalty_microcredits=70
    )
    return alice.scorer(workload_id, sensitivity="restricted", categories=["health"])


def test_scores_come_back_and_owner_is_paid(scorer, alice, node) -> None:
    scores = scorer(ROWS)
    assert [len(row) for row in scores] == [1, 1]
    for score, due in zip(scores, SCORES, strict=True):
        assert score == pytest.approx(due, abs=1e-5)
    last = scorer.last
    assert (last.protection, last.node, last.fuel) == ("homomorphic", node.node_id, 0)
    assert last.quantities["royalty"] == 1
    assert alice.invoice()["byGroup"]["royalty"] == 70
    assert last.receipt.verify().by_payee_microcredits[alice.account_id] == 70


def test_result_of_another_message_is_disputed(scorer, alice, node) -> None:
    scorer(ROWS)
    stale = scorer.last.result_bytes
    node.cheats = Cheats(result=lambda _: stale)
    with pytest.raises(JobDisputedError) as dispute:
        scorer(ROWS)
    assert dispute.value.reason == "result_invalid"
    assert alice.job(dispute.value.job_id)["reason"] == "result_invalid"


@pytest.mark.parametrize("place", [100, 70_000, -1])
def test_result_with_one_byte_changed_is_disputed(scorer, node, place) -> None:
    def change(result: bytes) -> bytes:
        data = bytearray(result)
        data[place] ^= 1
        return bytes(data)

    node.cheats = Cheats(result=change)
    with pytest.raises(JobDisputedError):
        scorer(ROWS)


def test_claimed_success_without_scores_is_disputed(scorer, node) -> None:
    outcome = Outcome(status="succeeded", result=b"1", fuel=0)
    node.cheats = Cheats(result=lambda _: encode_outcome(outcome))
    with pytest.raises(JobDisputedError):
        scorer(ROWS)


def test_node_that_could_not_score_is_told_apart(scorer, alice, node) -> None:
    failed = Outcome.failed(FailureCode.INPUT_INVALID, "Three columns are due.", fuel=0)
    payload = encode_outcome(failed)

    used = {
        "quantity.homomorphic": 0,
        "quantity.royalty": 0,
        "quantity.bytes_down": -(-len(payload) // 1024),
    }
    node.cheats = Cheats(
        result=lambda _: payload,
        fields=lambda fields: fields | {"outcome": "failed"},
        numbers=lambda numbers: numbers | used,
    )
    with pytest.raises(JobFailedError, match="Three columns"):
        scorer(ROWS)
    assert "royalty" not in alice.invoice()["byGroup"]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[]],
        [[1.0, 2.0], [1.0]],
        [[float("nan")]],
        [[10.0**9]],
        [["x"]],
        [[0.0] * 257],
    ],
)
def test_rows_that_cannot_be_encrypted_are_refused(scorer, alice, rows) -> None:
    with pytest.raises(InputError):
        scorer(rows)
    assert list(alice.jobs()) == []


def test_outputs_are_bounded(alice) -> None:
    workload_id = alice.publish_circuit(
        "a model", weights=WEIGHTS, bias=BIAS, royalty_microcredits=0
    )
    for outputs in (0, 17):
        with pytest.raises(InputError):
            alice.scorer(workload_id, sensitivity="public", outputs=outputs)
