"""What an encrypted message must look like before native code sees a byte of it.

The SEAL that TenSEAL bundles is not hardened against hostile input, and a TenSEAL
context with its secret key costs half a minute and gigabytes to load. So messages
carry ciphertexts as SEAL writes them and nothing else: no TenSEAL protobuf, whose
counts and shapes can lie, is ever given to TenSEAL, and a context has no place at
all. When one is sent all the same, the error says so.

What is checked of each ciphertext: its length, SEAL's header, and that it declares to
unpack to exactly the size of a fresh column. What cannot be checked here is checked
in the disposable process (:mod:`enclave_sim.homomorphic.evaluator_worker`): that it
unpacks, parameters, scale, form. And what nobody but the key's owner can tell is
whether all ciphertexts were made with one key; if not, the scores are noise.
"""

import struct
from collections.abc import Iterator

from enclave_sim.errors import CiphertextError, MessageError, PrivateContextError
from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.message import MAGIC_BYTES, Kind, Message, parse_message
from enclave_sim.homomorphic.profiles import Profile

SEAL_HEADER = struct.Struct("<HBBBBHQ")
"""Magic, own length, version major and minor, compression, reserved, total length."""

SEAL_MAGIC = 0xA15E

_SEAL_MAJOR = 4
_ZSTD = 2
_ZSTD_FRAME = struct.Struct("<IBI")
_ZSTD_MAGIC = 0xFD2FB528
# One segment, four bytes of content size, no checksum, no dictionary (RFC 8878, 3.1.1).
_ZSTD_DESCRIPTOR = 0xA0

_PARAMETERS_FIELD = 1
_PRIVATE_FIELD = 3
_FIELDS_MAX = 16
"""A TenSEAL context has four fields."""

_VARINT, _BYTES = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
_VARINT_BYTES_MAX = 10


def parse_input(data: bytes, circuit: LinearCircuit, *, rows: int) -> Message:
    """Check encrypted rows against the circuit and the order they came with.

    Args:
        data: The message as uploaded.
        circuit: What shall be computed.
        rows: As agreed in the order: it fixes the blocks, and so the price.

    Raises:
        PrivateContextError: It holds a TenSEAL context with a secret key.
        CiphertextError: A ciphertext has not the form of a fresh column.
        MessageError: It is malformed, or does not fit circuit or rows.
        ProfileError: More rows than the circuit's profile takes.
    """
    if data[:MAGIC_BYTES] != Kind.INPUT.value:
        _refuse_context(data)
    message = parse_message(data, Kind.INPUT)
    if message.profile != circuit.profile:
        raise MessageError("The message and the circuit name different profiles.")
    if message.columns != circuit.features:
        raise MessageError(
            f"{message.columns} encrypted columns; the circuit takes"
            f" {circuit.features}."
        )
    blocks = circuit.profile.block_count(rows)
    if len(message.blocks) != blocks:
        raise MessageError(f"{rows} rows make {blocks} blocks, not the blocks sent.")
    for block in message.blocks:
        for ciphertext in block:
            _check_column(ciphertext, circuit.profile)
    return message


def parse_result(
    data: bytes, *, profile: Profile, message_id: bytes, blocks: int, outputs: int
) -> Message:
    """Check the form of encrypted scores against the message they answer.

    Scores are bare coefficients, so that a consumer's native code never parses
    what a provider wrote.

    Args:
        data: The result as received.
        profile: Of the message that was sent.
        message_id: Of the message that was sent.
        blocks: In the message that was sent.
        outputs: Of the circuit.

    Raises:
        MessageError: The bytes are no result of this shape for this message.
        CiphertextError: A score is not two polynomials under the data prime.
    """
    result = parse_message(data, Kind.RESULT)
    if result.message_id != message_id or result.profile != profile:
        raise MessageError("A result that answers another message.")
    if result.columns != outputs or len(result.blocks) != blocks:
        raise MessageError("A result with too many or too few scores.")
    for block in result.blocks:
        for ciphertext in block:
            _check_scores(ciphertext, profile)
    return result


def _check_column(data: bytes, profile: Profile) -> None:
    if not profile.packed_bytes_min <= len(data) <= profile.packed_bytes_max:
        _refuse_context(data)
        raise CiphertextError(f"A ciphertext of {len(data)} bytes.")
    magic, header_bytes, major, _minor, compression, reserved, size = (
        SEAL_HEADER.unpack_from(data)
    )
    if magic != SEAL_MAGIC:
        _refuse_context(data)
        raise CiphertextError("A ciphertext that is no SEAL object.")
    if (header_bytes, major, reserved) != (SEAL_HEADER.size, _SEAL_MAJOR, 0):
        raise CiphertextError("A ciphertext of another SEAL version.")
    if size != len(data):
        raise CiphertextError("A ciphertext that lies about its length.")
    frame = (_ZSTD_MAGIC, _ZSTD_DESCRIPTOR, profile.fresh_bytes)
    if compression != _ZSTD or (
        _ZSTD_FRAME.unpack_from(data, SEAL_HEADER.size) != frame
    ):
        raise CiphertextError("A ciphertext that is no fresh column of this profile.")


def _check_scores(data: bytes, profile: Profile) -> None:
    if len(data) != profile.result_bytes:
        raise CiphertextError(f"Encrypted scores of {len(data)} bytes.")
    coefficients = struct.unpack(f"<{2 * profile.degree}Q", data)
    if max(coefficients) >= profile.moduli[0]:
        raise CiphertextError("Encrypted scores beyond the profile's prime.")


def _refuse_context(data: bytes) -> None:
    """Give the sender of a TenSEAL context the reason it needs to hear."""
    fields = _top_fields(data)
    first = next(fields, None)
    magic = SEAL_MAGIC.to_bytes(2, "little")
    if first is None or first[0] != _PARAMETERS_FIELD or magic != first[1][:2]:
        return
    if any(number == _PRIVATE_FIELD and content for number, content in fields):
        raise PrivateContextError(
            "A TenSEAL context with its secret key was sent. Do not use that key again."
        )
    raise MessageError("A TenSEAL context was sent; messages carry none.")


def _top_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk a protobuf's outermost fields, leniently, for a diagnosis and no more.

    Yields:
        The field's number and, of byte strings, the first bytes.

    Source: Protocol Buffers, encoding ("Message structure").
    """
    offset = 0
    for _ in range(_FIELDS_MAX):
        tag, offset = _varint(data, offset)
        wire_type = tag & 7
        length, content = _FIXED_BYTES.get(wire_type, 0), b""
        if wire_type == _BYTES:
            length, offset = _varint(data, offset)
            content = data[offset : offset + min(length, 2)]
        elif wire_type == _VARINT:
            _, offset = _varint(data, offset)
        elif not length:
            return
        yield tag >> 3, content
        offset += length
        if offset >= len(data):
            return


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[offset : offset + _VARINT_BYTES_MAX]:
        value |= (byte & 0x7F) << shift
        shift += 7
        offset += 1
        if byte < 0x80:
            break
    return value, offset
