"""Proofs of inclusion out of a folder of tiles, each built and verified."""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that each run does the same

from ledger.log.merkle import leaf_hash, verify_inclusion
from ledger.log.publication import Publication
from ledger.log.tiles import TILE_WIDTH, FolderTiles
from ledger.log.tree import TileTree

ENTRIES = 200_000
PROOFS = 20_000
ENTRY_BYTES = 500


def proofs_per_s(stack: ExitStack) -> float:
    """Proofs per second of entries in no order, tiles read and hashed as needed."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    publication = Publication(folder)
    with publication.locked():
        bundles = (
            [_entry(index) for index in range(first, min(first + TILE_WIDTH, ENTRIES))]
            for first in range(0, ENTRIES, TILE_WIDTH)
        )
        publication.write_tiles(0, bundles)
    dice = Random(8)  # noqa: S311 - no secret
    wanted = [dice.randrange(ENTRIES) for _ in range(PROOFS)]
    root = TileTree(FolderTiles(folder), ENTRIES).root()
    started = time.perf_counter()
    tree = TileTree(FolderTiles(folder), ENTRIES)
    for index in wanted:
        verify_inclusion(
            leaf_hash(_entry(index)),
            index=index,
            tree_size=ENTRIES,
            path=tree.inclusion_path(index),
            root=root,
        )
    return PROOFS / (time.perf_counter() - started)


def _entry(index: int) -> bytes:
    return index.to_bytes(ENTRY_BYTES, "big")
