"""The openings file: one JSON object a line, `{"digest": ..., "openings": {...}}`.

Lines may stand in any order. Only the digest and the place of each are kept in
memory, and a line that was used is forgotten.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import BinaryIO, ClassVar

from ledger.audit.compact_table import CompactTable
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.document import Digest, Document
from ledger.encoding import Json
from ledger.errors import EncodingError

LINE_BYTES_MAX = 262_144
"""An order's private fields, with every list at its longest, stay below it."""

_LINE_NUMBER_BITS = 40
_PLACE_BYTES = 12


class OpeningsLine(Document):
    """What opens one statement, in form but not checked."""

    digest: Digest
    """Of the entry that it opens."""
    openings: dict[str, Json]


def parse_openings_line(data: bytes) -> OpeningsLine:
    """Parse one line of an openings file, with or without its newline.

    Raises:
        EncodingError: It is something else.
    """
    return OpeningsLine.from_bytes(data, size_max=LINE_BYTES_MAX)


class OpeningsFile:
    """Openings by the digest of the entry that they open."""

    line_bytes_max: ClassVar[int] = LINE_BYTES_MAX

    def __init__(self, file: BinaryIO, name: str, report: AuditReport) -> None:
        """Read the file once to learn where each statement's openings are.

        Args:
            file: Open for reading, and it can seek.
            name: What reports call it.
            report: Where malformed lines are reported.
        """
        self.name = name
        self._file = file
        self.lines_left = CompactTable(number_bytes=_PLACE_BYTES)
        """Where each line stands that was not used yet, by the digest it opens."""
        self._sha256 = sha256()
        offset = 0
        for number, data in enumerate(self._lines(), start=1):
            self._sha256.update(data)
            try:
                self._note(data, offset, number)
            except EncodingError as error:
                place = f"{name} line {number}"
                report.add_problem(place, Rule.OPENING_FORM, str(error))
            offset += len(data)

    @property
    def sha256(self) -> bytes:
        """The hash of the whole file."""
        return self._sha256.digest()

    def find(self, digest: str) -> bytes | None:
        """The line that opens one entry, not checked; None if there is none."""
        place = self.lines_left.get(digest)
        if place is None:
            return None
        self._file.seek(place >> _LINE_NUMBER_BITS)
        return self._file.readline(LINE_BYTES_MAX)

    def forget(self, digest: str) -> None:
        """Take note that this line was used."""
        self.lines_left.pop(digest)

    def unused_lines(self) -> list[int]:
        """Numbers of the lines that opened nothing, in order."""
        mask = (1 << _LINE_NUMBER_BITS) - 1
        return sorted(place & mask for place in self.lines_left.numbers())

    def _lines(self) -> Iterator[bytes]:
        while data := self._file.readline(self.line_bytes_max + 1):
            yield data

    def _note(self, data: bytes, offset: int, number: int) -> None:
        digest = parse_openings_line(data).digest
        if digest in self.lines_left:
            raise EncodingError("A statement is opened twice.")
        self.lines_left.add(digest, offset << _LINE_NUMBER_BITS | number)
