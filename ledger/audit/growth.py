"""Whether two signed checkpoints of one log belong to one history.

Tiles are read for it and not believed: either they lead to the signed root of the
larger log, and then they say what its first entries were, or they prove nothing.

Source: RFC 9162, section 2.1.4; C2SP tlog-tiles.
"""

from ledger.audit.errors import ForkError, UnprovenError
from ledger.audit.log_copy import tile_width
from ledger.errors import ProofError
from ledger.log.checkpoint import Checkpoint
from ledger.log.merkle import verify_consistency
from ledger.log.tiles import TilePath, TileSource, parse_path, truncate_tile
from ledger.log.tree import TileTree


class RecordedTiles:
    """A source of tiles that remembers what it has shown: a few dozen at most."""

    def __init__(self, source: TileSource) -> None:
        self._source = source
        self.shown: dict[str, bytes] = {}
        """The bytes of each path that was read."""

    def read(self, path: str) -> bytes:
        """Return the content of a path, as the source does."""
        data = self._source.read(path)
        self.shown[path] = data
        return data


class _TilesOfLarger:
    """Tiles of a smaller log, cut out of those of a larger one.

    The smaller log's own tiles need not be there any more, nor lead anywhere.
    """

    def __init__(self, source: TileSource, size: int) -> None:
        self._source = source
        self._size = size

    def read(self, path: str) -> bytes:
        wanted = parse_path(path)
        width = tile_width(wanted.level or 0, wanted.index, self._size)
        wider = TilePath(wanted.level, wanted.index, width)
        return truncate_tile(self._source.read(str(wider)), wanted)


def verify_growth(first: Checkpoint, second: Checkpoint, source: TileSource) -> None:
    """Check that the smaller of two logs is the beginning of the larger one.

    Args:
        first: A checkpoint whose signatures were checked.
        second: Another one of the same log, smaller, larger or of the same size.
        source: The tiles of the larger one. Reads two tiles for each level at most.

    Raises:
        ForkError: It is not, and the two checkpoints with these tiles prove it.
        UnprovenError: The tiles do not fit the larger one, so nothing is proven.
        TileError: A tile is missing or malformed.

    Source: RFC 9162, section 2.1.4.
    """
    smaller, larger = sorted((first, second), key=lambda item: item.size)
    if smaller.size == larger.size:
        if smaller.root != larger.root:
            raise ForkError(f"The log has signed two roots for {smaller.size} entries.")
        return
    tree = TileTree(source, larger.size)
    if tree.root() != larger.root:
        raise UnprovenError(
            f"The tiles do not lead to the signed root of {larger.size} entries."
        )
    path = tree.consistency_path(smaller.size)
    if _is_beginning(smaller.root, smaller.size, larger, path):
        return
    beginning = _TilesOfLarger(source, larger.size)
    root_shown = TileTree(beginning, smaller.size).root()
    if not _is_beginning(root_shown, smaller.size, larger, path):
        raise UnprovenError(
            f"The tiles do not prove that {smaller.size} entries grew to {larger.size}."
        )
    raise ForkError(
        f"The first {smaller.size} of {larger.size} entries are not those that the log "
        "has signed."
    )


def _is_beginning(
    root: bytes, size: int, larger: Checkpoint, path: tuple[bytes, ...]
) -> bool:
    try:
        verify_consistency(
            old_size=size,
            new_size=larger.size,
            path=path,
            old_root=root,
            new_root=larger.root,
        )
    except ProofError:
        return False
    return True
