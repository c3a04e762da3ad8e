"""The leases that a node holds, kept alive by heartbeats until they are reported."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ledger.identifiers import new_identifier
from sdk.errors import SdkError
from sdk.provider.join import JoinedNode
from sdk.provider.lease import Lease

if TYPE_CHECKING:
    from ledger.encoding import Json

BEATS_PER_LEASE = 3
"""Two heartbeats may be lost before a lease is."""


class HeldLeases:
    """Knows which leases are ours, and says so to the market at intervals."""

    def __init__(self, joined: JoinedNode, told: Callable[[str], None]) -> None:
        self._joined = joined
        self._told = told
        self._leases: dict[tuple[str, int], Lease] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to send heartbeats."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what is still held will be placed again."""
        self._stopping.set()

    def add(self, lease: Lease) -> None:
        """A lease was taken."""
        with self._lock:
            self._leases[lease.key] = lease

    def drop(self, lease: Lease) -> None:
        """A lease was reported, lost or given up."""
        with self._lock:
            self._leases.pop(lease.key, None)

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is still ours, as far as we know."""
        with self._lock:
            return lease.key in self._leases

    def _run(self) -> None:
        interval_s = self._joined.lease_ms / 1000 / BEATS_PER_LEASE
        while not self._stopping.wait(interval_s):
            try:
                self._beat()
            except SdkError as error:
                self._told(f"A heartbeat failed: {error}")

    def _beat(self) -> None:
        with self._lock:
            held = list(self._leases)
        leases: list[Json] = [{"jobId": job_id, "attempt": n} for job_id, n in held]
        beat: Json = {"commandId": new_identifier("beat"), "leases": leases}
        answer = self._joined.node.post_json("/node-agent/v0.1/heartbeats", beat)
        lost = answer.get("lost") if isinstance(answer, dict) else None
        if not isinstance(lost, list):
            raise SdkError("The market's answer to a heartbeat is not in form.")
        with self._lock:
            for item in lost:
                if isinstance(item, dict):
                    key = (str(item.get("jobId")), int(str(item.get("attempt"))))
                    self._leases.pop(key, None)
