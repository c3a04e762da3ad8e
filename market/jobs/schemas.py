"""What consumers and nodes send about jobs."""

from typing import Literal

from pydantic import Field, model_validator

from ledger.document import Base64, Digest, Document, Identifier, RecordKeyText
from ledger.encoding import Json
from ledger.statements.statement import StatementSignature

ITEMS_MAX = 256
"""Items in one batch: enough to share a commit, few enough to answer soon."""
WAIT_MS_MAX = 20_000
"""A long poll ends before common proxies and clients give up."""
SOURCE_CHARACTERS_MAX = 256 * 2**10
INLINE_BASE64_MAX = 88_000
"""64 KiB in base64."""


class Payload(Document):
    """Bytes by value if they are few, else by the digest of an uploaded blob."""

    inline: Base64 | None = Field(default=None, max_length=INLINE_BASE64_MAX)
    blob: Digest | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Payload":
        if (self.inline is None) == (self.blob is None):
            raise ValueError("either inline or blob")
        return self


class OrderItem(Document):
    """One order: the signed statement, its openings, and what runs on what."""

    order: dict[str, Json]
    openings: dict[str, Json]
    record_key: RecordKeyText
    """Blinds the numbers of this job's records; the node gets it too."""
    source: str | None = Field(default=None, max_length=SOURCE_CHARACTERS_MAX)
    input: Payload | None = None


class OrderBatch(Document):
    """Orders placed together; each succeeds or is refused alone."""

    orders: tuple[OrderItem, ...] = Field(min_length=1, max_length=ITEMS_MAX)


class OutcomesQuery(Document):
    """Which jobs to wait for: the answer holds those that need the caller."""

    job_ids: tuple[Identifier, ...] = Field(min_length=1, max_length=ITEMS_MAX)
    wait_ms: int = Field(ge=0, le=WAIT_MS_MAX)
    limit: int = Field(default=64, ge=1, le=ITEMS_MAX)


class SealedInput(Document):
    """The input, sealed to the enclave that attested itself for this attempt."""

    attempt: int = Field(ge=1)
    input: Payload


class Acceptance(Document):
    """The consumer's word on a slice: its signature, or why it disputes."""

    job_id: Identifier
    attempt: int = Field(ge=1)
    signature: StatementSignature | None = None
    dispute: Literal["result_invalid", "usage_wrong", "evidence_invalid"] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Acceptance":
        if (self.signature is None) == (self.dispute is None):
            raise ValueError("either signature or dispute")
        return self


class AcceptanceBatch(Document):
    """Several slices countersigned or disputed together."""

    acceptances: tuple[Acceptance, ...] = Field(min_length=1, max_length=ITEMS_MAX)


class LeaseQuery(Document):
    """A node asks for work."""

    command_id: Identifier
    limit: int = Field(ge=1, le=ITEMS_MAX)
    wait_ms: int = Field(ge=0, le=WAIT_MS_MAX)


class LeaseReference(Document):
    """A lease by job and attempt; the attempt fences off all others."""

    job_id: Identifier
    attempt: int = Field(ge=1)


class Heartbeat(Document):
    """A node is alive and still works on these."""

    command_id: Identifier
    leases: tuple[LeaseReference, ...] = Field(max_length=4096)


class EvidenceReport(Document):
    """An enclave's evidence for one attempt, as the consumer shall appraise it."""

    attempt: int = Field(ge=1)
    evidence: Payload


class SliceReport(Document):
    """The result of a run with the slice that the node signed."""

    job_id: Identifier
    attempt: int = Field(ge=1)
    slice: dict[str, Json]
    openings: dict[str, Json]
    result: Payload


class SliceBatch(Document):
    """Slices reported together."""

    slices: tuple[SliceReport, ...] = Field(min_length=1, max_length=ITEMS_MAX)
