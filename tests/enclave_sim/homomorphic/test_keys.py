"""What the consumer's key encrypts, it can open, within the stated error."""

import copy
import dataclasses
import pickle
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from enclave_sim.errors import (
    CiphertextError,
    HomomorphicError,
    MessageError,
    ProfileError,
    ResultError,
    RowsError,
)
from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.evaluator_worker import Scorer, score_message
from enclave_sim.homomorphic.guard import parse_input
from enclave_sim.homomorphic.keys import EncryptedRows, HomomorphicKey
from enclave_sim.homomorphic.message import Kind, Message, parse_message
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192
from enclave_sim.homomorphic.seal import encode, load_scores, pack_scores, sealapi

ERROR_MAX = CKKS_LINEAR_8192.error_max


def score(circuit: LinearCircuit, encrypted: EncryptedRows, scratch: Path) -> Message:
    """Score in this process, without the guard."""
    message = parse_message(encrypted.message, Kind.INPUT)
    return score_message(circuit, message, scratch)


def exact_scores(circuit: LinearCircuit, rows: Sequence[Sequence[float]]) -> list:
    return [
        [
            float(
                sum(
                    Fraction(w) * Fraction(x) for w, x in zip(weights, row, strict=True)
                )
                + Fraction(bias)
            )
            for weights, bias in zip(circuit.weights, circuit.bias, strict=True)
        ]
        for row in rows
    ]


def test_scores_agree_with_plaintext(tmp_path: Path, key: HomomorphicKey) -> None:
    generator = np.random.default_rng(569)
    table = generator.normal(size=(285, 30))
    weights, bias = generator.normal(size=(2, 30)), generator.normal(size=2)
    weights[1, :9] = 0.0
    circuit = LinearCircuit.from_numbers(weights, bias)
    encrypted = key.encrypt(table)
    parse_input(encrypted.message, circuit, rows=285)
    result = score(circuit, encrypted, tmp_path).encode()
    scores = np.array(key.decrypt(result, encrypted, outputs=2))
    assert scores.shape == (285, 2)
    assert np.abs(scores - (table @ weights.T + bias)).max() <= ERROR_MAX


def test_scores_at_the_bounds_agree(tmp_path: Path, key: HomomorphicKey) -> None:
    rows = [[1024.0, -1024.0], [1024.0, 1024.0], [-1024.0, 1024.0], [1e-9, 0.0]]
    circuit = LinearCircuit.from_numbers([[64.0, -63.999999999999]], [0.0])
    encrypted = key.encrypt(rows)
    result = score(circuit, encrypted, tmp_path).encode()
    scores = key.decrypt(result, encrypted, outputs=1)
    exact = exact_scores(circuit, rows)
    assert exact[0][0] == pytest.approx(CKKS_LINEAR_8192.score_max)
    for found, due in zip(scores, exact, strict=True):
        assert abs(found[0] - due[0]) <= ERROR_MAX


@pytest.mark.slow
def test_widest_rows_at_the_bounds_agree(tmp_path: Path, key: HomomorphicKey) -> None:
    generator = np.random.default_rng(256)
    signs = np.where(generator.random((20, 256)) < 0.5, -1024.0, 1024.0)
    weights = generator.uniform(-0.6, 0.6, size=256)
    circuit = LinearCircuit.from_numbers(
        [weights * 128 / np.abs(weights).sum() * 0.99], [0]
    )
    encrypted = key.encrypt(signs.tolist())
    result = score(circuit, encrypted, tmp_path).encode()
    scores = key.decrypt(result, encrypted, outputs=1)
    for found, due in zip(scores, exact_scores(circuit, signs.tolist()), strict=True):
        assert abs(found[0] - due[0]) <= ERROR_MAX


