"""The leases that a node holds, kept alive by heartbeats until they are reported."""

from collections.abc import Iterable
from threading import Condition
from threading import Event as Flag

from ledger.encoding import Json
from ledger.identifiers import new_identifier
from sdk.errors import MarketAnswerError, SdkError
from sdk.provider.courier import Courier
from sdk.provider.events import Event, Tell
from sdk.provider.lease import Lease, LeaseGoneError, LeaseKey

BEATS_PER_LEASE = 3
"""Two heartbeats may be lost before a lease is."""

BEAT_LONGEST_S = 2.0
"""A node that is silent for ten seconds is not given jobs, however long leases are."""


class HeldLeases:
    """Which leases are ours, from taken to reported; for all threads of an agent."""

    def __init__(self) -> None:
        self._leases: dict[LeaseKey, Lease] = {}
        self._reporting: set[LeaseKey] = set()
        self._changed = Condition()

    def add(self, leases: Iterable[Lease]) -> None:
        """Leases were taken."""
        with self._changed:
            self._leases.update((lease.key, lease) for lease in leases)

    def drop(self, lease: Lease) -> None:
        """A lease was reported or given up."""
        with self._changed:
            self._forget(lease.key)

    def lose(self, key: LeaseKey) -> bool:
        """The market says that a lease is lost; returns whether that is news.

        The market also says so of a job that was reported a moment ago, and then the
        answer to the report is the better news.
        """
        with self._changed:
            if key not in self._leases or key in self._reporting:
                return False
            self._forget(key)
            return True

    def begin_report(self, leases: Iterable[Lease]) -> set[LeaseKey]:
        """Results are about to be reported; returns which leases are still ours.

        What becomes of these, the answer to the report tells.
        """
        with self._changed:
            held = {lease.key for lease in leases if lease.key in self._leases}
            self._reporting |= held
            return held

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is still ours, as far as we know."""
        with self._changed:
            return lease.key in self._leases

    def count(self) -> int:
        """How many are held."""
        with self._changed:
            return len(self._leases)

    def references(self) -> list[Json]:
        """All of them, as a heartbeat names them."""
        with self._changed:
            return [lease.reference() for lease in self._leases.values()]

    def wait_for_room(self, count_max: int, *, timeout_s: float) -> bool:
        """Wait until no more than so many are held; False if that took too long."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._leases) <= count_max, timeout_s
            )

    def _forget(self, key: LeaseKey) -> None:
        self._leases.pop(key, None)
        self._reporting.discard(key)
        self._changed.notify_all()


class Heartbeat:
    """Says to the market, at intervals, that the node lives and what it works on."""

    def __init__(
        self,
        courier: Courier,
        held: HeldLeases,
        stopping: Flag,
        tell: Tell,
        *,
        lease_ms: int,
    ) -> None:
        """Prepare.

        Args:
            courier: To the market.
            held: Named in each beat; what is lost is dropped from it.
            stopping: Ends `run` when set.
            tell: Told of lost leases.
            lease_ms: After so much silence leases are lost.
        """
        self._courier = courier
        self._held = held
        self._stopping = stopping
        self._tell = tell
        self.interval_s = min(lease_ms / 1000 / BEATS_PER_LEASE, BEAT_LONGEST_S)

    def run(self) -> None:
        """Beat until stopped; for a thread of its own."""
        while not self._stopping.wait(self.interval_s):
            try:
                self.beat()
            except LeaseGoneError:
                return
            except SdkError as error:
                self._tell(Event("refused", {"code": error.code}))

    def beat(self) -> None:
        """Name all leases that are held, and drop those that are lost.

        Raises:
            LeaseGoneError: The node stops.
            SdkError: The market refuses, or its answer is not in form.
        """
        beat: dict[str, Json] = {
            "commandId": new_identifier("beat"),
            "leases": self._held.references(),
        }
        answer = self._courier.persist(
            lambda: self._courier.transport.post_json(
                "/node-agent/v0.1/heartbeats", beat
            )
        )
        lost = answer.get("lost") if isinstance(answer, dict) else None
        if not isinstance(lost, list):
            message = "The market's answer to a heartbeat is not in form."
            raise MarketAnswerError(message)
        for item in lost:
            match item:
                case {"jobId": str(job_id), "attempt": int(attempt)}:
                    if self._held.lose((job_id, attempt)):
                        fields: dict[str, Json] = {"jobId": job_id, "attempt": attempt}
                        self._tell(Event("lost", fields))
