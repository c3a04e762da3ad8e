"""One challenge for each order, one nonce for each attempt at it.

A job that is placed again must be attested anew, by another enclave and against
another nonce, without asking the consumer for a new order. So both sides derive the
nonce from the order's challenge and the attempt.
"""

import hashlib

CHALLENGE_BYTES = 32

ATTEMPT_MAX = 2**32 - 1
"""What four bytes hold; a job has a handful of attempts."""

_LABEL = b"sixfold/challenge/v1\n"


def attempt_nonce(challenge: bytes, attempt: int) -> bytes:
    """Derive the nonce that evidence for one attempt must answer.

    Args:
        challenge: 32 random bytes, chosen by the consumer for this order alone.
        attempt: Number of the placement, from 1.

    Returns:
        32 bytes, another for each attempt.
    """
    assert len(challenge) == CHALLENGE_BYTES
    assert 1 <= attempt <= ATTEMPT_MAX
    return hashlib.sha256(_LABEL + challenge + attempt.to_bytes(4, "big")).digest()
