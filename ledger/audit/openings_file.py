"""The openings file: one JSON object a line, `{"digest": ..., "openings": {...}}`.

Lines may stand in any order. Only the digest and the place of each are kept in
memory, and a line that was used is forgotten.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.document import Digest, Document
from ledger.encoding import Json
from ledger.errors import AuditError, EncodingError

LINE_BYTES_MAX = 262_144
"""An order's private fields, with every list at its longest, stay below it."""


class _Line(Document):
    digest: Digest
    openings: dict[str, Json]


class OpeningsFile:
    """Openings by the digest of the entry that they open."""

    def __init__(self, file: BinaryIO, name: str, report: AuditReport) -> None:
        """Read the file once to learn where each statement's openings are.

        Args:
            file: Open for reading, and it can seek.
            name: What reports call it.
            report: Where malformed lines are reported.
        """
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        offset = 0
        for number, data in enumerate(_lines(file), start=1):
            place = f"{name} line {number}"
            try:
                digest = _parse(data).digest
            except EncodingError as error:
                report.add_problem(place, Rule.OPENING_FORM, str(error))
            else:
                if digest in self._places:
                    report.add_problem(
                        place, Rule.OPENING_FORM, "A statement is opened twice."
                    )
                self._places[digest] = (offset, number)
            offset += len(data)

    def take(self, digest: str) -> dict[str, Json] | None:
        """The openings of one entry as plain JSON, unchecked; None if there are none.

        Each entry is asked for once.
        """
        place = self._places.pop(digest, None)
        if place is None:
            return None
        self._file.seek(place[0])
        try:
            return _parse(self._file.readline(LINE_BYTES_MAX)).openings
        except EncodingError:
            # The file was changed since it was first read.
            return {}

    def unused_lines(self) -> list[int]:
        """Numbers of the lines that opened nothing, in order."""
        return sorted(number for _, number in self._places.values())


@contextmanager
def open_openings(
    path: Path, name: str, report: AuditReport
) -> Iterator[OpeningsFile | None]:
    """Open the openings file of a log, if there is one.

    Raises:
        AuditError: It is there and cannot be read.
    """
    if not path.exists():
        yield None
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise AuditError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        yield OpeningsFile(file, name, report)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while data := file.readline(LINE_BYTES_MAX + 1):
        yield data


def _parse(data: bytes) -> _Line:
    return _Line.from_bytes(data, size_max=LINE_BYTES_MAX)
