"""Scoring rows of 30 features under encryption, feature-wise packed."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.evaluator_worker import Scorer
from enclave_sim.homomorphic.guard import parse_input
from enclave_sim.homomorphic.keys import HomomorphicKey

FEATURES = 30
ROWS = 4_072
"""One full block of the profile."""
REPEATS = 20


def he_rows_per_s(stack: ExitStack) -> float:
    """Rows per second of evaluation alone: no encryption, no transport, no process."""
    numbers = np.random.default_rng(6)
    rows = numbers.normal(size=(ROWS, FEATURES)).tolist()
    weights = numbers.uniform(-1, 1, size=(1, FEATURES)).tolist()
    circuit = LinearCircuit.from_numbers(weights, [0.5])
    message = parse_input(
        HomomorphicKey.generate().encrypt(rows).message, circuit, rows=ROWS
    )
    scorer = Scorer(circuit)
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    columns = [scorer.load(data, scratch) for data in message.blocks[0]]
    started = time.perf_counter()
    for _ in range(REPEATS):
        scorer.score(columns)
    return ROWS * REPEATS / (time.perf_counter() - started)
