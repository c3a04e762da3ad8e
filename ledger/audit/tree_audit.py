"""The tree of a log: every tile and every entry against the signed root.

One pass over the bundles, one of them in memory at a time. Where a file does not
fit, what lies above it in the tree says which one is wrong, so that the report names
the damaged place and not its neighbours.

Source: C2SP tlog-tiles; RFC 9162, section 2.1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ledger.audit.log_copy import tile_width
from ledger.audit.report import Problem
from ledger.audit.right_edge import RightEdge, hash_leaves, root_of_row
from ledger.audit.rules import Rule
from ledger.errors import TileError
from ledger.log.checkpoint import Checkpoint
from ledger.log.merkle import HASH_BYTES
from ledger.log.tiles import (
    TILE_WIDTH,
    TilePath,
    TileSource,
    parse_bundle,
    parse_tile,
)

Rows = Sequence[Sequence[bytes]]
"""A right edge to go on from, as :class:`RightEdge` gives it."""


@dataclass(slots=True)
class Bundle:
    """One bundle of a log, compared with the tree."""

    start: int
    """Index of the first entry."""
    entries: Sequence[bytes | None] = ()
    """None stands for one that is missing or false."""
    problems: list[Problem] = field(default_factory=list)
    edge: Rows = ()
    """Of the tree up to the end of this bundle."""
    is_extension: bool = False
    """The earlier checkpoint turned out to be met in this bundle."""

    @property
    def is_full(self) -> bool:
        """Whether an audit can go on after it: no tile of entries is unfinished."""
        return not self.edge or not self.edge[0]


class TreeAudit:
    """Checks the files of one log of one size, once, from left to right."""

    def __init__(
        self,
        source: TileSource,
        checkpoint: Checkpoint,
        earlier: Checkpoint | None = None,
        *,
        edge: Rows = (),
    ) -> None:
        """Name what is to be checked.

        Args:
            source: The log's files.
            checkpoint: The log's own, with its signature checked.
            earlier: One of the same log that this one must extend, if any.
            edge: After which bundle to go on; empty to start with the first.
        """
        self._source = source
        self._checkpoint = checkpoint
        self._edge = RightEdge(edge)
        is_ahead = earlier is not None and earlier.size > self._edge.size
        self._earlier = earlier if is_ahead or not edge else None
        self._problems: list[Problem] = []
        self._is_extension = False

    def bundles(self) -> Iterator[Bundle]:
        """Yield the bundles in order, and after them one without entries.

        That one has what is wrong with the tree as a whole. Stops early if neither
        entries nor hashes of a bundle are there, for then nothing that follows has a
        place.
        """
        size = self._checkpoint.size
        start = self._edge.size
        if start == 0:
            self._check_growth(0, ())
        for number in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
            start = number * TILE_WIDTH
            width = tile_width(0, number, size)
            entries = self._read_bundle(number, width)
            stored = self._read_tile(0, number)
            if entries is None and stored is None:
                self._add_problem(
                    f"entry {start}",
                    Rule.ROOT,
                    "The audit ends here: neither entries nor hashes can be read.",
                )
                yield self._finish(start, ())
                return
            yield self._finish(start, self._judge(number, entries, stored))
        self._check_right_edge()
        self._check_root()
        yield self._finish(size, ())

    def _finish(self, start: int, entries: Sequence[bytes | None]) -> Bundle:
        problems, self._problems = self._problems, []
        is_extension, self._is_extension = self._is_extension, False
        return Bundle(start, entries, problems, self._edge.rows, is_extension)

    def _add_problem(self, place: str, rule: Rule, message: str) -> None:
        self._problems.append(Problem(place, rule, message))

    def _read_bundle(self, number: int, width: int) -> Sequence[bytes] | None:
        path = str(TilePath(None, number, width))
        try:
            return parse_bundle(self._source.read(path), width=width)
        except TileError as error:
            self._add_problem(path, Rule.BUNDLE, str(error))
            return None

    def _read_tile(self, level: int, index: int) -> bytes | None:
        """The hashes of a tile as they lie there, one after the other."""
        path = self._path(level, index)
        try:
            data = self._source.read(str(path))
            if len(data) != path.bytes_max:
                parse_tile(data, width=path.width)
        except TileError as error:
            self._add_problem(str(path), Rule.TILE, str(error))
            return None
        return data

    def _path(self, level: int, index: int) -> TilePath:
        return TilePath(level, index, tile_width(level, index, self._checkpoint.size))

    def _judge(
        self, number: int, entries: Sequence[bytes] | None, stored: bytes | None
    ) -> Sequence[bytes | None]:
        """Compare bundle and tile, append the true hashes, drop false entries."""
        if entries is None:
            assert stored is not None
            self._append(_split(stored))
            return [None] * (len(stored) // HASH_BYTES)
        computed = hash_leaves(entries)
        if stored is None or stored == b"".join(computed):
            self._append(computed)
            return entries
        if self._leads_up(number, computed):
            self._compare(TilePath(0, number, len(computed)), stored, computed)
            self._append(computed)
            return entries
        # The entries are wrong, or else all three are; then the root says so too.
        hashes = _split(stored)
        self._append(hashes)
        return self._drop_false(number, entries, computed, hashes)

    def _drop_false(
        self,
        number: int,
        entries: Sequence[bytes],
        computed: Sequence[bytes],
        stored: Sequence[bytes],
    ) -> Sequence[bytes | None]:
        path = TilePath(None, number, len(entries))
        kept: list[bytes | None] = list(entries)
        for offset, (is_there, is_due) in enumerate(zip(computed, stored, strict=True)):
            if is_there != is_due:
                kept[offset] = None
                self._add_problem(
                    f"entry {number * TILE_WIDTH + offset} in {path}",
                    Rule.ENTRY,
                    "This is not the entry that the log's tree was built over.",
                )
        return kept

    def _leads_up(self, number: int, hashes: list[bytes]) -> bool:
        """Whether leaf hashes lead to what lies above them, which is signed for."""
        if len(hashes) < TILE_WIDTH:
            return self._edge.root(hashes) == self._checkpoint.root
        index, offset = divmod(number, TILE_WIDTH)
        path = self._path(1, index)
        try:
            above = parse_tile(self._source.read(str(path)), width=path.width)
        except TileError:
            # That tile is reported when its own turn comes.
            return False
        return above[offset] == root_of_row(hashes)

    def _append(self, hashes: list[bytes]) -> None:
        self._check_growth(self._edge.size, hashes)
        for path, above in self._edge.append(hashes):
            self._check_tile(path, above)

    def _check_growth(self, size: int, hashes: Sequence[bytes]) -> None:
        """Compare with the earlier checkpoint where its last entry is met."""
        earlier = self._earlier
        if earlier is None or earlier.size > size + len(hashes):
            return
        self._earlier = None
        if self._edge.root(hashes[: earlier.size - size]) == earlier.root:
            self._is_extension = True
            return
        self._add_problem(
            "checkpoint.earlier",
            Rule.GROWTH,
            f"The first {earlier.size} entries are not those of the earlier "
            "checkpoint: this log was rewritten, or shows two histories.",
        )

    def _check_right_edge(self) -> None:
        for path, hashes in self._edge.unfinished():
            self._check_tile(path, hashes)

    def _check_tile(self, path: TilePath, hashes: Sequence[bytes]) -> None:
        assert path.level is not None
        stored = self._read_tile(path.level, path.index)
        if stored is not None:
            self._compare(path, stored, hashes)

    def _compare(self, path: TilePath, stored: bytes, hashes: Sequence[bytes]) -> None:
        if stored == b"".join(hashes):
            return
        for place, (is_there, is_due) in enumerate(
            zip(_split(stored), hashes, strict=True)
        ):
            if is_there != is_due:
                self._add_problem(
                    str(path),
                    Rule.TILE,
                    f"Hash {place} is not that of what lies below.",
                )

    def _check_root(self) -> None:
        if self._edge.root() != self._checkpoint.root:
            self._add_problem(
                "checkpoint",
                Rule.ROOT,
                "The entries do not lead to the root that the log has signed.",
            )


def _split(stored: bytes) -> list[bytes]:
    return parse_tile(stored, width=len(stored) // HASH_BYTES)
