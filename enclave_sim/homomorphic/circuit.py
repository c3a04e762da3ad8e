"""What a homomorphic job computes: linear scores with the owner's weights.

A circuit is data, not code. Its depth is one by construction, its cost follows from
its shape and the number of rows alone (not from weights or inputs, so neither price
nor duration tells anything about them), and the same circuit always has the same
bytes and digest.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Self

from enclave_sim.errors import CircuitError, ProfileError
from enclave_sim.homomorphic.limits import (
    CIRCUIT_BYTES_MAX,
    FEATURES_MAX,
    OUTPUTS_MAX,
    WEIGHT_DECIMALS_MAX,
)
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192, Profile, find_profile
from ledger.encoding import Json, canonical_json, parse_json
from ledger.errors import EncodingError

SIGNIFICANT_WEIGHT_MIN = Decimal("0.001")
"""Each output needs one weight this large, else its scores could be all noise."""

_KIND = "linear"
_KEYS = {"bias", "kind", "profile", "weights"}
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{0,11}[1-9])?")
_STEP = Decimal(1).scaleb(-WEIGHT_DECIMALS_MAX)
# Wide enough that no number within bounds is ever rounded.
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class LinearCircuit:
    """Scores ``weights @ row + bias``, one for each output.

    Attributes:
        weights: One tuple for each output (1 to 16), with a weight for each feature
            (1 to 256); at most 12 decimals each.
        bias: One number for each output; at most 12 decimals.
        profile: The parameters that it runs under.

    Raises:
        CircuitError: The shape is wrong, a number is out of form, an output has no
            weight of at least 0.001, or allowed inputs could reach a score beyond
            the profile's bound: sum of |weights| * `value_max` + |bias|.
    """

    weights: tuple[tuple[Decimal, ...], ...]
    bias: tuple[Decimal, ...]
    profile: Profile = CKKS_LINEAR_8192

    def __post_init__(self) -> None:
        if not 1 <= len(self.weights) <= OUTPUTS_MAX:
            raise CircuitError(f"A circuit has 1 to {OUTPUTS_MAX} outputs.")
        if not 1 <= self.features <= FEATURES_MAX:
            raise CircuitError(f"A circuit has 1 to {FEATURES_MAX} features.")
        if len(self.bias) != self.outputs:
            raise CircuitError("A circuit has one bias for each output.")
        for weights, bias in zip(self.weights, self.bias, strict=True):
            self._check_output(weights, bias)

    @classmethod
    def from_numbers(
        cls,
        weights: Iterable[Iterable[float]],
        bias: Iterable[float],
        profile: Profile = CKKS_LINEAR_8192,
    ) -> Self:
        """Build a circuit from a trained model's coefficients.

        Args:
            weights: Shape (outputs, features); rounded to 12 decimals.
            bias: Shape (outputs,); rounded to 12 decimals.
            profile: The parameters that it runs under.

        Raises:
            CircuitError: As of the class.
        """
        return cls(
            weights=tuple(tuple(_rounded(item) for item in row) for row in weights),
            bias=tuple(_rounded(item) for item in bias),
            profile=profile,
        )

    @property
    def features(self) -> int:
        """Numbers in one row."""
        return len(self.weights[0])

    @property
    def outputs(self) -> int:
        """Scores for one row."""
        return len(self.weights)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes, 32 bytes: the identity of this circuit."""
        return hashlib.sha256(self.encode()).digest()

    def encode(self) -> bytes:
        """Give the one byte form: canonical JSON, numbers as decimal strings."""
        return canonical_json(
            {
                "bias": [_decimal_text(item) for item in self.bias],
                "kind": _KIND,
                "profile": self.profile.name,
                "weights": [[_decimal_text(item) for item in w] for w in self.weights],
            }
        )

    def cost_operations(self, rows: int) -> int:
        """Count the ciphertext operations that scoring so many rows takes.

        For each block of rows: one to open each column, one to multiply and add it
        into each output, one to finish each output.

        Raises:
            ProfileError: No rows, or too many for one message.
        """
        each = self.features + self.outputs * (self.features + 1)
        return self.profile.block_count(rows) * each

    def score(self, rows: Sequence[Sequence[float]]) -> list[list[float]]:
        """Score rows in the clear: what decryption gives, but for its error.

        Args:
            rows: Shape (rows, features).

        Returns:
            Shape (rows, outputs).
        """
        weights = [[float(item) for item in w] for w in self.weights]
        bias = [float(item) for item in self.bias]
        return [
            [
                sum(a * b for a, b in zip(w, row, strict=True)) + c
                for w, c in zip(weights, bias, strict=True)
            ]
            for row in rows
        ]

    def _check_output(self, weights: tuple[Decimal, ...], bias: Decimal) -> None:
        if len(weights) != self.features:
            raise CircuitError("All outputs of a circuit weigh the same features.")
        sizes = [abs(_checked(item, self.profile.score_max)) for item in weights]
        reach = sum(sizes) * self.profile.value_max
        reach += abs(_checked(bias, self.profile.score_max))
        if reach > self.profile.score_max:
            raise CircuitError(
                f"Scores could reach {reach:.0f}; {self.profile.name} carries"
                f" {self.profile.score_max}. Scale the weights down."
            )
        if max(sizes) < SIGNIFICANT_WEIGHT_MIN:
            raise CircuitError(
                f"An output has no weight of at least {SIGNIFICANT_WEIGHT_MIN}."
            )


