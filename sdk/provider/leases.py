"""Leases: the jobs that this node may run now, and until when it is believed to.

A lease is a job and an attempt. Once the market has placed the job again, this
attempt is lost: nothing that is computed for it is reported, for it would be refused.
"""

from collections.abc import Iterable
from threading import Condition

from pydantic import ConfigDict, Field

from ledger.document import AccountId, Base64, Digest, Document, Identifier, TimeMs
from ledger.encoding import Json
from ledger.errors import EncodingError
from ledger.statements.order_terms import (
    JobLimits,
    Protection,
    Recipient,
    WorkloadReference,
)
from sdk.errors import MarketAnswerError

LeaseKey = tuple[str, int]
"""Job and attempt."""


class AbandonedError(Exception):
    """This node gives a lease up; the market will place the job again.

    Never leaves this package. The message holds no data of the job.
    """


class Lease(Document):
    """One attempt at one job, with all that is needed to run it."""

    model_config = ConfigDict(extra="ignore")

    job_id: Identifier
    attempt: int = Field(ge=1, le=1000)
    consumer: AccountId
    agreement: Digest
    lease_expires_at_ms: TimeMs
    protection: Protection
    workload: WorkloadReference
    limits: JobLimits
    recipient: Recipient | None = None
    source: str | None = None
    circuit: Base64 | None = None
    input: dict[str, Json] | None = None

    @property
    def key(self) -> LeaseKey:
        """What tells this lease from all others."""
        return self.job_id, self.attempt

    def reference(self) -> dict[str, Json]:
        """How requests name it."""
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


class Holdings:
    """The leases that this node holds, from taken to reported; for all its threads."""

    def __init__(self) -> None:
        self._leases: dict[LeaseKey, Lease] = {}
        self._changed = Condition()

    def add(self, leases: Iterable[Lease]) -> None:
        """Hold more leases."""
        with self._changed:
            self._leases.update((lease.key, lease) for lease in leases)

    def drop(self, key: LeaseKey) -> bool:
        """Hold a lease no longer; returns whether it was held until now."""
        with self._changed:
            was_held = self._leases.pop(key, None) is not None
            self._changed.notify_all()
            return was_held

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is still held: if not, nothing is reported for it."""
        with self._changed:
            return lease.key in self._leases

    def references(self) -> list[Json]:
        """All leases as a heartbeat names them."""
        with self._changed:
            return [lease.reference() for lease in self._leases.values()]

    def count(self) -> int:
        """How many are held."""
        with self._changed:
            return len(self._leases)

    def wait_for_room(self, count_max: int, *, timeout_s: float) -> bool:
        """Wait until no more than so many are held; False if that took too long."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._leases) <= count_max, timeout_s
            )
