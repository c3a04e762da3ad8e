"""Carries bytes between node and market, and outlasts the market's absence.

A request is tried for as long as it is of use: until the market answers, the lease
that it is for is lost, or the node stops.
"""

from collections.abc import Callable
from threading import Event as Flag
from threading import Lock
from typing import TypeVar

from ledger.encoding import Json
from ledger.errors import EncodingError
from sdk.errors import (
    InputError,
    MarketAnswerError,
    MarketRefusedError,
    MarketUnavailableError,
)
from sdk.payloads import ReceivedPayload, receive_payload, send_payload
from sdk.provider.events import Event, Tell
from sdk.provider.lease import Lease, LeaseGoneError
from sdk.transport import Transport

WAIT_FIRST_S = 0.5
"""Before the first repetition; it doubles from one to the next."""

WAIT_LONGEST_S = 8.0
"""A market that is back is noticed after this, well before most leases run out."""

EVIDENCE_WAIT_MS = 5_000
"""A question for the sealed input is asked again after this long."""

EVIDENCE_WAITS = 6
"""Half a minute: a consumer that is there seals within milliseconds of the evidence,
and an enclave that waits serves nobody else."""

Answer = TypeVar("Answer")


class Courier:
    """The node's line to the market; safe for all its threads at once."""

    def __init__(
        self,
        transport: Transport,
        *,
        holds: Callable[[Lease], bool],
        stopping: Flag,
        tell: Tell,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            transport: Signs as the node. It should not pause once `stopping` is set.
            holds: Whether a lease, for which a request is made, is still ours.
            stopping: Set when the node stops; then nothing is repeated.
            tell: Told when the market goes away and comes back.
        """
        self.transport = transport
        self._holds = holds
        self._stopping = stopping
        self._tell = tell
        self._is_away = False
        self._lock = Lock()

    def persist(
        self, call: Callable[[], Answer], *, lease: Lease | None = None
    ) -> Answer:
        """Make a request until the market answers it.

        Args:
            call: Makes the request; it may reach the market more than once.
            lease: The request is of use only as long as this is held.

        Raises:
            LeaseGoneError: The lease is lost, or the node stops.
            MarketRefusedError: The market said no, and would say it again.
            MarketAnswerError: Its answer is not in form.
        """
        wait_s = WAIT_FIRST_S
        while lease is None or self._holds(lease):
            try:
                answer = call()
            except (MarketUnavailableError, MarketRefusedError) as error:
                if not _is_passing(error):
                    raise
                self._notice(is_away=True)
            else:
                self._notice(is_away=False)
                return answer
            if self._stopping.wait(wait_s):
                break
            wait_s = min(2 * wait_s, WAIT_LONGEST_S)
        raise LeaseGoneError("The lease was lost, or the node stops.")

    def fetch(self, lease: Lease, described: Json, name: str) -> bytes:
        """Get the bytes of a payload of a held job.

        Raises:
            LeaseGoneError: They cannot be had.
            MarketAnswerError: They are not what was announced.
        """
        return self._of_use(
            lease,
            lambda: receive_payload(
                self.transport,
                described,
                job_id=lease.job_id,
                name=name,
                size_max=lease.limits.input_bytes,
            ),
        )

    def upload(self, lease: Lease, data: bytes) -> dict[str, Json]:
        """Give a payload the form in which a request carries it; large ones go ahead.

        Raises:
            LeaseGoneError: It cannot be sent.
        """
        try:
            return self._of_use(lease, lambda: send_payload(self.transport, data))
        except InputError as error:
            raise LeaseGoneError(
                "The result is larger than payloads may be."
            ) from error

    def show_evidence(self, lease: Lease, evidence: bytes) -> None:
        """Have the consumer see an enclave's evidence.

        Raises:
            LeaseGoneError: The market does not take it.
        """
        report: dict[str, Json] = {
            "attempt": lease.attempt,
            "evidence": self.upload(lease, evidence),
        }
        path = f"/node-agent/v0.1/leases/{lease.job_id}/evidence"
        self._of_use(lease, lambda: self.transport.post_json(path, report))

    def await_sealed_input(self, lease: Lease) -> Json:
        """Wait until the consumer has sealed its input; describes the payload.

        Raises:
            LeaseGoneError: It did not come in time, or the lease was lost.
        """
        path = f"/node-agent/v0.1/leases/{lease.job_id}/sealed-input"
        query = {"attempt": lease.attempt, "waitMs": EVIDENCE_WAIT_MS}
        for _ in range(EVIDENCE_WAITS):
            answer = self._of_use(
                lease, lambda: self.transport.get_json(path, query=query)
            )
            found = answer.get("input") if isinstance(answer, dict) else None
            if found is not None:
                return found
            if self._stopping.is_set():
                break
        raise LeaseGoneError("The consumer sealed no input in time.")

    def _of_use(self, lease: Lease, call: Callable[[], Answer]) -> Answer:
        try:
            return self.persist(call, lease=lease)
        except MarketRefusedError as error:
            raise LeaseGoneError(f"The market refused: {error.code}.") from error

    def _notice(self, *, is_away: bool) -> None:
        with self._lock:
            has_changed, self._is_away = self._is_away != is_away, is_away
        if has_changed:
            self._tell(Event("market_away" if is_away else "market_back"))


def digest_of(described: Json) -> str:
    """The digest under which the market announces a payload.

    Raises:
        MarketAnswerError: It announces none.
    """
    try:
        return ReceivedPayload.from_json(described).digest
    except EncodingError as error:
        raise MarketAnswerError(f"A payload is not in form: {error}") from error


def _is_passing(error: MarketUnavailableError | MarketRefusedError) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, MarketUnavailableError):
        return True
    return error.status == 429 or error.status >= 500
