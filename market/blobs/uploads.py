"""Who has uploaded what, and how much a party may upload before it is used."""

from sqlalchemy import insert
from sqlmodel import Session, col, func, or_, select

from ledger.signing import PublicKey
from market.blobs.models import Blob
from market.broker import Broker
from market.errors import LimitError, NotFoundError
from market.identity.service import require_account
from market.transaction import Transaction

UNUSED_BYTES_MAX = 2**30
"""Uploads of one key that no job refers to yet: sixteen of the largest."""


def require_room(
    session: Session, broker: Broker, key: PublicKey, *, digest: str, size_bytes: int
) -> None:
    """Refuse an upload of a stranger, or of a key that has too many unused ones.

    Raises:
        ForbiddenError: The key is neither an account nor a node.
        LimitError: Uploads wait to be used; nothing was stored.
    """
    if not broker.fleet.knows(key.node_id):
        require_account(session, key.account_id)
    if session.get(Blob, (digest, key.account_id)) is not None:
        return
    unused = session.exec(
        select(func.coalesce(func.sum(col(Blob.size_bytes)), 0)).where(
            Blob.account == key.account_id, col(Blob.is_used).is_(False)
        )
    ).one()
    if unused + size_bytes > UNUSED_BYTES_MAX:
        raise LimitError(f"Over {UNUSED_BYTES_MAX} bytes of uploads wait to be used.")


def record_upload(
    transaction: Transaction, key: PublicKey, *, digest: str, size_bytes: int
) -> None:
    """Note who has uploaded a blob."""
    row = {
        "digest": digest,
        "account": key.account_id,
        "node": key.node_id,
        "size_bytes": size_bytes,
        "is_used": False,
        "created_at_ms": transaction.now_ms,
    }
    transaction.session.execute(insert(Blob), row)


def use_upload(session: Session, digest: str, *, party: str) -> Blob:
    """A blob that an account or a node has uploaded itself, now used by a job.

    Raises:
        NotFoundError: It has not; a blob of somebody else looks the same.
    """
    blob = session.exec(
        select(Blob).where(
            Blob.digest == digest, or_(Blob.account == party, Blob.node == party)
        )
    ).first()
    if blob is None:
        raise NotFoundError("There is no such blob.")
    blob.is_used = True
    return blob
