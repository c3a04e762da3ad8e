import hashlib

import pytest

from enclave_sim.challenge import ATTEMPT_MAX, attempt_nonce

CHALLENGE = bytes(range(32))


def test_nonce_is_the_agreed_digest() -> None:
    message = b"sixfold/challenge/v1\n" + CHALLENGE + b"\0\0\0\x02"
    assert attempt_nonce(CHALLENGE, 2) == hashlib.sha256(message).digest()


def test_each_attempt_and_challenge_has_its_own() -> None:
    nonces = {attempt_nonce(CHALLENGE, attempt) for attempt in range(1, 100)}
    nonces.add(attempt_nonce(bytes(32), 1))
    assert len(nonces) == 100


@pytest.mark.parametrize("attempt", [0, -1, ATTEMPT_MAX + 1])
def test_attempts_are_counted_from_one(attempt) -> None:
    with pytest.raises(AssertionError):
        attempt_nonce(CHALLENGE, attempt)
