"""Tables of jobs."""

from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Enum, ForeignKey, Index, LargeBinary, String
from sqlmodel import Field, SQLModel


class JobState(StrEnum):
    """Where a job stands. The numbers are the steps of the life of a job."""

    REFUSED = "refused"
    """4: no offer may take it; nothing was held."""
    PLACED = "placed"
    """5: agreed and paid for; its node has not taken the lease yet."""
    LEASED = "leased"
    """6: the node has it."""
    ATTESTED = "attested"
    """7: the node's evidence waits for the consumer."""
    SEALED = "sealed"
    """7: the consumer has sealed the input to the enclave."""
    REPORTED = "reported"
    """9: result and slice wait for the consumer."""
    CHARGED = "charged"
    """11: paid. Final."""
    RELEASED = "released"
    """Could not be finished; the money went back. Final."""


ACTIVE_STATES = (
    JobState.PLACED,
    JobState.LEASED,
    JobState.ATTESTED,
    JobState.SEALED,
)
"""A node holds the job, and losing the node means placing it again."""
FINAL_STATES = (JobState.REFUSED, JobState.CHARGED, JobState.RELEASED)


_STATE: Any = Enum(JobState, native_enum=False, length=32)
"""As text: a type of the database's own could not be given another state."""


def _job_key() -> Any:  # noqa: ANN401 - as Field itself
    # Checked at the commit, so that rows may be inserted in any order.
    reference = ForeignKey("job.job_id", deferrable=True, initially="DEFERRED")
    return Field(sa_column=Column(String, reference, primary_key=True))


class Job(SQLModel, table=True):
    """One run of a workload, ordered by a consumer."""

    __tablename__: ClassVar[str] = "job"
    # A node asks for its jobs that wait: few, of all that it ever had.
    __table_args__ = (Index("ix_job_node_state", "node", "state"),)

    job_id: str = Field(primary_key=True)
    consumer: str = Field(foreign_key="account.account_id", index=True)
    pseudonym: str
    """Under which the consumer appears to everybody but the market."""
    record_key: bytes = Field(sa_type=LargeBinary)
    """Blinds the numbers of the job's records; consumer, market and node have it."""
    state: JobState = Field(sa_type=_STATE, index=True)
    order_entry: bytes = Field(sa_type=LargeBinary)
    order_openings: str
    source: str | None = None
    """The text of a source workload; a published workload is looked up."""
    decision: str
    """Record of the last decision, as JSON."""
    attempt: int = 0
    """Counts agreements; the fencing token of the lease."""
    node: str | None = None
    excluded_nodes: str = "[]"
    agreement_entry: bytes | None = Field(default=None, sa_type=LargeBinary)
    agreement_openings: str = "{}"
    lease_expires_ms: int = Field(default=0, sa_type=BigInteger)
    slice_entry: bytes | None = Field(default=None, sa_type=LargeBinary)
    slice_openings: str = "{}"
    charge_index: int | None = Field(default=None, sa_type=BigInteger)
    reason: str | None = None
    """Why the job was refused or released, as a stable word."""
    created_at_ms: int = Field(sa_type=BigInteger)
    updated_at_ms: int = Field(sa_type=BigInteger)


class JobPayload(SQLModel, table=True):
    """Bytes that travel with a job: input, evidence, sealed input, result."""

    __tablename__: ClassVar[str] = "job_payload"

    job_id: str = _job_key()
    name: str = Field(primary_key=True)
    attempt: int
    digest: str
    size_bytes: int
    data: bytes | None = Field(default=None, sa_type=LargeBinary)
    """The bytes themselves if they are few; else the blob store has them."""


class JobCharge(SQLModel, table=True):
    """What one job cost: a projection of its charge statement."""

    __tablename__: ClassVar[str] = "job_charge"

    job_id: str = _job_key()
    consumer: str = Field(index=True)
    provider: str = Field(index=True)
    node: str
    total_microcredits: int = Field(sa_type=BigInteger)
    by_payee: str
    """Micro-credits by account, as JSON; for the consumer's invoice."""
    by_group: str
    """Micro-credits by rating group, as JSON."""
    outcome: str
    charged_at_ms: int = Field(sa_type=BigInteger, index=True)


class JobEarning(SQLModel, table=True):
    """What one payee got for one job: the same projection, for the payee."""

    __tablename__: ClassVar[str] = "job_earning"

    payee: str = Field(primary_key=True)
    job_id: str = _job_key()
    node: str | None
    """The node that earned it; None if it is a royalty, or the market's share."""
    amount_microcredits: int = Field(sa_type=BigInteger)
