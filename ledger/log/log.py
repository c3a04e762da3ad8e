"""The log: the only module that appends to it, signs its head and publishes it.

The database is the truth. An append is part of its caller's transaction, and the
head row is compared and swapped in it, so there is one history whoever writes.
The folder of tiles is derived from committed entries, and a checkpoint is signed
only if the tiles prove that it extends the one signed before.

Source: C2SP tlog-tiles and tlog-checkpoint.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, insert, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlmodel import col, select

from ledger.errors import LogError, ProofError, TileError
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.merkle import HASH_BYTES, Frontier, leaf_hash, verify_consistency
from ledger.log.models import LogEntry, LogHead
from ledger.log.note import Signer, sign_note
from ledger.log.proof import TlogProof
from ledger.log.publication import Publication
from ledger.log.tiles import TILE_WIDTH, FolderTiles
from ledger.log.tree import TileTree


class Batch:
    """The entries that one transaction appends. From `Log.begin`, for one thread."""

    def __init__(self, frontier: Frontier) -> None:
        self._frontier = frontier
        self._entries: list[bytes] = []

    def add(self, entry: bytes) -> int:
        """Take an entry of at most 65,535 bytes.

        Returns:
            Its index, which is final if the transaction commits and this entry is
            not rolled back before.

        Raises:
            LogError: The entry is too large for a log.
        """
        if len(entry) > STATEMENT_BYTES_MAX:
            raise LogError(f"An entry has at most {STATEMENT_BYTES_MAX} bytes.")
        self._entries.append(entry)
        return self._frontier.size + len(self._entries) - 1

    def mark(self) -> int:
        """Return where the batch stands, for `rollback_to`. Goes with a savepoint."""
        return len(self._entries)

    def rollback_to(self, mark: int) -> None:
        """Forget all entries that were added after a mark."""
        del self._entries[mark:]

    def finish(self, session: Session) -> None:
        """Write the entries and move the head; the last thing before the commit.

        Args:
            session: The one that `Log.begin` was called with.

        Raises:
            LogError: Another writer moved the head in the meantime. The
                transaction must be rolled back, and may be tried again.
        """
        if not self._entries:
            return
        start, peaks = self._frontier.size, b"".join(self._frontier.peaks)
        self._frontier.extend(map(leaf_hash, self._entries))
        connection = session.connection()
        swap = (
            update(LogHead)
            .where(col(LogHead.size) == start, col(LogHead.frontier) == peaks)
            .values(size=self._frontier.size, frontier=b"".join(self._frontier.peaks))
        )
        try:
            swapped = connection.execute(swap).rowcount
        except OperationalError as error:
            # SQLite's way to say that another transaction has written since ours read.
            raise LogError("Another writer holds the log.") from error
        if swapped != 1:
            raise LogError("Another writer moved the head of the log.")
        connection.execute(
            insert(LogEntry),
            [
                {"index": index, "data": entry}
                for index, entry in enumerate(self._entries, start=start)
            ],
        )
        self._entries = []


class _Served(NamedTuple):
    """A checkpoint of the folder, as it lies there and as it was opened."""

    note: bytes
    checkpoint: Checkpoint
    tree: TileTree


class Log:
    """One log, in one database and one folder, signed with one key.

    All methods may be called from several threads at once, each with its own session.
    The database must keep every commit that it has confirmed, also when the power
    fails (SQLite: `synchronous = FULL`), because a checkpoint may have told of it.
    """

    def __init__(self, folder: Path, signer: Signer) -> None:
        """Name the log. Nothing is read or written yet; `recover` comes first.

        Args:
            folder: Where tiles and checkpoint are published, to be served as it is.
            signer: The log's key. Its name is the origin of the log.
        """
        self.tiles = FolderTiles(folder)
        self._signer = signer
        self._publication = Publication(folder)
        self._served: _Served | None = None

    @property
    def origin(self) -> str:
        """The name of the log, first line of its checkpoints."""
        return self._signer.verifier.name

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
        size = _read_frontier(session, lock=True).size
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
        return Batch(_read_frontier(session, lock=True))

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
            LogError: What would be signed does not extend what was signed before.
            TileError: A tile is missing in the folder; `recover` brings it back.
        """
        with self._publication.locked():
            published = self.published()
            frontier = _read_frontier(session)
            current = Checkpoint(self.origin, frontier.size, frontier.root())
            if published == current:
                return current
            old_size = 0 if published is None else published.size
            # The last tile is written anew from its first entry.
            first = old_size - old_size % TILE_WIDTH
            bundles = _bundles(session, first, current.size)
            self._publication.write_tiles(first, bundles)
            self._check_growth(published, current)
            note = sign_note(current.text, [self._signer])
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

    def prove(self, index: int) -> TlogProof:
        """Return the proof that an entry is under the newest checkpoint.

        Args:
            index: From `Batch.add`, of an entry that is published by now.

        Raises:
            LogError: The entry is not published yet, or never was added.
            TileError: A tile is missing in the folder; `recover` brings it back.
        """
        served = self._read_served()
        if served is None or not 0 <= index < served.checkpoint.size:
            raise LogError(f"Entry {index} is not published yet.")
        return TlogProof(index, served.tree.inclusion_path(index), served.note)

    def _read_served(self) -> _Served | None:
        note = self._publication.read_checkpoint()
        if note is None:
            return None
        served = self._served
        if served is None or served.note != note:
            checkpoint = open_checkpoint(note, self._signer.verifier)
            served = _Served(note, checkpoint, TileTree(self.tiles, checkpoint.size))
            self._served = served
        return served

    def _rebuild(self, session: Session, published: Checkpoint) -> None:
        frontier = Frontier()
        for entries in _bundles(session, 0, published.size):
            frontier.extend(map(leaf_hash, entries))
        if frontier.root() != published.root:
            raise LogError("Other entries were published than this database has.")
        self._publication.write_tiles(0, _bundles(session, 0, published.size))

    def _has_tiles_of(self, checkpoint: Checkpoint) -> bool:
        try:
            return TileTree(self.tiles, checkpoint.size).root() == checkpoint.root
        except TileError:
            return False

    def _check_growth(self, old: Checkpoint | None, new: Checkpoint) -> None:
        """Read back what was written, as any auditor will, before it is signed."""
        tree = TileTree(self.tiles, new.size)
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


def _read_frontier(session: Session, *, lock: bool = False) -> Frontier:
    query = select(LogHead.size, LogHead.frontier)
    if lock:
        query = query.with_for_update()
    head = session.connection().execute(query).first()
    if head is None:
        raise LogError("The log has no head; it was never recovered.")
    size, peaks = head
    try:
        return Frontier(
            size,
            [peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES)],
        )
    except ProofError as error:
        raise LogError("The head of the log contradicts itself.") from error


def _bundles(session: Session, start: int, end: int) -> Iterator[Sequence[bytes]]:
    """Read committed entries, as many at a time as a bundle holds."""
    index = col(LogEntry.index)
    for first in range(start, end, TILE_WIDTH):
        last = min(first + TILE_WIDTH, end) - 1
        query = select(LogEntry.data).where(index.between(first, last)).order_by(index)
        entries = session.connection().execute(query).scalars().all()
        if len(entries) != last - first + 1:
            raise LogError(f"Entries from {first} to {last} are not all there.")
        yield entries
