"""The bytes that travel with a job, small ones in its rows, large ones as blobs."""

from sqlmodel import Session

from ledger.encoding import Json, decode_base64, encode_base64, sha256_text
from market.blob_store import (
    INLINE_BYTES_MAX,
    BlobStore,
)
from market.blobs.uploads import use_upload
from market.errors import InvalidError
from market.jobs.models import JobPayload
from market.jobs.schemas import Payload
from market.transaction import Transaction

ANSWER_BYTES_MAX = 4 * 2**20
"""Of a list of leases or outcomes: half of what a client takes, and many small ones."""


def keep_payload(
    transaction: Transaction,
    *,
    job_id: str,
    attempt: int,
    name: str,
    payload: Payload,
    sender: str,
) -> JobPayload:
    """Attach bytes to a job; a later attempt replaces an earlier one's.

    Raises:
        InvalidError: Inline bytes that are not base64 or too many.
        NotFoundError: A blob that the sender did not upload.
    """
    row = transaction.find(JobPayload, job_id, name)
    if row is None:
        row = JobPayload(
            job_id=job_id, name=name, attempt=attempt, digest="", size_bytes=0
        )
        transaction.add(row)
    row.attempt = attempt
    if payload.inline is not None:
        data = decode_base64(payload.inline)
        if len(data) > INLINE_BYTES_MAX:
            raise InvalidError("Upload payloads over 64 KiB as blobs.")
        row.data, row.size_bytes, row.digest = data, len(data), sha256_text(data)
    else:
        assert payload.blob is not None
        blob = use_upload(transaction.session, payload.blob, party=sender)
        row.data, row.size_bytes, row.digest = None, blob.size_bytes, blob.digest
    return row


def find_payload(session: Session, job_id: str, name: str) -> JobPayload | None:
    """A payload of a job by name."""
    return session.get(JobPayload, (job_id, name))


def payload_json(row: JobPayload | None) -> Json:
    """How an answer shows a payload: the bytes if few, else where to get them."""
    if row is None:
        return None
    described: dict[str, Json] = {"digest": row.digest, "sizeBytes": row.size_bytes}
    if row.data is not None:
        described["inline"] = encode_base64(row.data)
    return described


def payload_bytes(row: JobPayload, blobs: BlobStore) -> bytes:
    """All bytes of a payload."""
    return row.data if row.data is not None else blobs.get(row.digest)
