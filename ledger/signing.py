"""Ed25519 keys of parties: sign, verify, and the account a key stands for.

The only module that opens PyNaCl's signing. A key is an identity: the account id
is a digest of its first public key, so nobody has to be asked whose key it is.

Source: RFC 8032 (Ed25519, pure).
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

import nacl.bindings
import nacl.exceptions
import nacl.signing

from ledger.encoding import decode_base64, encode_base64
from ledger.errors import EncodingError, SignatureError

PUBLIC_KEY_BYTES = 32
SEED_BYTES = 32
SIGNATURE_BYTES = 64
KEYS_KEPT_MAX = 4096
"""Parsed keys that are kept: the same parties sign again and again."""
ACCOUNT_ID_PATTERN = r"^acc_[a-z2-7]{26}$"
"""`acc_` and the first 130 bits of a digest in lower-case base32."""
NODE_ID_PATTERN = r"^node_[a-z2-7]{26}$"
PSEUDONYM_ID_PATTERN = r"^psn_[a-z2-7]{26}$"


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key of 32 bytes."""

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != PUBLIC_KEY_BYTES:
            raise SignatureError("An Ed25519 public key has 32 bytes.")

    @staticmethod
    def from_text(text: str) -> "PublicKey":
        """Parse padded base64.

        Raises:
            SignatureError: Not canonical base64 of 32 bytes.
        """
        return _parse_key(text)

    @property
    def text(self) -> str:
        """The key in padded base64."""
        return encode_base64(self.data)

    @cached_property
    def account_id(self) -> str:
        """The account whose first key this is: `acc_` and 26 characters."""
        return self._party_id("acc")

    @cached_property
    def node_id(self) -> str:
        """The node whose key this is: `node_` and 26 characters."""
        return self._party_id("node")

    @cached_property
    def pseudonym_id(self) -> str:
        """The pseudonym whose key this is: `psn_` and 26 characters."""
        return self._party_id("psn")

    def _party_id(self, kind: str) -> str:
        label = f"sixfold/{kind}/v1\n".encode("ascii")
        digest = hashlib.sha256(label + self.data).digest()
        return f"{kind}_" + base64.b32encode(digest).decode("ascii").lower()[:26]

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature over a message.

        Args:
            message: The exact signed bytes.
            signature: 64 bytes.

        Raises:
            SignatureError: The signature is not one of this key over `message`.
        """
        if len(signature) != SIGNATURE_BYTES:
            raise SignatureError("An Ed25519 signature has 64 bytes.")
        try:
            nacl.bindings.crypto_sign_open(signature + message, self.data)
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise SignatureError("The signature does not verify.") from error


@lru_cache(maxsize=KEYS_KEPT_MAX)
def _parse_key(text: str) -> PublicKey:
    try:
        return PublicKey(decode_base64(text, size=PUBLIC_KEY_BYTES))
    except EncodingError as error:
        raise SignatureError("Not an Ed25519 public key in base64.") from error


class PrivateKey:
    """An Ed25519 private key. It never appears in `repr`, logs or errors."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise SignatureError("An Ed25519 seed has 32 bytes.")
        self._key = nacl.signing.SigningKey(seed)
        self.public = PublicKey(bytes(self._key.verify_key))

    @classmethod
    def generate(cls) -> "PrivateKey":
        """Make a new key from the operating system's randomness."""
        return cls(bytes(nacl.signing.SigningKey.generate()))

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for a key file only."""
        return bytes(self._key)

    @property
    def account_id(self) -> str:
        """The account whose first key this is."""
        return self.public.account_id

    @property
    def node_id(self) -> str:
        """The node whose key this is."""
        return self.public.node_id

    def sign(self, message: bytes) -> bytes:
        """Sign a message; returns 64 bytes."""
        return self._key.sign(message).signature
