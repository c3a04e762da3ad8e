"""The same runner on this machine: same bytes, same fuel, and nothing leaves it."""

from pathlib import Path
from threading import Lock

from enclave_sim.errors import RunnerError
from enclave_sim.sandbox.limits import Limits
from enclave_sim.sandbox.outcome import Outcome
from sdk.errors import ExtraMissingError, MarketAnswerError
from sdk.session import Session

try:
    from enclave_sim.sandbox.pool import SandboxWorker
    from enclave_sim.sandbox.runner import (
        RUNNER_BYTES_MAX,
        load_runner_artefact,
        store_runner,
    )
except ImportError as error:  # pragma: no cover - the test environment has it
    raise ExtraMissingError("Running on this machine", "provider") from error


class LocalRunner:
    """Runs functions in the market's own runner, in a process of this machine.

    The runner is fetched from the market once, and known by its digest. Safe for
    several threads; they take turns.
    """

    def __init__(self, session: Session, cache: Path) -> None:
        """Remember what to run; nothing is fetched or started yet.

        Args:
            session: With the market whose runner it is.
            cache: The folder of artefacts.
        """
        self._session = session
        self._cache = cache
        self._sha384 = bytes.fromhex(session.runner)
        self._worker = SandboxWorker(self._sha384, cache)
        self._has_runner = False
        self._lock = Lock()

    def run(
        self, source: str, entry: str, input_json: bytes, limits: Limits
    ) -> Outcome:
        """Run one function; the first time may take half a minute to compile.

        Raises:
            SandboxError: The job is too large, or the runner cannot be used.
            SdkError: The runner cannot be fetched.
        """
        with self._lock:
            if not self._has_runner:
                self._fetch_runner()
            return self._worker.run(source, entry, input_json, limits)

    def close(self) -> None:
        """End the process."""
        self._worker.close()

    def _fetch_runner(self) -> None:
        try:
            load_runner_artefact(self._cache, self._sha384)
        except RunnerError:
            data = self._session.transport.get_bytes(
                f"/catalog/v0.1/runners/{self._session.runner}",
                size_max=RUNNER_BYTES_MAX,
            )
            if store_runner(self._cache, data) != self._sha384:
                message = "The market's runner is not the one that it describes."
                raise MarketAnswerError(message) from None
        self._has_runner = True
