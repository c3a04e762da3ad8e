"""A leased job as the market hands it to a node."""

from pydantic import ConfigDict, Field

from ledger.charging.tariff import RatingGroup
from ledger.document import (
    Base64,
    Digest,
    Document,
    Identifier,
    PseudonymId,
    RecordKeyText,
)
from ledger.encoding import Json
from ledger.errors import EncodingError
from ledger.statements.order_terms import (
    JobLimits,
    Protection,
    Recipient,
    WorkloadReference,
)
from sdk.errors import MarketAnswerError, SdkError

LeaseKey = tuple[str, int]
"""Job and attempt: what tells a lease from all others."""


class LeaseGoneError(SdkError):
    """The lease was lost, or the job cannot be run here; the market places it again."""

    code = "PROVIDER.LEASE_GONE"


class Lease(Document):
    """One job for this node, with all that is needed to run it."""

    model_config = ConfigDict(extra="ignore")

    job_id: Identifier
    attempt: int = Field(ge=1, le=1000)
    consumer: PseudonymId
    record_key: RecordKeyText
    """Blinds the quantities of the slice."""
    rating_groups: tuple[RatingGroup, ...] = Field(max_length=len(RatingGroup))
    """What the agreed tariff charges, and so what the slice commits to."""
    agreement: Digest
    protection: Protection
    workload: WorkloadReference
    limits: JobLimits
    recipient: Recipient | None
    source: str | None
    circuit: Base64 | None
    input: dict[str, Json] | None

    @property
    def key(self) -> LeaseKey:
        """What tells it from all other leases."""
        return self.job_id, self.attempt

    def reference(self) -> dict[str, Json]:
        """How requests and events name it."""
        return {"jobId": self.job_id, "attempt": self.attempt}


def parse_leases(answer: Json) -> list[Lease]:
    """Read the leases of an answer.

    Raises:
        MarketAnswerError: They are not in form.
    """
    leases = answer.get("leases") if isinstance(answer, dict) else None
    if not isinstance(leases, list):
        raise MarketAnswerError("An answer with leases lists them.")
    try:
        return [Lease.from_json(item) for item in leases]
    except EncodingError as error:
        raise MarketAnswerError(f"A lease is not in form: {error}") from error
