"""The tree of one checkpoint, read from tiles: its root, paths and entries.

Nothing that is read is believed. A root must equal the signed one, and a path
must verify against it; a wrong tile can only lead to an error.

Source: RFC 9162, sections 2.1.1 to 2.1.4, over C2SP tlog-tiles.
"""

from collections.abc import Iterator
from functools import lru_cache

from ledger.errors import ProofError
from ledger.log.merkle import (
    HASH_BYTES,
    TREE_SIZE_MAX,
    Frontier,
    hash_pairs,
    join_peaks,
)
from ledger.log.tiles import TILE_WIDTH, TilePath, TileSource, check_tile, parse_bundle

TILES_CACHED_MAX = 1024
"""About 17 MB of hashes: all tiles of a log of 260,000 entries."""


class TileTree:
    """The Merkle tree over the first `size` entries of a log.

    May be used from several threads at once, if its source may.
    """

    def __init__(self, source: TileSource, size: int) -> None:
        """Look at a source as it was when the log had `size` entries.

        Args:
            source: Where tiles are read from, when they are needed.
            size: Count of entries, from a checkpoint.
        """
        assert 0 <= size <= TREE_SIZE_MAX
        self.size = size
        self._source = source
        self._rows = lru_cache(TILES_CACHED_MAX)(self._read_rows)

    def root(self) -> bytes:
        """Return the root that the tiles lead to, a hash of 32 bytes.

        Raises:
            TileError: A tile of the right edge is missing or malformed. So for all
                methods that read tiles.
        """
        return join_peaks(self._peaks(0, self.size))

    def frontier(self) -> Frontier:
        """Return the right edge that the tiles lead to, for more to be appended."""
        return Frontier(self.size, self._peaks(0, self.size))

    def inclusion_path(self, index: int) -> tuple[bytes, ...]:
        """Return the path that proves the entry at `index`, its sibling first.

        Raises:
            ProofError: The tree has no such entry.

        Source: RFC 9162, section 2.1.3.1.
        """
        self._check_index(index)
        path = []
        start, end = 0, self.size
        while end - start > 1:
            middle = _middle(start, end)
            if index < middle:
                path.append(self._range_hash(middle, end))
                end = middle
            else:
                path.append(self._range_hash(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency_path(self, old_size: int) -> tuple[bytes, ...]:
        """Return the path that proves that this tree grew from an older one.

        Args:
            old_size: Count of entries then, at most `size`.

        Raises:
            ProofError: The tree never had this size.

        Source: RFC 9162, section 2.1.4.1.
        """
        if not 0 <= old_size <= self.size:
            raise ProofError(f"A tree of {self.size} entries never had {old_size}.")
        if old_size == 0:
            return ()
        path = []
        start, end = 0, self.size
        while old_size < end:
            middle = _middle(start, end)
            if old_size <= middle:
                path.append(self._range_hash(middle, end))
                end = middle
            else:
                path.append(self._range_hash(start, middle))
                start = middle
        if start > 0:
            path.append(self._range_hash(start, end))
        return tuple(reversed(path))

    def entry(self, index: int) -> bytes:
        """Return one entry; it is proven by `inclusion_path`, not by being here.

        Raises:
            ProofError: The tree has no such entry.
        """
        self._check_index(index)
        number, offset = divmod(index, TILE_WIDTH)
        return self._bundle(number)[offset]

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """Yield all entries from `start` on, one bundle at a time in memory."""
        first, offset = divmod(start, TILE_WIDTH)
        for number in range(first, -(-self.size // TILE_WIDTH)):
            yield from self._bundle(number)[offset:]
            offset = 0

    def _check_index(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise ProofError(f"No entry {index} in a tree of {self.size} entries.")

    def _bundle(self, number: int) -> tuple[bytes, ...]:
        width = min(TILE_WIDTH, self.size - number * TILE_WIDTH)
        data = self._source.read(str(TilePath(None, number, width)))
        return parse_bundle(data, width=width)

    def _range_hash(self, start: int, end: int) -> bytes:
        return join_peaks(self._peaks(start, end))

    def _peaks(self, start: int, end: int) -> list[bytes]:
        """Roots of the perfect sub-trees that make up a sub-tree of this tree."""
        peaks = []
        while start < end:
            height = (end - start).bit_length() - 1
            peaks.append(self._node(height, start >> height))
            start += 1 << height
        return peaks

    def _node(self, height: int, position: int) -> bytes:
        """Root of the perfect sub-tree over 2**height entries at a position."""
        level, row = divmod(height, 8)
        tile, offset = divmod(position, TILE_WIDTH >> row)
        start = offset * HASH_BYTES
        return self._rows(level, tile)[row][start : start + HASH_BYTES]

    def _read_rows(self, level: int, index: int) -> list[bytes]:
        """Hashes of a tile side by side, and above them those that it implies."""
        width = min(TILE_WIDTH, (self.size >> 8 * level) - index * TILE_WIDTH)
        row = self._source.read(str(TilePath(level, index, width)))
        check_tile(row, width=width)
        rows = [row]
        while len(row) > HASH_BYTES:
            row = hash_pairs(row)
            rows.append(row)
        return rows


def _middle(start: int, end: int) -> int:
    """Where a tree divides: its left half is the largest power of two below it."""
    return start + (1 << (end - start - 1).bit_length() - 1)
