"""ML-DSA-44 keys: signatures that outlive quantum computers.

The only module that opens the library's ML-DSA. They stand beside Ed25519 on every
checkpoint of a log: what was proven today must still be proven in thirty years.

Source: FIPS 204 (ML-DSA-44, pure, hedged, empty context).
"""

from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa

from ledger.errors import SignatureError

PUBLIC_KEY_BYTES = 1_312
SEED_BYTES = 32
SIGNATURE_BYTES = 2_420


@dataclass(frozen=True)
class MlDsaPublicKey:
    """An ML-DSA-44 public key of 1,312 bytes."""

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != PUBLIC_KEY_BYTES:
            raise SignatureError("An ML-DSA-44 public key has 1,312 bytes.")

    @cached_property
    def _key(self) -> mldsa.MLDSA44PublicKey:
        return mldsa.MLDSA44PublicKey.from_public_bytes(self.data)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature over a message.

        Args:
            message: The exact signed bytes.
            signature: 2,420 bytes.

        Raises:
            SignatureError: The signature is not one of this key over `message`.
        """
        if len(signature) != SIGNATURE_BYTES:
            raise SignatureError("An ML-DSA-44 signature has 2,420 bytes.")
        try:
            self._key.verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise SignatureError("The signature does not verify.") from error


class MlDsaPrivateKey:
    """An ML-DSA-44 private key. It never appears in `repr`, logs or errors."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise SignatureError("An ML-DSA-44 seed has 32 bytes.")
        self._key = mldsa.MLDSA44PrivateKey.from_seed_bytes(seed)
        self.public = MlDsaPublicKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> "MlDsaPrivateKey":
        """Make a new key from the operating system's randomness."""
        return cls(mldsa.MLDSA44PrivateKey.generate().private_bytes_raw())

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for a key file only."""
        return self._key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign a message; returns 2,420 bytes, other ones each time."""
        return self._key.sign(message)
