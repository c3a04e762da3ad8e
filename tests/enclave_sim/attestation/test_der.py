import pytest

from enclave_sim.attestation import der
from enclave_sim.attestation.der import DerReader
from enclave_sim.errors import CertificateError


def test_reader_takes_nested_elements() -> None:
    outer = DerReader(bytes.fromhex("300702010504020607"))
    inner = outer.enter(der.SEQUENCE)
    outer.finish()
    assert inner.peek() == der.INTEGER
    assert inner.take(der.INTEGER) == b"\x05"
    assert inner.take_whole(der.OCTET_STRING) == (b"\x04\x02\x06\x07", b"\x06\x07")
    assert inner.peek() is None
    inner.finish()


def test_long_lengths_are_read() -> None:
    for size in (0x80, 0xFF, 0x100, 0xFFFF):
        octets = size.to_bytes(1 if size < 0x100 else 2, "big")
        data = bytes((0x04, 0x80 | len(octets))) + octets + bytes(size)
        assert DerReader(data).take(der.OCTET_STRING) == bytes(size)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "04",
        "0201",
        "0401",
        "040201",
        "0480",
        "04810100",
        "0482007f" + "00" * 127,
        "04820080" + "00" * 128,
        "0483010000",
        "0481",
    ],
)
def test_element_out_of_form_is_refused(data: str) -> None:
    with pytest.raises(CertificateError):
        DerReader(bytes.fromhex(data)).take(der.OCTET_STRING)


def test_bytes_that_follow_are_refused() -> None:
    reader = DerReader(b"\x02\x01\x05\x00")
    reader.take(der.INTEGER)
    with pytest.raises(CertificateError):
        reader.finish()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("551d13", "2.5.29.19"),
        ("2b060104019c780103", "1.3.6.1.4.1.3704.1.3"),
        ("2a864886f70d01010a", "1.2.840.113549.1.1.10"),
        ("883703", "2.999.3"),
    ],
)
def test_object_identifier_is_written_with_dots(content: str, name: str) -> None:
    assert der.parse_object_identifier(bytes.fromhex(content)) == name


@pytest.mark.parametrize(
    "content", ["", "80", "5580", "558001", "559d", "55" + "ff" * 3000 + "01"]
)
def test_object_identifier_out_of_form_is_refused(content: str) -> None:
    with pytest.raises(CertificateError):
        der.parse_object_identifier(bytes.fromhex(content))


@pytest.mark.parametrize(
    ("tag", "text", "moment_ms"),
    [
        (der.UTC_TIME, b"700101000000Z", 0),
        (der.UTC_TIME, b"491231235959Z", 2_524_607_999_000),
        (der.UTC_TIME, b"500101000000Z", -631_152_000_000),
        (der.GENERALIZED_TIME, b"20500101000000Z", 2_524_608_000_000),
    ],
)
def test_time_is_read(tag: int, text: bytes, moment_ms: int) -> None:
    assert der.parse_time(tag, text) == moment_ms


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (der.UTC_TIME, b"700101000000"),
        (der.UTC_TIME, b"7001010000Z"),
        (der.UTC_TIME, b"700101000000+0000"),
        (der.UTC_TIME, b"700230000000Z"),
        (der.UTC_TIME, b"7001010000\xb2\xb2Z"),
        (der.UTC_TIME, b"-10101000000Z"),
        (der.GENERALIZED_TIME, b"00000101000000Z"),
        (der.GENERALIZED_TIME, b"20500101000000.5Z"),
        (der.GENERALIZED_TIME, b"20500101000060Z"),
        (der.GENERALIZED_TIME, b""),
    ],
)
def test_time_out_of_form_is_refused(tag: int, text: bytes) -> None:
    with pytest.raises(CertificateError):
        der.parse_time(tag, text)
