"""One key, one circuit and one encrypted message for the tests of this folder."""

import pytest

from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.keys import EncryptedRows, HomomorphicKey

ROWS = [[0.5, -1.25, 3.0], [100.0, 0.0, -7.5], [-1024.0, 1024.0, 0.001]]


@pytest.fixture(scope="session")
def key() -> HomomorphicKey:
    return HomomorphicKey.generate()


@pytest.fixture(scope="session")
def circuit() -> LinearCircuit:
    return LinearCircuit.from_numbers([[0.5, -2.0, 0.125]], [1.5])


@pytest.fixture(scope="session")
def rows() -> list[list[float]]:
    return ROWS


@pytest.fixture(scope="session")
def encrypted(key: HomomorphicKey) -> EncryptedRows:
    return key.encrypt(ROWS)
