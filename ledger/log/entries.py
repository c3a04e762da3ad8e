"""What the database has of the log: committed entries, and the head over them."""

from collections.abc import Iterator, Sequence
from functools import cache

from sqlalchemy.orm import Session
from sqlmodel import col, select
from sqlmodel.sql.expression import Select

from ledger.errors import LogError, ProofError
from ledger.log.merkle import HASH_BYTES, Frontier
from ledger.log.models import LogEntry, LogHead
from ledger.log.tiles import TILE_WIDTH


def read_frontier(session: Session, *, lock: bool = False) -> Frontier:
    """Read where the log ends.

    Args:
        session: What this transaction sees.
        lock: Keep other writers from moving the head until this transaction ends,
            where the database can.

    Raises:
        LogError: There is no head, or it contradicts itself.
    """
    head = session.connection().execute(_head_query(lock=lock)).first()
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


@cache
def _head_query(*, lock: bool) -> Select[int, bytes]:
    """Made once: each transaction that writes begins with it."""
    query = select(LogHead.size, LogHead.frontier)
    return query.with_for_update() if lock else query


def read_bundles(session: Session, start: int, end: int) -> Iterator[Sequence[bytes]]:
    """Yield entries, as many at a time as a bundle holds.

    Args:
        session: What this transaction sees.
        start: The first index, a multiple of 256.
        end: After the last index.

    Raises:
        LogError: Not all of them are there.
    """
    index = col(LogEntry.index)
    for first in range(start, end, TILE_WIDTH):
        last = min(first + TILE_WIDTH, end) - 1
        query = select(LogEntry.data).where(index.between(first, last)).order_by(index)
        entries = session.connection().execute(query).scalars().all()
        if len(entries) != last - first + 1:
            raise LogError(f"Entries from {first} to {last} are not all there.")
        yield entries
