"""Named sets of CKKS parameters. A message names one; it cannot bring its own.

Everything that decides safety and precision is fixed here: ring, moduli, scale, how
large inputs and scores may be, and what error a reader must expect. So a message
carries neither parameters nor keys, and there is nothing in it to downgrade.

Source: Homomorphic Encryption Standard, table 1 (128 bits for N = 8192: at most 218
bits of modulus; here 160); Cheon, Kim, Kim, Song, eprint 2016/421.
"""

from dataclasses import dataclass

from enclave_sim.errors import ProfileError
from enclave_sim.homomorphic.limits import BLOCKS_MAX

_BYTES_PER_COEFFICIENT = 8
_SEAL_FRESH_OVERHEAD_BYTES = 178
"""What SEAL stores of a seeded ciphertext beside its coefficients."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One choice of CKKS parameters for circuits of depth one.

    Attributes:
        name: What messages, circuits and offers call it.
        degree: N, the degree of the ring.
        moduli: Data prime, rescaling prime, and the prime SEAL keeps for keys.
        scale: Of inputs and weights.
        canaries: Slots in each block that hold no patient but the consumer's checks.
        value_max: Bound of each input; the SDK refuses a larger one.
        score_max: Bound of each score, kept by the circuit for all allowed inputs.
        noise_max: Bound of the absolute error that the encryption adds to a score.
        score_decimals: A decrypted score is rounded to so many decimals.
    """

    name: str
    degree: int
    moduli: tuple[int, int, int]
    scale: float
    canaries: int
    value_max: int
    score_max: int
    noise_max: float
    score_decimals: int

    @property
    def slots(self) -> int:
        """Numbers in one ciphertext."""
        return self.degree // 2

    @property
    def rows_per_block(self) -> int:
        """Patient rows in one block: a slot each, less those of the canaries."""
        return self.slots - self.canaries

    @property
    def error_max(self) -> float:
        """Bound of the absolute error of a decrypted score, rounding included."""
        return self.noise_max + 10.0**-self.score_decimals / 2

    @property
    def result_scale(self) -> float:
        """The exact scale of a score: two scales, less the prime rescaled by."""
        return self.scale * self.scale / self.moduli[1]

    @property
    def fresh_bytes(self) -> int:
        """Size of an encrypted column once unpacked: half is given by its seed."""
        return 2 * self.degree * _BYTES_PER_COEFFICIENT + _SEAL_FRESH_OVERHEAD_BYTES

    @property
    def packed_bytes_min(self) -> int:
        """What no compressor gets an encrypted column below: it is random."""
        bits = self.moduli[0].bit_length() + self.moduli[1].bit_length()
        return self.degree * bits // 8

    @property
    def packed_bytes_max(self) -> int:
        """Bound of a compressed column: a little more than unpacked."""
        return self.fresh_bytes + 256

    @property
    def result_bytes(self) -> int:
        """Size of one encrypted score column: two polynomials modulo one prime."""
        return 2 * self.degree * _BYTES_PER_COEFFICIENT

    def block_count(self, rows: int) -> int:
        """Count the blocks that so many rows fill.

        Raises:
            ProfileError: No rows, or more than `BLOCKS_MAX` blocks of them.
        """
        if not 1 <= rows <= BLOCKS_MAX * self.rows_per_block:
            raise ProfileError(
                f"{rows} rows; from 1 to {BLOCKS_MAX * self.rows_per_block} fit."
            )
        return -(-rows // self.rows_per_block)


CKKS_LINEAR_8192 = Profile(
    name="ckks-linear-8192-v1",
    degree=8192,
    moduli=(0xFFFFFFFFFFE8001, 0xFFFFFDC001, 0xFFFFFFFFFFFC001),
    scale=2.0**40,
    canaries=24,
    value_max=1024,
    score_max=2**17,
    noise_max=1e-6,
    score_decimals=5,
)
"""Linear scores of up to 256 features: N = 8192, primes of 60, 40 and 60 bits.

Twenty bits of the data prime are left above the scale: one for the sign, two for
safety, 17 for the score. The noise has a standard deviation of about 2e-9 plus 2e-10
times the Euclidean norm of the weights, which is at most 128; seven of those, and the
rounding of 256 weights at the largest inputs, stay below `noise_max`.
"""

_PROFILES = {CKKS_LINEAR_8192.name: CKKS_LINEAR_8192}


def find_profile(name: str) -> Profile:
    """Look a profile up by its name.

    Raises:
        ProfileError: There is none of this name.
    """
    profile = _PROFILES.get(name)
    if profile is None:
        raise ProfileError(f"No homomorphic profile is called {name[:64]!r}.")
    return profile
