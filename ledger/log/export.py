"""Writing a log into a folder that a static host or an object store serves as it is.

What is written comes from the database, so it needs no published tiles. A folder
that has an older export gets what is new, and its checkpoint last; whoever reads it
meanwhile sees the old log or the new one.

Source: C2SP tlog-tiles.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from ledger.log.checkpoint import Checkpoint
from ledger.log.entries import read_frontier
from ledger.log.growth import grow_folder
from ledger.log.log import Log
from ledger.log.publication import Publication


@dataclass(frozen=True)
class Export:
    """What an export has come to."""

    checkpoint: Checkpoint
    files: int
    """Files written this time."""


def export_log(log: Log, session: Session, folder: Path) -> Export:
    """Write a log, or what is new of it, with its keys and signed checkpoint.

    The checkpoint is the one that the log has published. If it has none, because its
    folder is gone, what is committed is signed.

    Args:
        log: With the keys that sign it. Its own folder is only read.
        session: Only read from, without an open transaction.
        folder: Empty, or an older export of the same log.

    Raises:
        LogError: The folder has more than the log, or another log.
        NoteError: The folder's checkpoint is not one of this log.
        TileError: A tile is missing in a folder that has a checkpoint.
        OSError: Something cannot be written.
    """
    note, witnessed = log.published_note(), log.witnessed_note()
    # Only from here on is the database read, so it has all entries of the note.
    if note is None:
        head = read_frontier(session)
        note = log.signers.sign(Checkpoint(log.origin, head.size, head.root()).text)
    checkpoint = log.signers.open(note).checkpoint
    publication = Publication(folder)
    with publication.locked():
        before = publication.read_checkpoint()
        old = None if before is None else log.signers.open(before).checkpoint
        if old != checkpoint:
            grow_folder(publication, session, old, checkpoint)
        publication.write_partial_tiles(checkpoint.size)
        _write_beside(publication, log, witnessed)
        if note != before:
            publication.write_checkpoint(note)
    return Export(checkpoint, publication.files_written)


def _write_beside(publication: Publication, log: Log, witnessed: bytes | None) -> None:
    """Write what readers look for beside tiles and checkpoint."""
    publication.write_keys(log.keys.text)
    for generation in range(2, log.generation + 1):
        proof = log.key_change(generation)
        if proof is not None and proof != publication.read_key_change(generation):
            publication.write_key_change(generation, proof)
    if witnessed is not None and witnessed != publication.read_witnessed():
        size = log.signers.open(witnessed).checkpoint.size
        publication.write_partial_tiles(size)
        publication.write_witnessed(witnessed)
