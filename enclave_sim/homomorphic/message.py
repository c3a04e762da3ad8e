"""The container in which encrypted rows go out and encrypted scores come back.

Rows are packed by feature: a block is up to 4,072 rows, one ciphertext for each of
their columns. There is no field for a key or a parameter. All integers are
big-endian:

    8   magic, another for each kind
    1   length of the profile's name, then the name in ASCII
    16  message id, chosen at random by the consumer and repeated in the result
    2   columns: features of an input, outputs of a result
    2   blocks
    then for each block, for each column: 4 bytes of length, and the ciphertext

The id only keeps honest parties from mixing messages up. Nothing here is
authenticated: signed orders and receipts cover the digest of the whole message.
"""

import struct
from dataclasses import dataclass
from enum import Enum

from enclave_sim.errors import MessageError, ProfileError
from enclave_sim.homomorphic.limits import (
    BLOCKS_MAX,
    CIPHERTEXTS_MAX,
    FEATURES_MAX,
    MESSAGE_BYTES_MAX,
)
from enclave_sim.homomorphic.profiles import Profile, find_profile

MAGIC_BYTES = 8
MESSAGE_ID_BYTES = 16

_SHAPE = struct.Struct(f">{MESSAGE_ID_BYTES}sHH")
_LENGTH = struct.Struct(">I")


class Kind(Enum):
    """What a message carries; the value is its magic."""

    INPUT = b"6FHEIN\x00\x01"
    RESULT = b"6FHERES\x01"


@dataclass(frozen=True, slots=True)
class Message:
    """Encrypted columns, block by block.

    Attributes:
        kind: Rows on their way to a provider, or scores on their way back.
        profile: The parameters that the ciphertexts were made under.
        message_id: 16 bytes, the same in an input and in its result.
        blocks: One tuple for each block, of one ciphertext for each column.
    """

    kind: Kind
    profile: Profile
    message_id: bytes
    blocks: tuple[tuple[bytes, ...], ...]

    @property
    def columns(self) -> int:
        """Ciphertexts in each block."""
        return len(self.blocks[0])

    def encode(self) -> bytes:
        """Give the bytes of the container."""
        name = self.profile.name.encode("ascii")
        parts = [self.kind.value, bytes([len(name)]), name]
        parts.append(_SHAPE.pack(self.message_id, self.columns, len(self.blocks)))
        for block in self.blocks:
            for ciphertext in block:
                parts += (_LENGTH.pack(len(ciphertext)), ciphertext)
        return b"".join(parts)


def parse_message(data: bytes, kind: Kind) -> Message:
    """Take a container apart, strictly; ciphertexts are not looked into.

    Args:
        data: At most 68 MB.
        kind: What it must carry.

    Raises:
        MessageError: The bytes are too many, too few, or not of this form.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise MessageError(f"{len(data)} bytes; at most {MESSAGE_BYTES_MAX} allowed.")
    if data[:MAGIC_BYTES] != kind.value:
        raise MessageError(f"Not an encrypted {kind.name.lower()} message.")
    try:
        profile, offset = _parse_profile(data)
        message_id, columns, count = _SHAPE.unpack_from(data, offset)
        offset += _SHAPE.size
        _check_shape(columns, count)
        flat = []
        for _ in range(columns * count):
            (length,) = _LENGTH.unpack_from(data, offset)
            offset += _LENGTH.size + length
            flat.append(data[offset - length : offset])
    except (struct.error, IndexError, ProfileError, UnicodeDecodeError) as error:
        raise MessageError(f"Not an encrypted message: {error}") from error
    if offset != len(data):
        raise MessageError("An encrypted message of the wrong length.")
    blocks = tuple(
        tuple(flat[start : start + columns]) for start in range(0, len(flat), columns)
    )
    return Message(kind, profile, message_id, blocks)


def _parse_profile(data: bytes) -> tuple[Profile, int]:
    start = MAGIC_BYTES + 1
    end = start + data[MAGIC_BYTES]
    return find_profile(data[start:end].decode("ascii")), end


def _check_shape(columns: int, blocks: int) -> None:
    if not (1 <= columns <= FEATURES_MAX and 1 <= blocks <= BLOCKS_MAX):
        raise MessageError(f"{blocks} blocks of {columns} columns are out of bounds.")
    if columns * blocks > CIPHERTEXTS_MAX:
        raise MessageError(f"More than {CIPHERTEXTS_MAX} ciphertexts in one message.")
