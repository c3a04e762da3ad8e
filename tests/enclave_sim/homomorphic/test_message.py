"""The container is strict: one form, every length and count checked."""

import struct

import pytest

from enclave_sim.errors import MessageError
from enclave_sim.homomorphic.message import Kind, Message, parse_message
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192

MESSAGE_ID = bytes(range(16))
MESSAGE = Message(
    Kind.INPUT, CKKS_LINEAR_8192, MESSAGE_ID, ((b"a", b"bc"), (b"", b"def"))
)
NAME = b"ckks-linear-8192-v1"
ENCODED = (
    b"6FHEIN\x00\x01\x13"
    + NAME
    + MESSAGE_ID
    + b"\x00\x02\x00\x02"
    + b"\x00\x00\x00\x01a\x00\x00\x00\x02bc\x00\x00\x00\x00\x00\x00\x00\x03def"
)
SHAPE_AT = 8 + 1 + len(NAME) + 16


def make_shape(columns: int, blocks: int, bodies: bytes = b"") -> bytes:
    return ENCODED[:SHAPE_AT] + struct.pack(">HH", columns, blocks) + bodies


def test_container_has_one_byte_form() -> None:
    assert MESSAGE.encode() == ENCODED
    assert parse_message(ENCODED, Kind.INPUT) == MESSAGE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"6FHEIN\x00\x01",
        b"6FHEIN\x00\x01\xff",
        ENCODED[:-1],
        ENCODED + b"\x00",
        ENCODED[:SHAPE_AT],
        ENCODED.replace(b"8192", b"4096"),
        ENCODED.replace(b"8192", b"81\xb92"),
        ENCODED.replace(b"\x00\x03def", b"\x00\x04def"),
        ENCODED.replace(b"\x00\x00\x00\x03def", b"\xff\xff\xff\xffdef"),
        make_shape(0, 1),
        make_shape(1, 0),
        make_shape(257, 1, b"\x00" * 4 * 257),
        make_shape(1, 33, b"\x00" * 4 * 33),
        make_shape(33, 16, b"\x00" * 4 * 33 * 16),
        make_shape(65_535, 65_535),
        bytes(68_000_001),
    ],
)
def test_near_miss_is_refused(data: bytes) -> None:
    with pytest.raises(MessageError):
        parse_message(data, Kind.INPUT)


def test_other_kind_is_refused() -> None:
    with pytest.raises(MessageError):
        parse_message(ENCODED, Kind.RESULT)
