"""The tree of a copied log: every tile and every entry against the signed root.

One pass over the bundles, one of them in memory at a time. Where a file does not
fit, what lies above it in the tree says which one is wrong, so that the report names
the damaged place and not its neighbours.

Source: C2SP tlog-tiles; RFC 9162, section 2.1.
"""

from collections.abc import Iterator, Sequence

from ledger.audit.log_copy import tile_width
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.errors import TileError
from ledger.log.checkpoint import Checkpoint
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.tiles import (
    TILE_WIDTH,
    TilePath,
    TileSource,
    parse_bundle,
    parse_tile,
)


class TreeAudit:
    """Checks the files of one log of one size, once, from left to right."""

    def __init__(
        self,
        source: TileSource,
        checkpoint: Checkpoint,
        earlier: Checkpoint | None,
        report: AuditReport,
    ) -> None:
        """Name what is to be checked.

        Args:
            source: The copied files.
            checkpoint: The copy's own, with its signature checked.
            earlier: One of the same log that this one must extend, if any.
            report: Where problems go.
        """
        self._source = source
        self._checkpoint = checkpoint
        self._earlier = earlier
        self._report = report
        self._frontier = Frontier()
        # Hashes of the unfinished tile of each level above 0, as they must be.
        self._edge: dict[int, list[bytes]] = {}

    def bundles(self) -> Iterator[tuple[int, Sequence[bytes | None]]]:
        """Yield each bundle's first index and entries; None for one that is wrong.

        Checks everything on the way, the root last. Stops early if neither entries
        nor hashes of a bundle are there, for then nothing that follows has a place.
        """
        size = self._checkpoint.size
        for number in range(-(-size // TILE_WIDTH)):
            width = tile_width(0, number, size)
            entries = self._read_bundle(number, width)
            hashes = self._read_hashes(0, number)
            if entries is None and hashes is None:
                self._report.add_problem(
                    f"entry {number * TILE_WIDTH}",
                    Rule.ROOT,
                    "The audit ends here: neither entries nor hashes can be read.",
                )
                return
            yield number * TILE_WIDTH, self._judge(number, entries, hashes)
        self._check_right_edge()
        self._check_root()

    def _read_bundle(self, number: int, width: int) -> Sequence[bytes] | None:
        path = str(TilePath(None, number, width))
        try:
            return parse_bundle(self._source.read(path), width=width)
        except TileError as error:
            self._report.add_problem(path, Rule.BUNDLE, str(error))
            return None

    def _read_hashes(self, level: int, index: int) -> list[bytes] | None:
        path = self._path(level, index)
        try:
            return parse_tile(self._source.read(str(path)), width=path.width)
        except TileError as error:
            self._report.add_problem(str(path), Rule.TILE, str(error))
            return None

    def _path(self, level: int, index: int) -> TilePath:
        return TilePath(level, index, tile_width(level, index, self._checkpoint.size))

    def _judge(
        self,
        number: int,
        entries: Sequence[bytes] | None,
        stored: list[bytes] | None,
    ) -> Sequence[bytes | None]:
        """Compare bundle and tile, append the true hashes, drop false entries."""
        if entries is None:
            assert stored is not None
            self._append(number, stored)
            return [None] * len(stored)
        computed = [leaf_hash(entry) for entry in entries]
        if stored is None or stored == computed:
            self._append(number, computed)
            return entries
        if self._leads_up(number, computed):
            self._compare(TilePath(0, number, len(computed)), stored, computed)
            self._append(number, computed)
            return entries
        # The entries are wrong, or else all three are; then the root says so too.
        self._append(number, stored)
        path = TilePath(None, number, len(entries))
        kept: list[bytes | None] = list(entries)
        for offset, (is_there, is_due) in enumerate(zip(computed, stored, strict=True)):
            if is_there != is_due:
                kept[offset] = None
                self._report.add_problem(
                    f"entry {number * TILE_WIDTH + offset} in {path}",
                    Rule.ENTRY,
                    "This is not the entry that the log's tree was built over.",
                )
        return kept

    def _leads_up(self, number: int, hashes: list[bytes]) -> bool:
        """Whether leaf hashes lead to what lies above them, which is signed for."""
        if len(hashes) < TILE_WIDTH:
            return self._root_with(hashes) == self._checkpoint.root
        index, offset = divmod(number, TILE_WIDTH)
        path = self._path(1, index)
        try:
            above = parse_tile(self._source.read(str(path)), width=path.width)
        except TileError:
            # That tile is reported when its own turn comes.
            return False
        return above[offset] == _root_of(hashes)

    def _append(self, number: int, hashes: list[bytes]) -> None:
        earlier = self._earlier
        if earlier is not None and 0 <= earlier.size - self._frontier.size <= len(
            hashes
        ):
            self._check_growth(earlier, hashes[: earlier.size - self._frontier.size])
        self._frontier.extend(hashes)
        if len(hashes) == TILE_WIDTH:
            self._carry(1, number, hashes)

    def _check_growth(self, earlier: Checkpoint, hashes: list[bytes]) -> None:
        self._earlier = None
        if self._root_with(hashes) == earlier.root:
            self._report.earlier = earlier
            return
        self._report.add_problem(
            "checkpoint.earlier",
            Rule.GROWTH,
            f"The first {earlier.size} entries are not those of the earlier "
            "checkpoint: this log was rewritten, or shows two histories.",
        )

    def _root_with(self, hashes: list[bytes]) -> bytes:
        """The root of the tree so far with more leaves."""
        frontier = Frontier(self._frontier.size, self._frontier.peaks)
        frontier.extend(hashes)
        return frontier.root()

    def _carry(self, level: int, number: int, below: list[bytes]) -> None:
        """Hand the root of a full tile to the level above, which may fill in turn."""
        hashes = self._edge.setdefault(level, [])
        hashes.append(_root_of(below))
        if len(hashes) == TILE_WIDTH:
            index = number // TILE_WIDTH
            del self._edge[level]
            self._check_tile(TilePath(level, index), hashes)
            self._carry(level + 1, index, hashes)

    def _check_right_edge(self) -> None:
        for level, hashes in sorted(self._edge.items()):
            index = (self._checkpoint.size >> 8 * level) // TILE_WIDTH
            self._check_tile(TilePath(level, index, len(hashes)), hashes)

    def _check_tile(self, path: TilePath, hashes: list[bytes]) -> None:
        assert path.level is not None
        stored = self._read_hashes(path.level, path.index)
        if stored is not None:
            self._compare(path, stored, hashes)

    def _compare(
        self, path: TilePath, stored: list[bytes], hashes: list[bytes]
    ) -> None:
        for place, (is_there, is_due) in enumerate(zip(stored, hashes, strict=True)):
            if is_there != is_due:
                self._report.add_problem(
                    str(path),
                    Rule.TILE,
                    f"Hash {place} is not that of what lies below.",
                )

    def _check_root(self) -> None:
        if self._frontier.root() != self._checkpoint.root:
            self._report.add_problem(
                "checkpoint",
                Rule.ROOT,
                "The entries do not lead to the root that the log has signed.",
            )


def _root_of(hashes: list[bytes]) -> bytes:
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier.root()