@pytest.mark.parametrize("weights", [[127.0, 0.9], [0.01, -0.01]])
def test_noise_stays_below_its_bound(
    weights: list[float], tmp_path: Path, key: HomomorphicKey
) -> None:
    """Look at the scores before they are rounded."""
    rows = np.random.default_rng(8192).uniform(-1024, 1024, size=(4072, 2))
    circuit = LinearCircuit.from_numbers([weights], [-0.5])
    encrypted = key.encrypt(rows)
    ((data,),) = score(circuit, encrypted, tmp_path).blocks
    plaintext = sealapi.Plaintext()
    ciphertext = load_scores(key._context, data, CKKS_LINEAR_8192, tmp_path)
    key._decryptor.decrypt(ciphertext, plaintext)
    slots = np.array(key._encoder.decode_double(plaintext))
    errors = slots[list(encrypted.layouts[0].rows)] - (rows @ weights - 0.5)
    assert np.abs(errors).max() < CKKS_LINEAR_8192.noise_max
    assert errors.std() < CKKS_LINEAR_8192.noise_max / 7


def test_rows_of_several_blocks_keep_their_order(
    tmp_path: Path, key: HomomorphicKey
) -> None:
    rows = [[float(index % 1000)] for index in range(4073)]
    circuit = LinearCircuit.from_numbers([[1.0]], [0.0])
    encrypted = key.encrypt(rows)
    assert len(parse_input(encrypted.message, circuit, rows=4073).blocks) == 2
    result = score(circuit, encrypted, tmp_path).encode()
    assert key.decrypt(result, encrypted, outputs=1) == rows


@pytest.mark.parametrize(
    "rows",
    [
        [[]],
        [[1.0], []],
        [[1.0], [1.0, 2.0]],
        [[float("nan")]],
        [[float("inf")]],
        [[1024.0001]],
        [[-1025]],
        [[10**400]],
        [["1.0"]],
        ["1.0"],
        [[None]],
        [None],
        [1.0],
        [[[1.0]]],
        [[0.0] * 257],
    ],
)
def test_bad_rows_are_refused(rows: list, key: HomomorphicKey) -> None:
    with pytest.raises(RowsError):
        key.encrypt(rows)


def test_no_rows_are_refused(key: HomomorphicKey) -> None:
    with pytest.raises(ProfileError):
        key.encrypt([])


def test_too_many_ciphertexts_are_refused(key: HomomorphicKey) -> None:
    with pytest.raises(RowsError):
        key.encrypt([[0.0] * 256] * 4072 * 2 + [[0.0] * 256])


def test_numbers_of_other_types_are_taken(key: HomomorphicKey) -> None:
    key.encrypt([[1, np.float32(0.5), np.int64(3), Fraction(1, 4)]])


def test_key_does_not_leave_its_object(
    key: HomomorphicKey, encrypted: EncryptedRows
) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.deepcopy(key)
    assert "layout" not in repr(encrypted)


def test_equal_rows_give_unlike_messages(key: HomomorphicKey, rows: list) -> None:
    first, second = (
        parse_message(key.encrypt(rows).message, Kind.INPUT) for _ in range(2)
    )
    assert first.message_id != second.message_id
    assert not set(first.blocks[0]) & set(second.blocks[0])


def test_size_depends_on_shape_alone(key: HomomorphicKey) -> None:
    sizes = [len(key.encrypt(rows).message) for rows in ([[0.0]], [[1023.0]] * 4072)]
    assert abs(sizes[0] - sizes[1]) < 10_000  # the compressor's luck


def test_result_for_another_key_is_refused(
    tmp_path: Path, circuit: LinearCircuit, encrypted: EncryptedRows
) -> None:
    result = score(circuit, encrypted, tmp_path).encode()
    with pytest.raises(ResultError):
        HomomorphicKey.generate().decrypt(result, encrypted, outputs=1)


