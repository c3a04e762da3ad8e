"""A disclosure file: what one party chose to show of its records, one line for each.

A line opens fields of one record, as in an openings file, or one total:
`{"total": {"charges": [...], "opening": {...}, "payee": ...}}`. A total opens the sum
of what the named charges cost, or of what they pay one account, and shows nothing of
any single one of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import Field

from ledger.audit.openings_file import OpeningsFile, OpeningsLine
from ledger.audit.report import AuditReport
from ledger.commitments.pedersen import (
    VALUE_MAX,
    CommitmentOpening,
    combine_openings,
)
from ledger.document import AccountId, Digest, Document
from ledger.encoding import Json, canonical_json
from ledger.errors import AuditError, CommitmentError, EncodingError
from ledger.regular_file import open_regular_file

TOTAL_CHARGES_MAX = 65_536
"""Charges of one total: a year of a job every eight minutes."""
TOTAL_BYTES_MAX = 4 * 2**20
"""A line that names so many charges has 3.1 MB."""
CHARGES_NAMED_MAX = 2**18
"""In all totals of one file; the audit holds each in memory, 40 MB in all."""

_TOTAL_WITHIN = 16
"""The first characters of a line, among which the word that tells a total stands."""


class _TotalFields(Document):
    charges: tuple[Digest, ...] = Field(min_length=1, max_length=TOTAL_CHARGES_MAX)
    payee: AccountId | None
    opening: dict[str, Json]


class _TotalLine(Document):
    total: _TotalFields


@dataclass(frozen=True)
class OpenedTotal:
    """A sum over charges that somebody opened."""

    charges: Sequence[str]
    """Digests of the entries of the charges, each named once."""
    payee: str | None
    """The account that was paid; None for what was paid to all together."""
    opening: CommitmentOpening
    """Of the sum of the commitments, in micro-credits."""

    def to_line(self) -> bytes:
        """The line of a disclosure file, with its newline.

        Raises:
            EncodingError: The sum is out of bounds.
        """
        fields: dict[str, Json] = {
            "charges": list(self.charges),
            "payee": self.payee,
            "opening": self.opening.to_json(),
        }
        return canonical_json({"total": fields}) + b"\n"


@dataclass(frozen=True)
class PlacedTotal:
    """A total of a disclosure file, and where it stands."""

    place: str
    """File and line, as reports name them."""
    total: OpenedTotal


def parse_total_line(data: bytes) -> OpenedTotal:
    """Parse a line that opens a total, with or without its newline.

    Raises:
        EncodingError: It is something else, or names a charge twice.
    """
    fields = _TotalLine.from_bytes(data, size_max=TOTAL_BYTES_MAX).total
    if len(set(fields.charges)) != len(fields.charges):
        raise EncodingError("A total counts a charge twice.")
    try:
        opening = CommitmentOpening.parse(fields.opening)
    except CommitmentError as error:
        raise EncodingError(f"The opening of a total: {error}") from error
    return OpenedTotal(fields.charges, fields.payee, opening)


def record_line(digest: str, openings: Json) -> bytes:
    """The line that opens fields of one record, with its newline.

    Args:
        digest: Of the record's entry in the log.
        openings: By field name, as `openings_json` gives them.

    Raises:
        EncodingError: They are not in form.
    """
    line = OpeningsLine.from_json({"digest": digest, "openings": openings})
    return line.to_bytes() + b"\n"


def make_totals(
    opened: Iterable[tuple[str, CommitmentOpening]], payee: str | None
) -> Iterator[OpenedTotal]:
    """Add up openings of charges.

    Args:
        opened: Digests of charges, each with the opening of one and the same amount.
        payee: Whose amount that is; None for what was paid in all.

    Yields:
        One total. More only if there are more than `TOTAL_CHARGES_MAX` charges, or if
        the sum exceeds what can be written.
    """
    charges: list[str] = []
    total = CommitmentOpening(0, 0)
    for digest, opening in opened:
        if len(charges) == TOTAL_CHARGES_MAX or total.value + opening.value > VALUE_MAX:
            yield OpenedTotal(charges, payee, total)
            charges, total = [], CommitmentOpening(0, 0)
        charges.append(digest)
        total = combine_openings([(1, total), (1, opening)])
    if charges:
        yield OpenedTotal(charges, payee, total)


class DisclosureFile(OpeningsFile):
    """Openings by the digest of the entry that they open, and totals."""

    line_bytes_max = TOTAL_BYTES_MAX

    def __init__(self, file: BinaryIO, name: str, report: AuditReport) -> None:
        """Read the file once to learn what it opens.

        Args:
            file: Open for reading, and it can seek.
            name: What reports call it.
            report: Where malformed lines are reported.
        """
        self._totals: list[PlacedTotal] = []
        self._charges_named = 0
        super().__init__(file, name, report)

    def totals(self) -> Sequence[PlacedTotal]:
        """All totals that are in form, in the order of the file."""
        return self._totals

    def _note(self, data: bytes, offset: int, number: int) -> None:
        if b'"total"' not in data[:_TOTAL_WITHIN]:
            super()._note(data, offset, number)
            return
        total = parse_total_line(data)
        self._charges_named += len(total.charges)
        if self._charges_named > CHARGES_NAMED_MAX:
            raise EncodingError(
                f"All totals of one file name at most {CHARGES_NAMED_MAX} charges."
            )
        self._totals.append(PlacedTotal(f"{self.name} line {number}", total))


@contextmanager
def open_disclosure(
    path: Path, name: str, report: AuditReport
) -> Iterator[DisclosureFile]:
    """Open a disclosure file.

    Raises:
        AuditError: It cannot be read.
    """
    try:
        file = open_regular_file(path)
    except OSError as error:
        raise AuditError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        yield DisclosureFile(file, name, report)
