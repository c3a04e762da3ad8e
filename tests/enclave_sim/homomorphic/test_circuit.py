"""A circuit has one byte form, a cost known from its shape, and bounded numbers."""

import json
from decimal import Decimal

import pytest

from enclave_sim.errors import CircuitError, ProfileError
from enclave_sim.homomorphic.circuit import LinearCircuit, parse_circuit

ENCODED = (
    b'{"bias":["-0.75"],"kind":"linear","profile":"ckks-linear-8192-v1",'
    b'"weights":[["1.5","0","-0.000000000001","100"]]}'
)


def make_circuit(features: int = 3, outputs: int = 1) -> LinearCircuit:
    return LinearCircuit.from_numbers([[0.25] * features] * outputs, [0.5] * outputs)


def test_circuit_has_one_byte_form() -> None:
    circuit = LinearCircuit.from_numbers([[1.5, -0.0, -1e-12, 100]], [-0.75])
    assert circuit.encode() == ENCODED
    assert parse_circuit(ENCODED) == circuit


def test_digest_is_frozen() -> None:
    # Computed with `sha256sum` over the bytes above.
    expected = "fb390137fc876c385f47c8c029da975898d8e4c3cd785c9b474a81d6bf0e413d"
    assert parse_circuit(ENCODED).digest.hex() == expected


def test_weights_are_rounded_to_twelve_decimals() -> None:
    circuit = LinearCircuit.from_numbers([[1 / 3]], [2 / 3])
    assert circuit.weights == ((Decimal("0.333333333333"),),)
    assert circuit.bias == (Decimal("0.666666666667"),)


def test_score_is_weights_times_row_plus_bias() -> None:
    circuit = LinearCircuit.from_numbers([[0.5, -2.0], [1.0, 0.0]], [1.5, 0.0])
    assert circuit.score([[4.0, 1.0], [0.0, 0.0]]) == [[1.5, 4.0], [1.5, 0.0]]


@pytest.mark.parametrize(
    ("features", "outputs", "rows", "cost"),
    [(30, 1, 1, 61), (30, 1, 4072, 61), (30, 1, 4073, 122), (2, 3, 1, 11)],
)
def test_cost_follows_from_shape_and_rows(
    features: int, outputs: int, rows: int, cost: int
) -> None:
    assert make_circuit(features, outputs).cost_operations(rows) == cost


def test_cost_does_not_tell_about_weights() -> None:
    sparse = LinearCircuit.from_numbers([[1.0, 0.0, 0.0]], [0.0])
    assert sparse.cost_operations(10) == make_circuit(3).cost_operations(10)


def test_cost_of_too_many_rows_is_refused() -> None:
    with pytest.raises(ProfileError):
        make_circuit().cost_operations(10**9)


@pytest.mark.parametrize(
    ("weights", "bias"),
    [
        ([], []),
        ([[]], [0.0]),
        ([[1.0]], []),
        ([[1.0]], [0.0, 0.0]),
        ([[1.0, 2.0], [1.0]], [0.0, 0.0]),
        ([[0.001] * 257], [0.0]),
        ([[0.001]] * 17, [0.0] * 17),
        ([[0.0, 0.000999]], [0.0]),
        ([[float("nan")]], [0.0]),
        ([[float("inf")]], [0.0]),
        ([[1.0]], [float("-inf")]),
        ([[1e300]], [0.0]),
        ([[10**400]], [0.0]),
        ([["text"]], [0.0]),
        ([[None]], [0.0]),
        ([[128.001]], [0.0]),
        ([[64.0, -64.0]], [0.001]),
        ([[1.0]], [131_072.0]),
    ],
)
def test_numbers_out_of_bounds_are_refused(weights: list, bias: list) -> None:
    with pytest.raises(CircuitError):
        LinearCircuit.from_numbers(weights, bias)


@pytest.mark.parametrize("weight", ["NaN", "sNaN", "Infinity", "1e-13", "1e40"])
def test_decimal_out_of_form_is_refused(weight: str) -> None:
    with pytest.raises(CircuitError):
        LinearCircuit(weights=((Decimal(weight),),), bias=(Decimal(0),))


def test_scores_may_reach_the_bound() -> None:
    LinearCircuit.from_numbers([[64.0, -63.0]], [1024.0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bias", ["-0.750"]),
        ("bias", ["-0"]),
        ("bias", ["+1"]),
        ("bias", ["01"]),
        ("bias", ["1e3"]),
        ("bias", [" 1"]),
        ("bias", ["1."]),
        ("bias", [".5"]),
        ("bias", ["\u0661"]),
        ("bias", ["0.1234567890123"]),
        ("bias", [1]),
        ("bias", "1"),
        ("bias", None),
        ("kind", "quadratic"),
        ("profile", "ckks-linear-4096-v1"),
        ("profile", None),
        ("weights", [1]),
        ("weights", []),
        ("weights", {"0": ["1"]}),
        ("extra", 1),
    ],
)
def test_near_miss_is_refused(name: str, value: object) -> None:
    document = json.loads(ENCODED)
    document[name] = value
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(CircuitError):
        parse_circuit(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"\xff", ENCODED + b" ", ENCODED[:-1], b"[" * 100_000],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(CircuitError):
        parse_circuit(data)


def test_large_circuit_fits() -> None:
    circuit = LinearCircuit.from_numbers([[-0.123456789012] * 256] * 16, [0.5] * 16)
    assert parse_circuit(circuit.encode()) == circuit
