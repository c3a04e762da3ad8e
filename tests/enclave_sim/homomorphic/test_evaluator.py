"""A whole evaluation in its own process, and what happens when that goes wrong."""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from enclave_sim.errors import (
    CiphertextError,
    EvaluationError,
    MessageError,
    PrivateContextError,
)
from enclave_sim.homomorphic import evaluator
from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.evaluator import evaluate
from enclave_sim.homomorphic.keys import EncryptedRows, HomomorphicKey
from enclave_sim.homomorphic.message import Kind, parse_message

AT_ONCE_S = 1e-4
"""Too short for any process to start: what is refused now never met native code."""


def test_rows_are_scored_unread(
    key: HomomorphicKey,
    circuit: LinearCircuit,
    rows: list[list[float]],
    encrypted: EncryptedRows,
) -> None:
    result = evaluate(circuit, encrypted.message, rows=3, timeout_s=60)
    scores = key.decrypt(result, encrypted, outputs=1)
    for found, due in zip(scores, circuit.score(rows), strict=True):
        assert found == pytest.approx(due, rel=0, abs=circuit.profile.error_max)


def test_several_outputs_skip_weights_of_zero(
    key: HomomorphicKey, rows: list[list[float]], encrypted: EncryptedRows
) -> None:
    circuit = LinearCircuit.from_numbers(
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]], [0.0, 0.0, 1.0]
    )
    result = evaluate(circuit, encrypted.message, rows=3, timeout_s=60)
    scores = key.decrypt(result, encrypted, outputs=3)
    for found, row in zip(scores, rows, strict=True):
        due = [row[0], row[2], 1 - row[1]]
        assert found == pytest.approx(due, rel=0, abs=circuit.profile.error_max)


@pytest.mark.parametrize("data", [b"", b"garbage", bytes(200_000)])
def test_garbage_never_meets_native_code(data: bytes, circuit: LinearCircuit) -> None:
    with pytest.raises(MessageError):
        evaluate(circuit, data, rows=3, timeout_s=AT_ONCE_S)


def test_private_context_never_meets_native_code(circuit: LinearCircuit) -> None:
    data = b"\x0a\x02\x5e\xa1\x1a\x04\x0a\x02\x5e\xa1"
    with pytest.raises(PrivateContextError):
        evaluate(circuit, data, rows=3, timeout_s=AT_ONCE_S)


def test_ciphertext_that_does_not_unpack_is_refused(
    circuit: LinearCircuit, encrypted: EncryptedRows
) -> None:
    message = parse_message(encrypted.message, Kind.INPUT)
    first = message.blocks[0][0]
    damaged = first[:25] + b"\xff" * (len(first) - 25)
    changed = dataclasses.replace(message, blocks=((damaged, *message.blocks[0][1:]),))
    with pytest.raises(CiphertextError):
        evaluate(circuit, changed.encode(), rows=3, timeout_s=60)


def test_slow_evaluation_is_ended(
    circuit: LinearCircuit, encrypted: EncryptedRows
) -> None:
    with pytest.raises(EvaluationError):
        evaluate(circuit, encrypted.message, rows=3, timeout_s=AT_ONCE_S)


def test_too_little_memory_ends_the_job(
    circuit: LinearCircuit, encrypted: EncryptedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "ADDRESS_SPACE_BYTES", 1_000_000)
    with pytest.raises(EvaluationError):
        evaluate(circuit, encrypted.message, rows=3, timeout_s=60)


def test_process_that_ends_ends_the_job(
    circuit: LinearCircuit, encrypted: EncryptedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "_WORKER", "this")
    with pytest.raises(EvaluationError):
        evaluate(circuit, encrypted.message, rows=3, timeout_s=60)


def test_child_taken_over_cannot_answer_at_will(
    circuit: LinearCircuit, encrypted: EncryptedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "_evaluate_apart", lambda *_: encrypted.message)
    with pytest.raises(EvaluationError):
        evaluate(circuit, encrypted.message, rows=3, timeout_s=60)


def test_nothing_is_left_behind(
    circuit: LinearCircuit,
    encrypted: EncryptedRows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(EvaluationError):
        evaluate(circuit, encrypted.message, rows=3, timeout_s=AT_ONCE_S)
    evaluate(circuit, encrypted.message, rows=3, timeout_s=60)
    assert not list(tmp_path.iterdir())


def test_verification_needs_no_tenseal() -> None:
    code = (
        "import sys, enclave_sim.homomorphic, enclave_sim.homomorphic.canary;"
        "sys.exit(any('seal' in name.split('.')[-1] for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
