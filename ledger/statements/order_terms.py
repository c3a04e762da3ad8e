"""What an order says in private: who, workload, data policy, limits, recipient.

These are the values behind the salted digests of an `order` statement. The consumer
shows them to the market, which shows a node what it needs to run the job.
"""

from typing import Literal

from pydantic import Field

from ledger.document import Base64, Digest, Document, Identifier, Microcredits, Word
from ledger.errors import StatementError
from ledger.statements.disclosure import Openings
from ledger.statements.kinds import OrderStatement
from ledger.statements.pseudonyms import Authorisation

Sensitivity = Literal["public", "internal", "confidential", "restricted"]
Protection = Literal["sandbox", "enclave", "homomorphic"]
Assurance = Literal["none", "simulated", "hardware"]
Objective = Literal["price", "time", "balanced"]

FUEL_MAX = 10**13
"""About three hours of one core; longer work is to be cut into jobs."""
MEMORY_BYTES_MAX = 2**31
TIME_MS_MAX = 3_600_000
PAYLOAD_BYTES_MAX = 64 * 2**20
"""Input or result of one job; about 900 patients' encrypted rows are 8 MB."""
ROWS_MAX = 2**20


class DataPolicy(Document):
    """How sensitive the data is and where it may be computed on. Empty means any."""

    sensitivity: Sensitivity
    categories: tuple[Word, ...] = Field(default=(), max_length=16)
    protection: Protection
    objective: Objective = "balanced"
    assurance_min: Assurance = "none"
    tiers: tuple[Word, ...] = Field(default=(), max_length=8)
    jurisdictions: tuple[Word, ...] = Field(default=(), max_length=64)
    ownership_domains: tuple[Word, ...] = Field(default=(), max_length=64)
    contracted_domains: tuple[Word, ...] = Field(default=(), max_length=64)
    """Domains that may host `internal` data in a plain sandbox."""


class WorkloadReference(Document):
    """Which code runs: a source sent along, or a published workload."""

    kind: Literal["python_source", "linear_circuit"]
    content: Digest
    """SHA-256 of the source text or of the circuit."""
    entry: str = Field(default="", max_length=128)
    """The function to call, for source."""
    workload_id: Identifier | None = None
    """The published workload whose owner is paid, if any."""


class JobLimits(Document):
    """The most that a job may use; the hold is the price of exactly this."""

    fuel: int = Field(ge=0, le=FUEL_MAX)
    memory_bytes: int = Field(ge=0, le=MEMORY_BYTES_MAX)
    time_ms: int = Field(ge=1, le=TIME_MS_MAX)
    input_bytes: int = Field(ge=0, le=PAYLOAD_BYTES_MAX)
    output_bytes: int = Field(ge=0, le=PAYLOAD_BYTES_MAX)
    rows: int = Field(default=0, ge=0, le=ROWS_MAX)
    """Rows of a homomorphic job, from which its price follows."""


class Recipient(Document):
    """To whom the enclave seals the result, and the challenge it must answer."""

    public_key: Base64 = Field(max_length=4096)
    challenge: Base64 = Field(min_length=44, max_length=44)


class OrderTerms(Document):
    """All private fields of one order."""

    account: Authorisation
    """Whose order it is, signed by that account's key."""
    workload: WorkloadReference
    data_policy: DataPolicy
    limits: JobLimits
    input: Digest | None
    """SHA-256 of the input payload; None where it is sealed only later."""
    price_max: Microcredits
    recipient: Recipient | None

    @classmethod
    def from_openings(cls, openings: Openings) -> "OrderTerms":
        """Read the terms from the opened fields of an order.

        Raises:
            StatementError: A field is missing.
            EncodingError: A field does not have its form.
        """
        names = OrderStatement.private_fields
        if set(openings) != names:
            raise StatementError("An order opens all of its private fields.")
        values = {name: openings[name].value for name in names}
        return cls.from_json(
            {
                "account": values["account"],
                "workload": values["workload"],
                "dataPolicy": values["data_policy"],
                "limits": values["limits"],
                "input": values["input"],
                "priceMax": values["price_max"],
                "recipient": values["recipient"],
            }
        )

    def private_values(self) -> dict[str, object]:
        """The values to conceal, by private field name."""
        value = self.to_json()
        return {
            "account": value["account"],
            "workload": value["workload"],
            "data_policy": value["dataPolicy"],
            "limits": value["limits"],
            "input": value["input"],
            "price_max": value["priceMax"],
            "recipient": value["recipient"],
        }