def test_columns_of_two_keys_give_no_result(
    tmp_path: Path, circuit: LinearCircuit, key: HomomorphicKey, rows: list
) -> None:
    """The evaluator cannot tell; the consumer's canaries can."""
    mine = key.encrypt(rows)
    blocks = [
        parse_message(item.message, Kind.INPUT).blocks[0]
        for item in (mine, HomomorphicKey.generate().encrypt(rows))
    ]
    message = parse_message(mine.message, Kind.INPUT)
    mixed = dataclasses.replace(message, blocks=((*blocks[0][:2], blocks[1][2]),))
    parse_input(mixed.encode(), circuit, rows=len(rows))
    result = score_message(circuit, mixed, tmp_path).encode()
    with pytest.raises(ResultError):
        key.decrypt(result, mine, outputs=1)


def test_stale_result_is_refused(
    tmp_path: Path,
    circuit: LinearCircuit,
    key: HomomorphicKey,
    rows: list,
    encrypted: EncryptedRows,
) -> None:
    stale = score(circuit, key.encrypt(rows), tmp_path)
    with pytest.raises(MessageError):
        key.decrypt(stale.encode(), encrypted, outputs=1)
    renamed = dataclasses.replace(stale, message_id=encrypted.message_id)
    with pytest.raises(ResultError):
        key.decrypt(renamed.encode(), encrypted, outputs=1)


def make_constant(value: float) -> bytes:
    """Give what passes for an encryption of one number under any key."""
    profile = CKKS_LINEAR_8192
    integer = round(value * profile.result_scale)
    first = struct.pack("<Q", integer % profile.moduli[0]) * profile.degree
    return first + bytes(8 * profile.degree)


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda data: bytes(len(data)),
    "constant": lambda _: make_constant(0.5),
    "mask dropped": lambda data: data[: len(data) // 2] + bytes(len(data) // 2),
    "polynomials exchanged": lambda data: data[65_536:] + data[:65_536],
    "one coefficient changed": lambda data: data[:80] + bytes(8) + data[88:],
    "rotated": lambda data: data[8:] + data[:8],
}


@pytest.mark.parametrize("name", sorted(FORGERIES))
def test_forged_result_is_refused(
    name: str,
    tmp_path: Path,
    circuit: LinearCircuit,
    key: HomomorphicKey,
    encrypted: EncryptedRows,
) -> None:
    true = score(circuit, encrypted, tmp_path)
    forged = dataclasses.replace(true, blocks=((FORGERIES[name](true.blocks[0][0]),),))
    with pytest.raises(ResultError):
        key.decrypt(forged.encode(), encrypted, outputs=1)


@pytest.mark.parametrize("difference", [0.01, -3.0])
def test_change_of_one_slot_is_refused(
    difference: float,
    tmp_path: Path,
    circuit: LinearCircuit,
    key: HomomorphicKey,
    encrypted: EncryptedRows,
) -> None:
    """A provider may add to single slots without knowing any key."""
    message = parse_message(encrypted.message, Kind.INPUT)
    scorer = Scorer(circuit)
    (scores,) = scorer.score(scorer.load(data, tmp_path) for data in message.blocks[0])
    slot = encrypted.layouts[0].rows[1]
    change = [difference if index == slot else 0.0 for index in range(4096)]
    plaintext = encode(key._encoder, change, scores.scale, scores.parms_id())
    sealapi.Evaluator(key._context).add_plain_inplace(scores, plaintext)
    blocks = ((pack_scores(scores, CKKS_LINEAR_8192),),)
    forged = dataclasses.replace(message, kind=Kind.RESULT, blocks=blocks)
    with pytest.raises(ResultError):
        key.decrypt(forged.encode(), encrypted, outputs=1)


def test_ill_formed_result_is_refused(
    tmp_path: Path,
    circuit: LinearCircuit,
    key: HomomorphicKey,
    encrypted: EncryptedRows,
) -> None:
    result = score(circuit, encrypted, tmp_path).encode()
    for data in (b"", result[:-1], result + b"\x00", encrypted.message):
        with pytest.raises(HomomorphicError):
            key.decrypt(data, encrypted, outputs=1)
    with pytest.raises(MessageError):
        key.decrypt(result, encrypted, outputs=2)
    with pytest.raises(CiphertextError):
        key.decrypt(result[:-8] + b"\xff" * 8, encrypted, outputs=1)
