"""The log: the only module that appends to it, signs its head and publishes it.

The database is the truth. An append is part of its caller's transaction, and the
head row is compared and swapped in it, so there is one history whoever writes.
The folder of tiles is derived from committed entries, and a checkpoint is signed
only if the tiles prove that it extends the one signed before.

Source: C2SP tlog-tiles and tlog-checkpoint.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, insert
from sqlalchemy.orm import Session
from sqlmodel import col, select

from ledger.errors import LogError, TileError
from ledger.log.batch import Batch
from ledger.log.checkpoint import Checkpoint
from ledger.log.entries import read_bundles, read_frontier
from ledger.log.growth import grow_folder
from ledger.log.log_keys import LogKeys
from ledger.log.log_signers import LogSigners
from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.models import LogEntry, LogHead
from ledger.log.note import NoteSignature, Signer, extend_note
from ledger.log.proof import TlogProof
from ledger.log.publication import Publication
from ledger.log.tiles import FolderTiles
from ledger.log.tree import TileTree


class _Served(NamedTuple):
    """A checkpoint of the folder, as it lies there and as it was opened."""

    note: bytes
    checkpoint: Checkpoint
    tree: TileTree


class Log:
    """One log, in one database and one folder, signed with its keys.

    All methods may be called from several threads at once, each with its own session.
    The database must keep every commit that it has confirmed, also when the power
    fails (SQLite: `synchronous = FULL`), because a checkpoint may have told of it.
    """

    def __init__(self, folder: Path, signers: LogSigners | Signer) -> None:
        """Name the log. Nothing is read or written yet; `recover` comes first.

        Args:
            folder: Where tiles and checkpoint are published, to be served as it is.
            signers: The log's keys, or its only one. Their name is the origin.
        """
        self.tiles = FolderTiles(folder)
        self.signers = LogSigners([signers]) if isinstance(signers, Signer) else signers
        self._publication = Publication(folder)
        self._served: _Served | None = None
        self._witnessed: _Served | None = None
        self._halted: str | None = None

    @property
    def origin(self) -> str:
        """The name of the log, first line of its checkpoints."""
        return self.signers.keys.origin

    @property
    def keys(self) -> LogKeys:
        """The keys that readers should know now."""
        return self.signers.keys_of(self.generation)

    @property
    def generation(self) -> int:
        """Which set of keys that is: the newest whose change can be followed."""
        generation = self.signers.generation
        while generation > 1 and self.key_change(generation) is None:
            generation -= 1
        return generation

    def recover(self, session: Session) -> None:
        """Make the log ready, once at start and before all else.

        Creates the head of a new log. Rebuilds the folder from the database if its
        tiles no longer lead to its own checkpoint. `publish` then goes on.

        Args:
            session: Without an open transaction; the caller commits.

        Raises:
            LogError: The database contradicts itself, or lacks entries that were
                already published. Then nothing is signed: to go on from an old
                copy of the database would fork the log.
            NoteError: The checkpoint in the folder is not one of this log.
        """
        connection = session.connection()
        if connection.execute(select(LogHead.id)).first() is None:
            connection.execute(insert(LogHead), {"id": 1, "size": 0, "frontier": b""})
        size = read_frontier(session, lock=True).size
        last = connection.execute(select(func.max(col(LogEntry.index)))).scalar()
        if size != (0 if last is None else last + 1):
            raise LogError("The head of the log is not where its entries end.")
        with self._publication.locked():
            published = self.published()
            if published is None:
                return
            if published.size > size:
                raise LogError("Entries were published that this database lacks.")
            if not self._has_tiles_of(published):
                self._rebuild(session, published)

    def begin(self, session: Session) -> Batch:
        """Start a batch: read the head, and lock it where the database can.

        Args:
            session: Inside the caller's transaction. As the head is what all
                writers share, take all other locks before it.

        Raises:
            LogError: `recover` has not created the log.
        """
        return Batch(read_frontier(session, lock=True))

    def halt(self, reason: str) -> None:
        """Publish nothing more while this process runs: the log has forked, say."""
        self._halted = reason

    def publish(self, session: Session) -> Checkpoint:
        """Write tiles for all committed entries, then sign and replace the checkpoint.

        Costs as much as there are new entries. May be called again at any time, also
        after a crash in the midst of it.

        Args:
            session: Only read from. Without an open transaction, so that it sees what
                is committed now.

        Returns:
            The checkpoint that the folder now has.

        Raises:
            LogError: What would be signed does not extend what was signed before;
                or the log was halted.
            TileError: A tile is missing in the folder; `recover` brings it back.
        """
        if self._halted is not None:
            raise LogError(self._halted)
        with self._publication.locked():
            published = self.published()
            frontier = read_frontier(session)
            current = Checkpoint(self.origin, frontier.size, frontier.root())
            if published == current:
                return current
            grow_folder(self._publication, session, published, current)
            note = self.signers.sign(current.text)
            # Should we stop before the next line, the tiles go further than the
            # checkpoint, which is allowed, and the next call writes them again.
            self._publication.write_checkpoint(note)
            return current

    def published(self) -> Checkpoint | None:
        """Return the checkpoint that the folder has now, if any.

        Raises:
            NoteError: The file there is not a checkpoint that this log has signed.
        """
        served = self._read_served()
        return None if served is None else served.checkpoint

    def published_note(self) -> bytes | None:
        """Return the checkpoint that the folder has now, as signed, if any.

        Raises:
            NoteError: As for `published`.
        """
        served = self._read_served()
        return None if served is None else served.note

    def add_cosignatures(
        self, text: str, signatures: Sequence[NoteSignature]
    ) -> bytes | None:
        """Append cosignatures to the checkpoint, if it is still the one they are for.

        Args:
            text: Of the checkpoint that was cosigned.
            signatures: Checked. Those of keys that have cosigned it before are
                passed over.

        Returns:
            The note that the folder has now; None if it has a newer checkpoint.

        Raises:
            NoteError: The note would be too large.
        """
        with self._publication.locked():
            served = self._read_served()
            if served is None or served.checkpoint.text != text:
                return None
            note = extend_note(served.note, signatures)
            if note != served.note:
                self._publication.write_checkpoint(note)
            return note

    def witnessed_note(self) -> bytes | None:
        """Return the newest note that `keep_witnessed` was given, if any.

        Raises:
            NoteError: The file there is not a checkpoint that this log has signed.
        """
        served = self._read_witnessed()
        return None if served is None else served.note

    def keep_witnessed(self, note: bytes) -> None:
        """Keep a checkpoint that enough witnesses have cosigned, through restarts.

        Args:
            note: Of this log, signed by it and cosigned.

        Raises:
            NoteError: It is not signed by this log.
        """
        checkpoint = self.signers.open(note).checkpoint
        with self._publication.locked():
            kept = self._read_witnessed()
            if kept is None or kept.checkpoint.size <= checkpoint.size:
                self._publication.write_witnessed(note)

    def key_change(self, generation: int) -> bytes | None:
        """Return the published proof of a change of keys, if there is one."""
        return self._publication.read_key_change(generation)

    def publish_key_change(self, generation: int, proof: bytes) -> None:
        """Publish the proof of a change of keys, for those who know the old ones."""
        with self._publication.locked():
            self._publication.write_key_change(generation, proof)

    def prove(self, index: int) -> TlogProof:
        """Return the proof that an entry is under the newest checkpoint.

        Args:
            index: From `Batch.add`, of an entry that is published by now.

        Raises:
            LogError: The entry is not published yet, or never was added.
            TileError: A tile is missing in the folder; `recover` brings it back.
        """
        return _prove(self._read_served(), index)

    def prove_witnessed(self, index: int) -> TlogProof:
        """Return the proof that an entry is under what `witnessed_note` returns.

        Raises:
            LogError: The entry is not under it yet, or never was added.
            TileError: A tile is missing in the folder; `recover` brings it back.
        """
        return _prove(self._read_witnessed(), index)

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that the log of one size extends that of a smaller one.

        Args:
            old_size: At least 1, and smaller than `new_size`.
            new_size: At most the size of the newest checkpoint.

        Raises:
            TileError: A tile is missing in the folder; `recover` brings it back.
        """
        return TileTree(self.tiles, new_size).consistency_path(old_size)

    def _read_served(self) -> _Served | None:
        note = self._publication.read_checkpoint()
        self._served = served = self._opened(note, self._served)
        return served

    def _read_witnessed(self) -> _Served | None:
        note = self._publication.read_witnessed()
        self._witnessed = served = self._opened(note, self._witnessed)
        return served

    def _opened(self, note: bytes | None, served: _Served | None) -> _Served | None:
        if note is None or (served is not None and served.note == note):
            return served if note is not None else None
        checkpoint = self.signers.open(note).checkpoint
        return _Served(note, checkpoint, TileTree(self.tiles, checkpoint.size))

    def _rebuild(self, session: Session, published: Checkpoint) -> None:
        frontier = Frontier()
        for entries in read_bundles(session, 0, published.size):
            frontier.extend(map(leaf_hash, entries))
        if frontier.root() != published.root:
            raise LogError("Other entries were published than this database has.")
        self._publication.write_tiles(0, read_bundles(session, 0, published.size))

    def _has_tiles_of(self, checkpoint: Checkpoint) -> bool:
        try:
            return TileTree(self.tiles, checkpoint.size).root() == checkpoint.root
        except TileError:
            return False


def _prove(served: _Served | None, index: int) -> TlogProof:
    if served is None or not 0 <= index < served.checkpoint.size:
        raise LogError(f"Entry {index} is not published yet.")
    return TlogProof(index, served.tree.inclusion_path(index), served.note)
