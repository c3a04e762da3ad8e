"""Canaries hold for every linear score of the rows and for little else."""

from collections.abc import Callable, Sequence
from secrets import SystemRandom

import pytest

from enclave_sim.errors import ResultError
from enclave_sim.homomorphic.canary import Layout, plant_canaries, read_scores
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192

RANDOM = SystemRandom()
WEIGHTS = [0.5, -20.0, 0.001]
BIAS = 3.25
Columns = Sequence[Sequence[float]]


def make_rows(count: int, size: float = 5.0) -> list[list[float]]:
    return [[RANDOM.uniform(-size, size) for _ in WEIGHTS] for _ in range(count)]


def score(columns: Columns, weights: Sequence[float], bias: float) -> list[float]:
    rows = zip(*columns, strict=True)
    return [
        sum(a * b for a, b in zip(weights, row, strict=True)) + bias for row in rows
    ]


def plant(rows: list[list[float]]) -> tuple[Columns, Layout]:
    return plant_canaries(rows, CKKS_LINEAR_8192, RANDOM)


@pytest.mark.parametrize("count", [1, 2, 285, 4072])
@pytest.mark.parametrize("size", [0.0, 5.0, 1024.0])
def test_noisy_scores_are_read_in_order(count: int, size: float) -> None:
    rows = make_rows(count, size)
    columns, layout = plant(rows)
    deviation = CKKS_LINEAR_8192.noise_max / 7
    noisy = [
        item + RANDOM.gauss(0, deviation) for item in score(columns, WEIGHTS, BIAS)
    ]
    scores = read_scores(noisy, layout, CKKS_LINEAR_8192)
    exact = score(list(zip(*rows, strict=True)), WEIGHTS, BIAS)
    assert scores == pytest.approx(exact, rel=0, abs=CKKS_LINEAR_8192.noise_max * 2)


@pytest.mark.parametrize("size", [0.0, 1.0, 1024.0])
def test_canaries_stay_within_bounds(size: float) -> None:
    rows = [[size, -size, size]] * 4072
    columns, _ = plant(rows)
    assert [len(column) for column in columns] == [4096] * 3
    assert max(abs(value) for column in columns for value in column) <= 1024


def test_each_slot_is_used_once() -> None:
    _, layout = plant(make_rows(10))
    checksums = [checksum.slot for checksum in layout.checksums]
    assert sorted([*layout.rows, *layout.anchors, *checksums]) == list(range(34))


CHEATS: dict[str, Callable[[list[float]], list[float]]] = {
    "zeros": lambda scores: [0.0] * len(scores),
    "constant": lambda scores: [0.7] * len(scores),
    "random": lambda scores: [RANDOM.uniform(-9, 9) for _ in scores],
    "reversed": lambda scores: scores[::-1],
    "rotated": lambda scores: scores[1:] + scores[:1],
    "first half": lambda scores: [
        item if slot < len(scores) // 2 else 0.0 for slot, item in enumerate(scores)
    ],
    "not a number": lambda scores: [float("nan")] * len(scores),
    "infinite": lambda scores: [float("inf")] * len(scores),
    "squared": lambda scores: [item * item for item in scores],
}


@pytest.mark.parametrize("name", sorted(CHEATS))
def test_cheat_is_caught(name: str) -> None:
    columns, layout = plant(make_rows(285))
    scores = CHEATS[name](score(columns, WEIGHTS, BIAS))
    with pytest.raises(ResultError):
        read_scores(scores, layout, CKKS_LINEAR_8192)


@pytest.mark.parametrize("slot", [0, 100, 4095])
def test_one_changed_score_is_caught(slot: int) -> None:
    columns, layout = plant(make_rows(4072))
    scores = score(columns, WEIGHTS, BIAS)
    scores[slot] += 0.001
    with pytest.raises(ResultError):
        read_scores(scores, layout, CKKS_LINEAR_8192)


def test_scores_of_other_rows_are_caught() -> None:
    stale, _ = plant(make_rows(285))
    _, layout = plant(make_rows(285))
    with pytest.raises(ResultError):
        read_scores(score(stale, WEIGHTS, BIAS), layout, CKKS_LINEAR_8192)


def test_other_weights_are_not_caught() -> None:
    """The consumer does not know the weights; this is the limit of the method."""
    columns, layout = plant(make_rows(285))
    read_scores(score(columns, [1.0, 1.0, 1.0], 0.0), layout, CKKS_LINEAR_8192)
