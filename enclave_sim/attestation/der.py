"""A strict reader of DER, as far as X.509 certificates need it.

AMD's chip certificates carry the serial number 0, which RFC 5280 forbids and
general X.509 libraries warn of or refuse. Evidence is judged by AMD's format, so
we read the structure ourselves; keys and signatures stay with the library.

Every length is definite, minimal and inside its parent, and nothing may follow
the last element: one certificate has exactly one spelling.

Source: ITU-T X.690, sections 8.1 and 10.1; RFC 5280, section 4.1.
"""

from datetime import UTC, datetime
from typing import NoReturn

from enclave_sim.errors import CertificateError

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
VERSION = 0xA0
EXTENSIONS = 0xA3

_LENGTH_OCTETS_MAX = 2
"""64 KB in one element; a certificate of a chip has 1.4 KB."""

_ARC_BITS_MAX = 64
"""Numbers in object identifiers are small; a UUID in one is no part of a chip's."""


class DerReader:
    """Reads the elements of one DER value from left to right."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def at_end(self) -> bool:
        """Say whether all elements were taken."""
        return self._offset == len(self._data)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            CertificateError: Bytes follow the last element.
        """
        if not self.at_end():
            _refuse("bytes follow the last element")

    def peek(self) -> int | None:
        """The tag of the next element, or None at the end."""
        return None if self.at_end() else self._data[self._offset]

    def take(self, tag: int) -> bytes:
        """Take the content of the next element.

        Raises:
            CertificateError: The next element has another tag, or no good length.
        """
        return self.take_whole(tag)[1]

    def take_whole(self, tag: int) -> tuple[bytes, bytes]:
        """Take the next element: all of it with tag and length, and its content.

        Raises:
            CertificateError: The next element has another tag, or no good length.
        """
        start = self._offset
        if self._byte() != tag:
            _refuse(f"an element is not of tag 0x{tag:02x}")
        size = self._size()
        content = self._offset
        if size > len(self._data) - content:
            _refuse("an element is longer than its parent")
        self._offset = content + size
        return self._data[start : self._offset], self._data[content : self._offset]

    def enter(self, tag: int) -> "DerReader":
        """Take the next element and read inside it.

        Raises:
            CertificateError: The next element has another tag, or no good length.
        """
        return DerReader(self.take(tag))

    def _byte(self) -> int:
        if self.at_end():
            _refuse("an element is missing")
        value = self._data[self._offset]
        self._offset += 1
        return value

    def _size(self) -> int:
        first = self._byte()
        if first < 0x80:
            return first
        count = first - 0x80
        if not 1 <= count <= _LENGTH_OCTETS_MAX:
            _refuse("a length is indefinite or too large")
        size = 0
        for _ in range(count):
            size = size << 8 | self._byte()
        if size < 0x80 or size >> 8 * (count - 1) == 0:
            _refuse("a length is not in its shortest form")
        return size


def parse_object_identifier(content: bytes) -> str:
    """Write the content of an OBJECT IDENTIFIER with dots, such as `2.5.29.19`.

    Raises:
        CertificateError: Empty, cut off, or not in its shortest form.

    Source: ITU-T X.690, section 8.19.
    """
    arcs = []
    arc = 0
    for index, octet in enumerate(content):
        if octet == 0x80 and arc == 0:
            _refuse("an object identifier is not in its shortest form")
        arc = arc << 7 | octet & 0x7F
        if arc >> _ARC_BITS_MAX:
            _refuse("an object identifier holds a huge number")
        if octet < 0x80:
            arcs.append(arc)
            arc = 0
        elif index == len(content) - 1:
            _refuse("an object identifier is cut off")
    if not arcs:
        _refuse("an object identifier is empty")
    first = min(arcs[0] // 40, 2)
    return ".".join(str(value) for value in (first, arcs[0] - 40 * first, *arcs[1:]))


def parse_time(tag: int | None, content: bytes) -> int:
    """Read a UTCTime or GeneralizedTime as milliseconds since 1970.

    Args:
        tag: `UTC_TIME` or `GENERALIZED_TIME`.
        content: `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`; no other form.

    Raises:
        CertificateError: Another form, or no such instant.

    Source: RFC 5280, section 4.1.2.5.
    """
    text = content.decode("ascii", "replace")
    if tag == UTC_TIME and len(text) == 13:
        # RFC 5280: 50 to 99 are of the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    digits = text[:-1]
    if (
        len(text) != 15
        or text[-1] != "Z"
        or not (digits.isascii() and digits.isdigit())
    ):
        _refuse("a time is not in the form of RFC 5280")
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise CertificateError("A certificate has a time that never was.") from error
    return int(moment.timestamp()) * 1000


def _refuse(reason: str) -> NoReturn:
    raise CertificateError(f"A certificate is not strict DER: {reason}.")
