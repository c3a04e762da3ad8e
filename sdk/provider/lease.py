"""A leased job as the market hands it to a node."""

from typing import Literal

from pydantic import ConfigDict, Field

from ledger.document import AccountId, Base64, Digest, Document, Identifier
from ledger.encoding import Json
from ledger.statements.order_terms import (
    JobLimits,
    Protection,
    Recipient,
    WorkloadReference,
)


class Lease(Document):
    """One job for this node, with all that is needed to run it."""

    model_config = ConfigDict(extra="ignore")

    job_id: Identifier
    attempt: int = Field(ge=1)
    consumer: AccountId
    agreement: Digest
    protection: Protection
    workload: WorkloadReference
    limits: JobLimits
    recipient: Recipient | None
    source: str | None
    circuit: Base64 | None
    input: Json

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all other leases."""
        return self.job_id, self.attempt


Outcome = Literal["succeeded", "failed"]
