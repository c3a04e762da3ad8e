"""Sealing: messages that only the holder of one key can open, also in decades.

HPKE in base mode with the hybrid key encapsulation ML-KEM-768 and X25519, so that
a recording stays closed if either of the two is broken one day. Every message
has its own encapsulation; there is no nonce to repeat. What the message is for
(purpose, job, measurement, nonce) goes in as `info`: it opens for nothing else.

Lengths are hidden up to about 12 %: the plaintext is padded before it is sealed.

Source: RFC 9180 (HPKE); draft-ietf-hpke-pq (MLKEM768-X25519); PADMÉ is from
Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication
with PURBs", PoPETs 2019, section 4.
"""

from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from enclave_sim.errors import ChannelError
from ledger.encoding import canonical_json, encode_base64

Purpose = Literal["input", "result"]
"""What a sealed message is: one for the enclave, or one from it."""

MLKEM_PUBLIC_BYTES = 1184
PUBLIC_KEY_BYTES = MLKEM_PUBLIC_BYTES + 32
"""An ML-KEM-768 key, then an X25519 key."""

MLKEM_SEED_BYTES = 64
SEED_BYTES = MLKEM_SEED_BYTES + 32
"""Both private keys in their shortest form."""

PLAINTEXT_BYTES_MAX = 32 * 2**20
"""Twice the largest input or result of the sandbox; this bounds memory."""

OVERHEAD_BYTES = 1088 + 32 + 16
"""Both encapsulations and the authentication tag."""

PADDED_BYTES_MIN = 256
"""Short answers ("yes", "no") must not differ in length."""

_LENGTH_BYTES = 4


class ChannelKey:
    """A private key that messages are sealed to. It never appears in `repr`."""

    def __init__(self, seed: bytes) -> None:
        """Restore a key.

        Args:
            seed: `SEED_BYTES` secret bytes from `seed`.

        Raises:
            ChannelError: Not `SEED_BYTES` long.
        """
        if len(seed) != SEED_BYTES:
            raise ChannelError(f"The seed of a channel key has {SEED_BYTES} bytes.")
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(seed[:MLKEM_SEED_BYTES])
        self._x25519 = X25519PrivateKey.from_private_bytes(seed[MLKEM_SEED_BYTES:])
        self._key = MLKEM768X25519PrivateKey(self._mlkem, self._x25519)
        self.public = _raw(self._mlkem.public_key()) + _raw(self._x25519.public_key())

    @classmethod
    def generate(cls) -> "ChannelKey":
        """Make a new key from the operating system's randomness."""
        private = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
        form = Encoding.Raw, PrivateFormat.Raw, NoEncryption()
        return cls(b"".join(key.private_bytes(*form) for key in private))

    @property
    def seed(self) -> bytes:
        """The secret bytes, for a key file only."""
        form = Encoding.Raw, PrivateFormat.Raw, NoEncryption()
        return self._mlkem.private_bytes(*form) + self._x25519.private_bytes(*form)

    def open(self, sealed: bytes, *, info: bytes) -> bytes:
        """Open a sealed message.

        Args:
            sealed: From `seal`.
            info: From `binding_info`, of the same values as when it was sealed.

        Raises:
            ChannelError: Sealed to another key or for another purpose, or altered.
        """
        size_max = padded_size(PLAINTEXT_BYTES_MAX + _LENGTH_BYTES) + OVERHEAD_BYTES
        if len(sealed) > size_max:
            raise ChannelError("A sealed message is too large.")
        try:
            padded = _suite().decrypt(sealed, self._key, info=info)
        except (InvalidTag, ValueError) as error:
            raise ChannelError(
                "A sealed message does not open with this key."
            ) from error
        return _unpad(padded)


def seal(public: bytes, plaintext: bytes, *, info: bytes) -> bytes:
    """Seal a message so that only one key opens it, and for one purpose only.

    Args:
        public: The recipient's `ChannelKey.public`, `PUBLIC_KEY_BYTES` long.
        plaintext: At most `PLAINTEXT_BYTES_MAX`.
        info: From `binding_info`.

    Returns:
        The sealed message; never twice the same.

    Raises:
        ChannelError: Not a public key, or the plaintext is too large.
    """
    if len(plaintext) > PLAINTEXT_BYTES_MAX:
        raise ChannelError(f"At most {PLAINTEXT_BYTES_MAX} bytes can be sealed.")
    key = _parse_public_key(public)
    try:
        return _suite().encrypt(_pad(plaintext), key, info=info)
    except ValueError as error:
        raise ChannelError("A channel key shares no secret with anyone.") from error


def binding_info(
    purpose: Purpose, *, job_id: str, measurement: bytes, nonce: bytes
) -> bytes:
    """Write down what a message is sealed for.

    Args:
        purpose: Input or result, so that one is never taken for the other.
        job_id: The job it belongs to.
        measurement: The code it is for, 48 bytes.
        nonce: The session's nonce, 32 bytes.
    """
    return canonical_json(
        {
            "type": "sixfold/channel/v1",
            "purpose": purpose,
            "job_id": job_id,
            "measurement": encode_base64(measurement),
            "nonce": encode_base64(nonce),
        }
    )


def padded_size(size_bytes: int) -> int:
    """The length that a message of a size is padded to: at most 12 % more.

    Source: PADMÉ, PoPETs 2019, algorithm 1.
    """
    size = max(size_bytes, PADDED_BYTES_MIN)
    exponent = size.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    mask = (1 << low_bits) - 1
    return size + mask & ~mask


def _pad(plaintext: bytes) -> bytes:
    framed = len(plaintext).to_bytes(_LENGTH_BYTES, "big") + plaintext
    return framed.ljust(padded_size(len(framed)), b"\x00")


def _unpad(padded: bytes) -> bytes:
    size = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    plaintext = padded[_LENGTH_BYTES : _LENGTH_BYTES + size]
    if _pad(plaintext) != padded or len(plaintext) != size:
        raise ChannelError("A sealed message is not padded as it must be.")
    return plaintext


def _parse_public_key(public: bytes) -> MLKEM768X25519PublicKey:
    if len(public) != PUBLIC_KEY_BYTES:
        raise ChannelError(f"A channel key has {PUBLIC_KEY_BYTES} bytes.")
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC_BYTES:]),
        )
    except ValueError as error:
        raise ChannelError("Not a channel key.") from error


def _raw(key: MLKEM768PublicKey | X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _suite() -> Suite:
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
