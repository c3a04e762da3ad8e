"""A job in the making, whatever protects it.

`Work` is the part of the life of a job that depends on the protection: what is
sealed for evidence (7) and how a result is opened (10). All else is the same for all
and lives in `sdk.fulfilment`.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from ledger.metering.usage import Usage
from ledger.statements.order_terms import Assurance
from sdk.errors import JobFailedError
from sdk.order import Order


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A result that holds as far as its own protection can tell."""

    status: Literal["succeeded", "failed"]
    value: object
    """What the caller gets; None after a failure."""
    result_bytes: bytes
    """The result as it was computed: JSON of a function, a message of scores."""
    log: bytes
    fuel: int
    usage: Usage
    """What the run must have been metered as."""
    input_digest: str
    """Of the input payload as it was sent."""
    assurance: Assurance
    """What the evidence was worth; `none` where there was none."""
    failure: JobFailedError | None


class Work(Protocol):
    """One job with what its consumer knows and nobody else does."""

    @property
    def order(self) -> Order:
        """What was ordered."""

    def seal(self, evidence: bytes, *, attempt: int, now_ms: int) -> bytes:
        """Appraise an enclave's evidence and, if it is good, seal the input to it.

        The same attempt gets the same bytes again, whatever evidence comes with it.

        Raises:
            UntrustedEvidenceError: The evidence is not good, or none was due.
        """

    def open(self, result: bytes, *, attempt: int) -> Opened:
        """Check and open a result payload.

        Raises:
            JobDisputedError: It is not a result of this work.
        """
