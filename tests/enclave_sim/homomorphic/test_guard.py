"""Nothing but fresh columns of the profile gets past the guard."""

import dataclasses
import struct
from collections.abc import Callable

import pytest
import tenseal

from enclave_sim.errors import (
    CiphertextError,
    HomomorphicError,
    MessageError,
    PrivateContextError,
    ProfileError,
)
from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.guard import parse_input, parse_result
from enclave_sim.homomorphic.keys import EncryptedRows
from enclave_sim.homomorphic.message import Kind, Message, parse_message
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192

SCALE = b"\x19" + struct.pack("<d", 2.0**40)


def make_field(number: int, content: bytes) -> bytes:
    """Give a length-delimited protobuf field of at least 128 bytes of content."""
    length, tail = len(content), b""
    while length >= 0x80:
        tail += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + tail + bytes([length]) + content


def make_crashers(ciphertext: bytes) -> dict[str, bytes]:
    """Give the inputs that crash TenSEAL 0.3.18 or that it believes (measured).

    CKKSVector: 1 sizes, 2 ciphertexts, 3 scale. CKKSTensor: 1 shape, then the same.
    """
    four = make_field(2, ciphertext) * 4
    return {
        "vector without ciphertexts": b"\x0a\x01\x03" + SCALE,
        "empty vector": b"",
        "vector without sizes": make_field(2, ciphertext) + SCALE,
        "vector with sizes for three": b"\x0a\x03\x01\x01\x01" + SCALE,
        "tensor of 1000 x 1000": b"\x0a\x04\xe8\x07\xe8\x07" + four + SCALE,
        "tensor of 50 x 50": b"\x0a\x02\x32\x32" + four + SCALE,
        "vector of 2**31": b"\x0a\x05\x80\x80\x80\x80\x08"
        + make_field(2, ciphertext)
        + SCALE,
        "vector with scale NaN": b"\x0a\x01\x03"
        + make_field(2, ciphertext)
        + b"\x19"
        + struct.pack("<d", float("nan")),
    }


CRASHERS = sorted(make_crashers(b""))
PARAMETERS = make_field(1, b"\x5e\xa1" + bytes(200))


@pytest.fixture(scope="module")
def message(encrypted: EncryptedRows) -> Message:
    return parse_message(encrypted.message, Kind.INPUT)


@pytest.fixture(scope="module")
def private_context() -> bytes:
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 60], n_threads=1
    )
    data: bytes = context.serialize(save_secret_key=True)
    return data


def replace_column(message: Message, ciphertext: bytes) -> bytes:
    block = (message.blocks[0][0], ciphertext, *message.blocks[0][2:])
    return dataclasses.replace(message, blocks=(block,)).encode()


def test_true_message_is_accepted(
    encrypted: EncryptedRows, circuit: LinearCircuit, message: Message
) -> None:
    assert parse_input(encrypted.message, circuit, rows=3) == message


@pytest.mark.parametrize("name", CRASHERS)
def test_crashing_vector_is_no_message(
    name: str, circuit: LinearCircuit, message: Message
) -> None:
    data = make_crashers(message.blocks[0][1])[name]
    with pytest.raises(MessageError):
        parse_input(data, circuit, rows=3)


@pytest.mark.parametrize("name", CRASHERS)
def test_crashing_vector_is_no_ciphertext(
    name: str, circuit: LinearCircuit, message: Message
) -> None:
    data = make_crashers(message.blocks[0][1])[name]
    with pytest.raises(CiphertextError):
        parse_input(replace_column(message, data), circuit, rows=3)


def test_tenseal_vector_is_no_ciphertext(
    circuit: LinearCircuit, message: Message
) -> None:
    data = b"\x0a\x01\x03" + make_field(2, message.blocks[0][1]) + SCALE
    with pytest.raises(CiphertextError):
        parse_input(replace_column(message, data), circuit, rows=3)


def test_private_context_is_refused(
    private_context: bytes, circuit: LinearCircuit, message: Message
) -> None:
    with pytest.raises(PrivateContextError):
        parse_input(private_context, circuit, rows=3)
    with pytest.raises(PrivateContextError):
        parse_input(replace_column(message, private_context), circuit, rows=3)


def test_private_context_is_seen_when_cut_short(
    circuit: LinearCircuit, message: Message
) -> None:
    data = (PARAMETERS + make_field(3, bytes(300_000)))[:116_000]
    with pytest.raises(PrivateContextError):
        parse_input(replace_column(message, data), circuit, rows=3)


def test_private_context_is_seen_behind_other_fields(circuit: LinearCircuit) -> None:
    padding = b"\x2d" + bytes(4) + b"\x31" + bytes(8) + b"\x38\x80\x01"
    data = PARAMETERS + padding + make_field(3, bytes(200))
    with pytest.raises(PrivateContextError):
        parse_input(data, circuit, rows=3)


