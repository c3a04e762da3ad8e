"""RSA keys that follow from a seed, so that a development root is the same anywhere.

No library makes RSA keys from a given seed, hence this search. It is for the
development vendor alone: its running time depends on the secret, which is public.

Source: FIPS 186-5, appendices A.1.3 (primes), B.3.1 (Miller-Rabin) and C.1.
"""

import hashlib
import math

from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS = 4096
PUBLIC_EXPONENT = 65537

DERIVATION = "sixfold/prime/v1"
"""Names how keys follow from a seed; another way needs another name."""

_PRIME_BITS = KEY_BITS // 2
_WINDOW = 1 << 14
"""Odd candidates looked at from one start; about 23 of them are prime."""
_SIEVE_BELOW = 1 << 20
"""Larger sieves cost more than the tests they save."""
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19)
"""Four rounds suffice for random candidates of this size (FIPS 186-5, table B.1)."""


def derive_rsa_key(seed: bytes, label: str) -> rsa.RSAPrivateKey:
    """Derive an RSA-4096 key; takes some seconds.

    Args:
        seed: 32 bytes.
        label: Tells keys of one seed apart.

    Returns:
        The same key for the same arguments, always.
    """
    small_primes = _primes_below(_SIEVE_BELOW)
    p, q = (_derive_prime(seed, f"{label}/{name}", small_primes) for name in ("p", "q"))
    p, q = max(p, q), min(p, q)
    d = pow(PUBLIC_EXPONENT, -1, math.lcm(p - 1, q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(PUBLIC_EXPONENT, p * q),
    )
    return numbers.private_key()


def _derive_prime(seed: bytes, label: str, small_primes: list[int]) -> int:
    """Find the first good prime at or above a start that the seed names."""
    digest = hashlib.shake_256(f"{DERIVATION}/{label}".encode("ascii") + seed)
    start = int.from_bytes(digest.digest(_PRIME_BITS // 8), "big")
    # The two highest bits make the product of two primes exactly 4096 bits.
    start |= 0b11 << _PRIME_BITS - 2 | 1
    candidates = (start + 2 * offset for offset in _sieve(start, small_primes))
    # One start in 10**10 has no prime in its window; such a seed cannot be used.
    return next(
        candidate
        for candidate in candidates
        if candidate % PUBLIC_EXPONENT != 1 and is_probable_prime(candidate)
    )


def is_probable_prime(candidate: int) -> bool:
    """Test an odd number above 19 that nobody chose to deceive us.

    Source: FIPS 186-5, appendix B.3.1 (Miller-Rabin), with fixed witnesses.
    """
    odd_part = candidate - 1
    twos = (odd_part & -odd_part).bit_length() - 1
    odd_part >>= twos
    return all(
        _is_witness_content(candidate, witness, odd_part, twos)
        for witness in _WITNESSES
    )


def _is_witness_content(candidate: int, witness: int, odd_part: int, twos: int) -> bool:
    power = pow(witness, odd_part, candidate)
    if power in (1, candidate - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % candidate
        if power == candidate - 1:
            return True
    return False


def _sieve(start: int, small_primes: list[int]) -> list[int]:
    """Offsets k below the window for which `start + 2 k` has no small factor."""
    has_factor = bytearray(_WINDOW)
    for prime in small_primes:
        first = -start * (prime + 1 >> 1) % prime
        if first < _WINDOW:
            has_factor[first::prime] = b"\x01" * ((_WINDOW - 1 - first) // prime + 1)
    return [offset for offset, marked in enumerate(has_factor) if not marked]


def _primes_below(limit: int) -> list[int]:
    """All odd primes below a limit."""
    is_composite = bytearray(limit)
    for number in range(3, math.isqrt(limit) + 1, 2):
        if not is_composite[number]:
            square = number * number
            is_composite[square::number] = b"\x01" * (
                (limit - 1 - square) // number + 1
            )
    return [number for number in range(3, limit, 2) if not is_composite[number]]