def parse_circuit(data: bytes) -> LinearCircuit:
    """Read a circuit from its canonical bytes, strictly.

    Args:
        data: At most 128 KiB; exactly what :meth:`LinearCircuit.encode` gives.

    Raises:
        CircuitError: The bytes are anything else.
    """
    try:
        value = parse_json(data, size_max=CIRCUIT_BYTES_MAX)
        if not isinstance(value, dict) or set(value) != _KEYS:
            raise CircuitError("A circuit has bias, kind, profile and weights.")
        if value["kind"] != _KIND:
            raise CircuitError("The only kind of circuit is linear.")
        circuit = LinearCircuit(
            weights=tuple(_parse_numbers(row) for row in _parse_list(value["weights"])),
            bias=_parse_numbers(value["bias"]),
            profile=find_profile(str(value["profile"])),
        )
    except (EncodingError, ProfileError) as error:
        raise CircuitError(f"Not a circuit: {error}") from error
    if circuit.encode() != data:
        raise CircuitError("A circuit that is not in its canonical form.")
    return circuit


def _parse_list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise CircuitError("Weights and biases are lists.")
    return value


def _parse_numbers(value: Json) -> tuple[Decimal, ...]:
    return tuple(_parse_decimal(item) for item in _parse_list(value))


def _parse_decimal(value: Json) -> Decimal:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise CircuitError("Weights are decimal strings such as -1.25.")
    return Decimal(value)


def _decimal_text(value: Decimal) -> str:
    if not value:
        return "0"  # also for minus zero
    text = format(value.quantize(_STEP, context=_EXACT), "f")
    return text.rstrip("0").rstrip(".")


def _rounded(value: float) -> Decimal:
    try:
        return Decimal(repr(float(value))).quantize(_STEP, context=_EXACT)
    except (InvalidOperation, OverflowError, TypeError, ValueError) as error:
        raise CircuitError("A weight is no finite number.") from error


def _checked(value: Decimal, bound: int) -> Decimal:
    if not value.is_finite() or not -bound <= value <= bound:
        raise CircuitError(f"A weight is no number within {bound}.")
    if value.quantize(_STEP, context=_EXACT) != value:
        raise CircuitError(f"A weight has more than {WEIGHT_DECIMALS_MAX} decimals.")
    return value
