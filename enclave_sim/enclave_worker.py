"""The inside of a simulated enclave: the one process that holds keys and plaintext.

It runs what it measures: the runner is loaded here by its digest, the source is
hashed here, and the keys of a session are made here and never leave. What goes out
is evidence, public keys and sealed results.

Simulated: on real hardware the memory of this process would be closed to its host,
and a chip, not this program, would sign the report. Here nothing keeps the host out.
"""

from dataclasses import dataclass
from pathlib import Path

from enclave_sim.attestation.binding import (
    Attestation,
    Challenge,
    EnclaveKeys,
    parse_challenge,
)
from enclave_sim.attestation.vendor import DevelopmentVendor
from enclave_sim.channel import ChannelKey
from enclave_sim.errors import RunnerError, SessionError
from enclave_sim.launch import LaunchRecord, digest_source
from enclave_sim.process import Operation, serve
from enclave_sim.sandbox.compiler import discard_code, load_code
from enclave_sim.sandbox.engine import call_on_large_stack
from enclave_sim.sandbox.engine_identity import ENGINE_ID
from enclave_sim.sandbox.limits import Limits, verify_job
from enclave_sim.sandbox.runtime import Runtime
from enclave_sim.sealed_result import seal_result
from enclave_sim.session import Session
from ledger.encoding import Json
from ledger.signing import PrivateKey


@dataclass(frozen=True)
class _OpenSession:
    """The secrets of the running session, and the code that it is for."""

    public: Session
    channel_key: ChannelKey
    result_key: PrivateKey
    source: str
    entry: str
    limits: Limits


class _Platform:
    """What stays from session to session: the loaded runner, and the machine."""

    def __init__(self, header: dict[str, Json]) -> None:
        cache, vendor_cache = header["runner_cache"], header["vendor_cache"]
        runner, chip = header["runner_sha384"], header["chip_id"]
        assert isinstance(cache, str)
        assert isinstance(vendor_cache, str)
        assert isinstance(runner, str)
        assert isinstance(chip, str)
        self.runner_sha384 = bytes.fromhex(runner)
        self.runtime = _load_runtime(Path(cache), self.runner_sha384)
        vendor = DevelopmentVendor(Path(vendor_cache))
        self.chip = vendor.issue_chip(bytes.fromhex(chip))


class EnclaveWorker:
    """The operations of the process: load once; attest begins a session; then run."""

    def __init__(self) -> None:
        self._platform: _Platform | None = None
        self._session: _OpenSession | None = None

    def operations(self) -> dict[str, Operation]:
        """What the parent may call, by name."""
        return {"load": self._load, "attest": self._attest, "run": self._run}

    def _load(
        self, header: dict[str, Json], _payloads: list[bytes]
    ) -> tuple[dict[str, Json], list[bytes]]:
        self._platform = _Platform(header)
        return {}, []

    def _attest(
        self, header: dict[str, Json], payloads: list[bytes]
    ) -> tuple[dict[str, Json], list[bytes]]:
        """Begin a session: fresh keys, and evidence that binds them."""
        if self._platform is None:
            raise SessionError("The enclave has loaded no runner.")
        challenge, source = payloads
        self._session = _begin_session(
            self._platform.runner_sha384, parse_challenge(challenge), source, header
        )
        session = self._session.public
        evidence = self._platform.chip.report(
            measurement=session.measurement, report_data=session.report_data
        )
        return {}, [Attestation(evidence, session.keys).encode()]

    def _run(
        self, _header: dict[str, Json], payloads: list[bytes]
    ) -> tuple[dict[str, Json], list[bytes]]:
        """Open an input, run the session's code on it, and seal what comes out."""
        session, platform = self._session, self._platform
        if session is None or platform is None:
            raise SessionError("The enclave has no session; it must attest first.")
        (sealed_input,) = payloads
        plaintext = session.channel_key.open(
            sealed_input, info=session.public.info("input")
        )
        outcome = platform.runtime.run(
            session.source, session.entry, plaintext, session.limits
        )
        result = seal_result(
            outcome,
            session.public,
            sealed_input=sealed_input,
            key=session.result_key,
        )
        return {}, [result.encode()]


def _begin_session(
    runner_sha384: bytes, challenge: Challenge, source: bytes, header: dict[str, Json]
) -> _OpenSession:
    text, entry = source.decode("utf-8"), header["entry"]
    assert isinstance(entry, str)
    limits = Limits.parse(header["limits"])
    verify_job(text, entry, b"")
    record = LaunchRecord(
        runner_sha384=runner_sha384,
        source_sha384=digest_source(text),
        entry=entry,
        limits=limits,
        engine_id=ENGINE_ID,
    )
    channel_key, result_key = ChannelKey.generate(), PrivateKey.generate()
    public = Session(
        challenge=challenge,
        keys=EnclaveKeys(channel=channel_key.public, result=result_key.public.data),
        measurement=record.measurement,
    )
    return _OpenSession(public, channel_key, result_key, text, entry, limits)


def _load_runtime(cache: Path, runner_sha384: bytes) -> Runtime:
    try:
        return Runtime(load_code(cache, runner_sha384))
    except RunnerError:
        # The cache may hold code for another machine that shares the folder.
        discard_code(cache, runner_sha384)
        return Runtime(load_code(cache, runner_sha384))


def main() -> None:
    """Serve the parent until it closes the connection."""
    call_on_large_stack(lambda: serve(EnclaveWorker().operations()))


if __name__ == "__main__":
    main()
