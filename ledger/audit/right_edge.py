"""The unfinished right edge of a log's tree, tile by tile, as an audit rebuilds it.

Works on whole tiles: 256 hashes become one root in eight passes over a list, which is
several times faster than to append leaf by leaf.

Source: RFC 9162, section 2.1.1; C2SP tlog-tiles.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from ledger.log.merkle import join_peaks
from ledger.log.tiles import LEVEL_MAX, TILE_WIDTH, TilePath


def hash_leaves(entries: Iterable[bytes]) -> list[bytes]:
    """Hash entries into leaves of 32 bytes; as `leaf_hash`, for many at once."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def root_of_row(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes that stand side by side; their count is a power of two."""
    row = hashes
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=True)
        row = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return row[0]


class RightEdge:
    """For each level of a growing tree the hashes of its last, unfinished tile."""

    def __init__(self, rows: Iterable[Sequence[bytes]] = ()) -> None:
        """Start an empty tree, or go on from the `rows` of one.

        Args:
            rows: Level 0 first, each with fewer than 256 hashes.
        """
        self._rows = [list(row) for row in rows] or [[]]
        assert all(len(row) < TILE_WIDTH for row in self._rows)

    @property
    def rows(self) -> tuple[tuple[bytes, ...], ...]:
        """What it takes to go on from here, level 0 first."""
        return tuple(tuple(row) for row in self._rows)

    @property
    def size(self) -> int:
        """Count of leaves."""
        return sum(len(row) << 8 * level for level, row in enumerate(self._rows))

    def root(self, more: Sequence[bytes] = ()) -> bytes:
        """The root of the tree, as it stands or with at most 256 more leaves.

        Args:
            more: Leaf hashes. There are none where level 0 is unfinished.
        """
        first, *above = self._rows
        rows = [*reversed(above), more or first]
        return join_peaks([peak for row in rows for peak in _peaks(row)])

    def append(self, hashes: Sequence[bytes]) -> list[tuple[TilePath, list[bytes]]]:
        """Append one tile of leaf hashes; only the last may have fewer than 256.

        Returns:
            Each tile above level 0 that is full now, with its hashes.
        """
        if len(hashes) < TILE_WIDTH:
            self._rows[0] = list(hashes)
            return []
        full = []
        index, root = self.size >> 8, root_of_row(hashes)
        for level in range(1, LEVEL_MAX + 1):
            row = self._row(level)
            row.append(root)
            if len(row) < TILE_WIDTH:
                break
            index >>= 8
            full.append((TilePath(level, index), row))
            self._rows[level], root = [], root_of_row(row)
        return full

    def unfinished(self) -> Iterator[tuple[TilePath, list[bytes]]]:
        """Yield the last tile of each level above 0, if it is not full."""
        size = self.size
        for level, row in enumerate(self._rows):
            if level and row:
                yield TilePath(level, (size >> 8 * level) >> 8, len(row)), row

    def _row(self, level: int) -> list[bytes]:
        if len(self._rows) == level:
            self._rows.append([])
        return self._rows[level]


def _peaks(row: Sequence[bytes]) -> Iterator[bytes]:
    """Roots of the perfect sub-trees of a row, from the largest to the smallest."""
    start = 0
    for height in range(len(row).bit_length() - 1, -1, -1):
        if len(row) >> height & 1:
            yield root_of_row(row[start : start + (1 << height)])
            start += 1 << height
