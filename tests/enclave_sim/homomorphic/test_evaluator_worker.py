"""What only SEAL can see is refused inside the disposable process."""

from pathlib import Path

import pytest

from enclave_sim.errors import CiphertextError
from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.evaluator_worker import Scorer
from enclave_sim.homomorphic.keys import EncryptedRows, HomomorphicKey
from enclave_sim.homomorphic.message import Kind, parse_message
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192
from enclave_sim.homomorphic.seal import encode, save, sealapi


@pytest.fixture(scope="module")
def scorer(circuit: LinearCircuit) -> Scorer:
    return Scorer(circuit)


@pytest.fixture(scope="module")
def column(encrypted: EncryptedRows) -> bytes:
    return parse_message(encrypted.message, Kind.INPUT).blocks[0][0]


def encrypt_at(
    key: HomomorphicKey, scale: float, level: list[int], scratch: Path
) -> bytes:
    plaintext = encode(key._encoder, [1.0], scale, level)
    return save(key._encryptor.encrypt_symmetric(plaintext), scratch)


def test_fresh_column_is_taken(scorer: Scorer, column: bytes, tmp_path: Path) -> None:
    assert scorer.load(column, tmp_path).scale == CKKS_LINEAR_8192.scale


@pytest.mark.parametrize("scale", [2.0**39, 2.0**40 + 1, 2.0**41])
def test_other_scale_is_refused(
    scale: float, key: HomomorphicKey, scorer: Scorer, tmp_path: Path
) -> None:
    level = key._context.first_parms_id()
    with pytest.raises(CiphertextError):
        scorer.load(encrypt_at(key, scale, level, tmp_path), tmp_path)


def test_other_level_is_refused(
    key: HomomorphicKey, scorer: Scorer, tmp_path: Path
) -> None:
    level = key._context.last_parms_id()
    data = encrypt_at(key, CKKS_LINEAR_8192.scale, level, tmp_path)
    with pytest.raises(CiphertextError):
        scorer.load(data, tmp_path)


def test_product_of_ciphertexts_is_refused(
    key: HomomorphicKey, scorer: Scorer, column: bytes, tmp_path: Path
) -> None:
    ciphertext = scorer.load(column, tmp_path)
    sealapi.Evaluator(key._context).square_inplace(ciphertext)
    ciphertext.scale = CKKS_LINEAR_8192.scale
    with pytest.raises(CiphertextError):
        scorer.load(save(ciphertext, tmp_path), tmp_path)


@pytest.mark.parametrize("start", [25, 28, 40, 90, 110_000])
def test_damaged_body_is_refused_or_noise(
    start: int, scorer: Scorer, column: bytes, tmp_path: Path
) -> None:
    """SEAL knows some damage; for the rest there are signed digests and canaries."""
    damaged = column[:start] + bytes(4) + column[start + 4 :]
    try:
        loaded = scorer.load(damaged, tmp_path)
    except CiphertextError:
        return
    assert loaded.size() == 2


@pytest.mark.parametrize("data", [b"", b"\x5e\xa1", bytes(117_000)])
def test_garbage_is_refused(data: bytes, scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(CiphertextError):
        scorer.load(data, tmp_path)
