"""What came of a job, as its consumer keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ledger.charging.tariff import RatingGroup
from ledger.statements.order_terms import Assurance
from sdk.errors import JobFailedError
from sdk.receipts import Receipt, fetch_receipt
from sdk.session import Session


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """A job whose result was checked and whose usage was countersigned."""

    job_id: str
    attempt: int
    """1, or more if nodes were lost on the way."""
    protection: str
    assurance: Assurance
    """What the enclave's evidence was worth; `none` where there was none."""
    provider: str
    node: str
    status: Literal["succeeded", "failed"]
    value: object
    result_bytes: bytes
    """The result as it was computed: JSON of a function, a message of scores."""
    log: bytes
    """What a function printed."""
    fuel: int
    quantities: Mapping[RatingGroup, int]
    """What is charged, in units of each rating group."""
    total_microcredits: int
    failure: JobFailedError | None
    session: Session = field(repr=False, compare=False)

    @cached_property
    def receipt(self) -> Receipt:
        """The receipt; fetched once, as soon as the log has published the charge.

        Raises:
            SdkError: The market cannot be reached.
        """
        return fetch_receipt(self.session, self.job_id)


@dataclass(frozen=True, kw_only=True)
class LocalResult:
    """A run on this machine, in the same sandbox as anywhere else."""

    value: object
    result_bytes: bytes
    log: bytes
    fuel: int
