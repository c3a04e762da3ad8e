"""The disposable process that scores encrypted rows; see `evaluator`.

It trusts its parent's guard for the form of a message, and checks what only SEAL can
see. Whatever goes wrong in native code ends this process and nothing else.
"""

from collections.abc import Iterable
from pathlib import Path

from enclave_sim.errors import CiphertextError
from enclave_sim.homomorphic.circuit import LinearCircuit, parse_circuit
from enclave_sim.homomorphic.message import Kind, Message, parse_message
from enclave_sim.homomorphic.seal import (
    encode,
    load_ciphertext,
    open_context,
    pack_scores,
    sealapi,
)
from enclave_sim.process import serve
from ledger.encoding import Json


class Scorer:
    """Scores encrypted columns with one circuit's weights."""

    def __init__(self, circuit: LinearCircuit) -> None:
        self._profile = circuit.profile
        self._context = open_context(circuit.profile)
        self._encoder = sealapi.CKKSEncoder(self._context)
        self._evaluator = sealapi.Evaluator(self._context)
        self._weights = [[float(item) for item in row] for row in circuit.weights]
        self._bias = [float(item) for item in circuit.bias]

    def load(self, data: bytes, scratch: Path) -> sealapi.Ciphertext:
        """Read one encrypted column.

        Raises:
            CiphertextError: It is none, or not a fresh one of this profile.
        """
        column = load_ciphertext(self._context, data, scratch)
        form = (column.size(), column.is_ntt_form(), column.scale, column.parms_id())
        fresh = (2, True, self._profile.scale, self._context.first_parms_id())
        if form != fresh:
            raise CiphertextError("A ciphertext of another scale, level or size.")
        return column

    def score(self, columns: Iterable[sealapi.Ciphertext]) -> list[sealapi.Ciphertext]:
        """Compute each output over the columns of one block, in order of features."""
        sums: list[sealapi.Ciphertext | None] = [None] * len(self._weights)
        for feature, column in enumerate(columns):
            for output, weights in enumerate(self._weights):
                if weights[feature]:  # SEAL refuses to multiply by nothing
                    term = self._weigh(column, weights[feature])
                    sums[output] = self._add(sums[output], term)
        return [
            self._finish(total, bias)
            for total, bias in zip(sums, self._bias, strict=True)
        ]

    def _weigh(self, column: sealapi.Ciphertext, weight: float) -> sealapi.Ciphertext:
        level = self._context.first_parms_id()
        plaintext = encode(self._encoder, weight, self._profile.scale, level)
        term = sealapi.Ciphertext()
        self._evaluator.multiply_plain(column, plaintext, term)
        return term

    def _add(
        self, total: sealapi.Ciphertext | None, term: sealapi.Ciphertext
    ) -> sealapi.Ciphertext:
        if total is None:
            return term
        self._evaluator.add_inplace(total, term)
        return total

    def _finish(
        self, total: sealapi.Ciphertext | None, bias: float
    ) -> sealapi.Ciphertext:
        assert total is not None, "a circuit's outputs each have a weight"
        self._evaluator.rescale_to_next_inplace(total)
        level = self._context.last_parms_id()
        plaintext = encode(self._encoder, bias, total.scale, level)
        self._evaluator.add_plain_inplace(total, plaintext)
        return total


def score_message(circuit: LinearCircuit, message: Message, scratch: Path) -> Message:
    """Score all blocks of an input that passed the guard.

    Raises:
        CiphertextError: A column is not a fresh ciphertext of the profile.
    """
    scorer = Scorer(circuit)
    blocks = []
    for block in message.blocks:
        scores = scorer.score(scorer.load(data, scratch) for data in block)
        blocks.append(tuple(pack_scores(item, circuit.profile) for item in scores))
    return Message(Kind.RESULT, message.profile, message.message_id, tuple(blocks))


def _evaluate(
    header: dict[str, Json], payloads: list[bytes]
) -> tuple[dict[str, Json], list[bytes]]:
    scratch = header["scratch"]
    assert isinstance(scratch, str)
    circuit = parse_circuit(payloads[0])
    message = parse_message(payloads[1], Kind.INPUT)
    return {}, [score_message(circuit, message, Path(scratch)).encode()]


if __name__ == "__main__":
    serve({"evaluate": _evaluate})
