"""The state file: from which an interrupted audit goes on.

Two lines of JSON. The first says what the second belongs to, and has its digest: the
log's keys and checkpoint, the disclosures, and the rules themselves. If any of it is
different now, or the file was changed, the audit starts over. The digest finds damage
and mistakes, not somebody who can compute it again: keep the file where the report is
kept.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from time import monotonic
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from ledger.audit.compact_table import TableField
from ledger.audit.history import HistoryState
from ledger.audit.recall import INDEX_BYTES
from ledger.audit.replay import ReplayState
from ledger.audit.report import AuditReport
from ledger.audit.right_edge import RightEdge
from ledger.audit.totals import TotalState
from ledger.document import Digest, Document
from ledger.encoding import Json, canonical_json, decode_base64, encode_base64
from ledger.errors import AuditError, EncodingError
from ledger.log.tiles import LEVEL_MAX, TILE_WIDTH
from ledger.regular_file import open_regular_file

SAVE_EVERY_S = 5.0
"""So much work is lost at most when an audit is killed."""

SAVING_SHARE_MAX = 0.05
"""Of the time: a large log has a large state, which is saved less often."""

HEADER_BYTES_MAX = 1024
"""Two digests and the name of the format."""

_RULE_FOLDERS = ("audit", "charging", "commitments", "log", "metering", "statements")
_UNFINISHED = ".new"


class _Header(Document):
    format: Literal["sixfold/audit-state/v1"]
    belongs_to: Digest
    content: Digest


@dataclass
class AuditState:
    """All that an audit knows after some bundles."""

    edge: list[list[Digest]] = field(default_factory=list)
    """Of the tree, as :class:`TreeAudit` goes on from it."""
    is_extension: bool = False
    """The earlier checkpoint was met."""
    history: HistoryState = field(default_factory=HistoryState)
    replay: ReplayState = field(default_factory=ReplayState)
    totals: list[TotalState] = field(default_factory=list)
    report: AuditReport = field(default_factory=AuditReport)
    """Counts and problems so far, without the log's head."""
    lines_left: list[TableField] = field(default_factory=list)
    """Of each disclosure, those that have opened nothing yet."""

    @property
    def rows(self) -> list[list[bytes]]:
        """The edge in bytes."""
        return [[decode_base64(item) for item in row] for row in self.edge]

    def check(self) -> None:
        """Refuse what no audit can have known.

        Raises:
            EncodingError: It does not fit together.
        """
        rows = self.rows
        if not 0 < len(rows) <= LEVEL_MAX + 1 or rows[0]:
            raise EncodingError("It does not stand between two bundles.")
        if any(len(row) >= TILE_WIDTH for row in rows):
            raise EncodingError("It has more hashes than a tile.")
        if RightEdge(rows).size != self.report.statements:
            raise EncodingError("It has other counts than hashes.")
        named = self.history.registry
        tables = (named.names, named.accounts, named.royalties, self.history.charged)
        if any(table.number_bytes for table in tables):
            raise EncodingError("It has numbers where there are none.")
        if self.history.places.number_bytes != INDEX_BYTES:
            raise EncodingError("It has places of another size.")


class StateFile:
    """Where the state of one audit is kept."""

    def __init__(self, path: Path | None, belongs_to: Json) -> None:
        """Name the file; nothing is read yet.

        Args:
            path: Of the file; None to keep no state.
            belongs_to: What must be the same for a state to count, as plain JSON.
        """
        self._path = path
        self._belongs_to = _digest(canonical_json([_rules_digest(), belongs_to]))
        self._saved_at_s = monotonic()
        self._pause_s = SAVE_EVERY_S

    def load(self, notice: Callable[[str], None]) -> AuditState:
        """Read the state that is there, or begin with a new one.

        Args:
            notice: Told which of the two, and why, if there is a file.

        Raises:
            AuditError: The file cannot be read.
        """
        if self._path is None:
            return AuditState()
        try:
            state = self._read(self._path)
        except FileNotFoundError:
            return AuditState()
        except OSError as error:
            raise AuditError(
                f"{self._path} cannot be read: {error.strerror}."
            ) from error
        except EncodingError as error:
            notice(f"{self._path} does not count, so the audit starts over: {error}")
            return AuditState()
        notice(f"The audit goes on after {state.report.statements} statements.")
        return state

    def is_due(self) -> bool:
        """Whether it is time to save again."""
        return (
            self._path is not None and monotonic() - self._saved_at_s >= self._pause_s
        )

    def save(self, state: AuditState) -> None:
        """Put a state in place of the one that is there.

        Raises:
            AuditError: The file cannot be written.
        """
        if self._path is None:
            return
        started_s = monotonic()
        content = _adapter().dump_json(state)
        header = _Header(
            format="sixfold/audit-state/v1",
            belongs_to=self._belongs_to,
            content=_digest(content),
        )
        unfinished = self._path.with_name(self._path.name + _UNFINISHED)
        try:
            unfinished.write_bytes(header.to_bytes() + b"\n" + content)
            unfinished.replace(self._path)
        except OSError as error:
            raise AuditError(
                f"{self._path} cannot be written: {error.strerror}."
            ) from error
        self._saved_at_s = monotonic()
        spent_s = self._saved_at_s - started_s
        self._pause_s = max(SAVE_EVERY_S, spent_s / SAVING_SHARE_MAX)

    def remove(self) -> None:
        """Remove the file once the audit is done; it is no error if there is none."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self, path: Path) -> AuditState:
        with open_regular_file(path) as file:
            head = file.readline(HEADER_BYTES_MAX)
            content = file.read()
        header = _Header.from_bytes(head, size_max=HEADER_BYTES_MAX)
        if header.belongs_to != self._belongs_to:
            raise EncodingError(
                "It is of another log, checkpoint or disclosure, or of another "
                "version of the rules."
            )
        if header.content != _digest(content):
            raise EncodingError("It was changed.")
        try:
            state = _adapter().validate_json(content, strict=True, extra="forbid")
        except ValidationError as error:
            raise EncodingError("It is no state of an audit.") from error
        state.check()
        return state


@cache
def _adapter() -> TypeAdapter[AuditState]:
    return TypeAdapter(AuditState)


@cache
def _rules_digest() -> str:
    """The digest of the modules that make up the rules."""
    ledger = files("ledger")
    digest = hashlib.sha256()
    for folder in (ledger, *(ledger / name for name in _RULE_FOLDERS)):
        for module in sorted(folder.iterdir(), key=lambda item: item.name):
            if module.name.endswith(".py"):
                content = module.read_bytes()
                digest.update(b"%s %d\n" % (module.name.encode(), len(content)))
                digest.update(content)
    return encode_base64(digest.digest())


def _digest(data: bytes) -> str:
    return encode_base64(hashlib.sha256(data).digest())