def test_huge_private_context_is_refused(circuit: LinearCircuit) -> None:
    data = PARAMETERS + make_field(3, bytes(80_000_000))
    with pytest.raises(PrivateContextError):
        parse_input(data, circuit, rows=3)


@pytest.mark.parametrize("tail", [b"", b"\x1a\x00", b"\x20\x01", b"\x0b", b"\x10" * 99])
def test_context_without_key_is_refused(tail: bytes, circuit: LinearCircuit) -> None:
    with pytest.raises(MessageError, match="carry none"):
        parse_input(PARAMETERS + tail, circuit, rows=3)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "garbage": lambda data: b"\x47" * len(data),
    "zeros": lambda data: bytes(len(data)),
    "one byte short": lambda data: data[:-1],
    "one byte long": lambda data: data + b"\x00",
    "other magic": lambda data: b"\x5f" + data[1:],
    "other header size": lambda data: data[:2] + b"\x11" + data[3:],
    "SEAL 3": lambda data: data[:3] + b"\x03" + data[4:],
    "uncompressed": lambda data: data[:5] + b"\x00" + data[6:],
    "zlib": lambda data: data[:5] + b"\x01" + data[6:],
    "reserved bits": lambda data: data[:6] + b"\x01" + data[7:],
    "other length": lambda data: data[:8] + b"\x00" + data[9:],
    "no zstd": lambda data: data[:16] + b"\x00" + data[17:],
    "other frame": lambda data: data[:20] + b"\x20" + data[21:],
    "unpacks larger": lambda data: data[:23] + b"\xff" + data[24:],
    "too small": lambda data: data[:8] + struct.pack("<Q", 102_000) + data[16:102_000],
    "too large": lambda data: (
        data[:8] + struct.pack("<Q", 140_000) + data[16:].ljust(139_984, b"\x00")
    ),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_changed_ciphertext_is_refused(
    name: str, circuit: LinearCircuit, message: Message
) -> None:
    changed = CHANGES[name](message.blocks[0][1])
    with pytest.raises(CiphertextError):
        parse_input(replace_column(message, changed), circuit, rows=3)


def test_wrong_number_of_columns_is_refused(encrypted: EncryptedRows) -> None:
    wider = LinearCircuit.from_numbers([[1.0] * 4], [0.0])
    with pytest.raises(MessageError):
        parse_input(encrypted.message, wider, rows=3)


def test_more_blocks_than_ordered_are_refused(
    circuit: LinearCircuit, message: Message
) -> None:
    doubled = dataclasses.replace(message, blocks=message.blocks * 2)
    parse_input(doubled.encode(), circuit, rows=4073)
    with pytest.raises(MessageError):
        parse_input(doubled.encode(), circuit, rows=4072)


def test_message_of_another_profile_is_refused(encrypted: EncryptedRows) -> None:
    other = dataclasses.replace(CKKS_LINEAR_8192, name="other")
    circuit = LinearCircuit.from_numbers([[1.0] * 3], [0.0], other)
    with pytest.raises(MessageError):
        parse_input(encrypted.message, circuit, rows=3)


@pytest.mark.parametrize("rows", [-1, 0, 10**9])
def test_impossible_rows_are_refused(
    rows: int, encrypted: EncryptedRows, circuit: LinearCircuit
) -> None:
    with pytest.raises(ProfileError):
        parse_input(encrypted.message, circuit, rows=rows)


def make_result(message_id: bytes, coefficients: bytes) -> bytes:
    blocks = ((coefficients,),)
    return Message(Kind.RESULT, CKKS_LINEAR_8192, message_id, blocks).encode()


def check_result(data: bytes, message_id: bytes, outputs: int = 1) -> Message:
    return parse_result(
        data,
        profile=CKKS_LINEAR_8192,
        message_id=message_id,
        blocks=1,
        outputs=outputs,
    )


def test_true_result_is_accepted() -> None:
    highest = struct.pack("<Q", CKKS_LINEAR_8192.moduli[0] - 1)
    data = make_result(b"i" * 16, highest * 16_384)
    assert check_result(data, b"i" * 16).columns == 1


@pytest.mark.parametrize(
    ("message_id", "outputs", "coefficients"),
    [
        (b"j" * 16, 1, bytes(131_072)),
        (b"i" * 16, 2, bytes(131_072)),
        (b"i" * 16, 1, bytes(131_071)),
        (b"i" * 16, 1, b""),
        (b"i" * 16, 1, b"\xff" * 8 + bytes(131_064)),
        (b"i" * 16, 1, bytes(131_064) + struct.pack("<Q", CKKS_LINEAR_8192.moduli[0])),
    ],
)
def test_changed_result_is_refused(
    message_id: bytes, outputs: int, coefficients: bytes
) -> None:
    with pytest.raises(HomomorphicError):
        check_result(make_result(message_id, coefficients), b"i" * 16, outputs)
