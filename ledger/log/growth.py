"""Growing a folder of tiles from one checkpoint to the next, out of the database.

What others rely on is compared before anything is written, and what was written is
read back, as any auditor will, before a checkpoint tells of it. So the wrong database,
or a damaged folder, leads to an error and never to a second history.
"""

from sqlalchemy.orm import Session

from ledger.errors import LogError, ProofError
from ledger.log.checkpoint import Checkpoint
from ledger.log.entries import read_bundles
from ledger.log.merkle import leaf_hash, verify_consistency
from ledger.log.publication import Publication
from ledger.log.tiles import TILE_WIDTH, FolderTiles
from ledger.log.tree import TileTree


def grow_folder(
    publication: Publication,
    session: Session,
    old: Checkpoint | None,
    new: Checkpoint,
) -> None:
    """Write the tiles of a checkpoint, and prove that it extends the one before.

    Costs as much as there are new entries.

    Args:
        publication: Locked. Its folder has the tiles of `old`.
        session: Sees all entries of `new`. Only read from.
        old: The checkpoint of the folder, if it has any.
        new: The one that is to be written next.

    Raises:
        LogError: It does not extend the one before, or the database does not lead
            to it.
        TileError: A tile of `old` is missing.
    """
    tiles = FolderTiles(publication.folder)
    old_size = 0 if old is None else old.size
    if old_size > new.size:
        raise LogError("The log does not extend what was published.")
    # The last tile is written anew from its first entry.
    first = old_size - old_size % TILE_WIDTH
    if old is not None:
        _check_history(session, tiles, first, old)
    publication.write_tiles(first, read_bundles(session, first, new.size))
    _check_growth(tiles, old, new)


def _check_history(
    session: Session, tiles: FolderTiles, first: int, old: Checkpoint
) -> None:
    """Touch no tile that others rely on, should this be another log's database."""
    frontier = TileTree(tiles, first).frontier()
    for entries in read_bundles(session, first, old.size):
        frontier.extend(map(leaf_hash, entries))
    if frontier.root() != old.root:
        raise LogError(
            "The tiles do not lead to what was published, or the log does not "
            "extend it."
        )


def _check_growth(tiles: FolderTiles, old: Checkpoint | None, new: Checkpoint) -> None:
    tree = TileTree(tiles, new.size)
    if tree.root() != new.root:
        raise LogError("The tiles do not lead to the head of the log.")
    if old is None:
        return
    try:
        verify_consistency(
            old_size=old.size,
            new_size=new.size,
            path=tree.consistency_path(old.size),
            old_root=old.root,
            new_root=new.root,
        )
    except ProofError as error:
        raise LogError("The log does not extend what was published.") from error
