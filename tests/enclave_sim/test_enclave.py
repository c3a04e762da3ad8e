"""The simulated enclave as a whole: host, child process and consumer."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enclave_sim.attestation import (
    NO_HOST_DATA,
    NOT_CHECKED,
    SIMULATED_ROOT,
    SNP_FORMAT,
    Appraisal,
    AppraisalPolicy,
    Attestation,
    Challenge,
    Expected,
    Tcb,
    appraise,
)
from enclave_sim.attestation.vendor import simulated_chip_id
from enclave_sim.channel import ChannelKey
from enclave_sim.enclave import SimulatedEnclave
from enclave_sim.errors import (
    ChannelError,
    JobError,
    ProcessDiedError,
    RemoteError,
    RunnerError,
    SessionError,
    VendorError,
)
from enclave_sim.launch import LaunchRecord, digest_source
from enclave_sim.process import Reply
from enclave_sim.sandbox.engine_identity import ENGINE_ID
from enclave_sim.sandbox.limits import Limits
from enclave_sim.sandbox.outcome import FailureCode, Outcome
from enclave_sim.sandbox.pool import SandboxWorker
from enclave_sim.sealed_result import open_result, parse_sealed_result, verify_result
from enclave_sim.session import Session

NOW_MS = 1_790_000_000_000
CHIP_ID = simulated_chip_id("test chip")
LIMITS = Limits()

SOURCE = """
seen = []

def total(numbers):
    seen.append(numbers)
    print("adding", numbers)
    return [sum(numbers), len(seen)]

def fail(secret):
    raise ValueError(secret)

def spin():
    while True:
        pass
"""


@pytest.fixture(scope="module")
def enclave(
    vendor_cache: Path, runner_cache: Path, runner_sha384: bytes
) -> Iterator[SimulatedEnclave]:
    with SimulatedEnclave(
        runner_sha384=runner_sha384,
        runner_cache=runner_cache,
        vendor_cache=vendor_cache,
        chip_id=CHIP_ID,
    ) as enclave:
        yield enclave


@pytest.fixture
def record(runner_sha384: bytes) -> LaunchRecord:
    """What the consumer wants to run, worked out without asking anyone."""
    return LaunchRecord(
        runner_sha384=runner_sha384,
        source_sha384=digest_source(SOURCE),
        entry="total",
        limits=LIMITS,
        engine_id=ENGINE_ID,
    )


def judge(attestation: Attestation, session: Session) -> Appraisal:
    """The consumer's judgement: only this code, for this session."""
    policy = AppraisalPolicy(
        format=SNP_FORMAT,
        roots=frozenset({SIMULATED_ROOT}),
        accept_simulated=True,
        accept_vlek=False,
        accept_debug=False,
        accept_migration=False,
        accept_provisional=False,
        vmpl=0,
        measurements=frozenset({session.measurement}),
        chip_ids=NOT_CHECKED,
        minimum_tcb=Tcb(0, 0, 0, 0),
    )
    expected = Expected(report_data=session.report_data, host_data=NO_HOST_DATA)
    return appraise(
        attestation.evidence, policy=policy, expected=expected, now_ms=NOW_MS
    )


def rules(appraisal: Appraisal) -> list[str]:
    return [failure.rule_id for failure in appraisal.failures]


def begin(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    source: str = SOURCE,
) -> Session:
    """Attest, and accept the evidence as a consumer would."""
    attestation = enclave.attest(source, record.entry, record.limits, challenge)
    session = Session(
        challenge=challenge,
        keys=attestation.keys,
        measurement=record.measurement,
    )
    assert rules(judge(attestation, session)) == []
    return session


def consume(
    enclave: SimulatedEnclave, session: Session, key: ChannelKey, input_json: bytes
) -> Outcome:
    """Seal, let the host carry it there and back, verify, open."""
    sealed = session.seal_input(input_json)
    carried = enclave.run(sealed).encode()
    result = parse_sealed_result(carried)
    verify_result(result, session, sealed_input=sealed)
    return open_result(result, session, key)


def test_sealed_job_runs(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    recipient: ChannelKey,
) -> None:
    session = begin(enclave, challenge, record)
    outcome = consume(enclave, session, recipient, b"[[1,2,3]]")
    assert (outcome.status, outcome.result) == ("succeeded", b"[6,1]")
    assert outcome.log == b"adding [1, 2, 3]\n"


def test_each_run_is_a_fresh_instance(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    recipient: ChannelKey,
) -> None:
    session = begin(enclave, challenge, record)
    first = consume(enclave, session, recipient, b"[[1]]")
    second = consume(enclave, session, recipient, b"[[1]]")
    assert first == second
    assert first.result == b"[1,1]"


def test_fuel_is_that_of_the_plain_sandbox(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    recipient: ChannelKey,
    runner_cache: Path,
    runner_sha384: bytes,
) -> None:
    session = begin(enclave, challenge, record)
    sealed = consume(enclave, session, recipient, b"[[4,5]]")
    worker = SandboxWorker(runner_sha384, runner_cache)
    plain = worker.run(SOURCE, "total", b"[[4,5]]", LIMITS)
    worker.close()
    assert sealed == plain


def test_failure_is_sealed_too(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    recipient: ChannelKey,
) -> None:
    """An error's text may quote the data; the host sees only that it failed."""
    session = begin(enclave, challenge, replace(record, entry="fail"))
    sealed = session.seal_input(b'["patient 4711 has gout"]')
    assert b"4711" not in sealed
    result = enclave.run(sealed)
    assert result.claim.status == "failed"
    assert b"4711" not in result.encode()
    verify_result(result, session, sealed_input=sealed)
    outcome = open_result(result, session, recipient)
    assert outcome.error_code == FailureCode.RAISED
    assert outcome.error_message is not None
    assert "4711" in outcome.error_message


def test_enclave_survives_what_it_runs(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    recipient: ChannelKey,
) -> None:
    spinning = replace(record, entry="spin", limits=Limits(fuel=10**7))
    outcome = consume(enclave, begin(enclave, challenge, spinning), recipient, b"[]")
    assert outcome.error_code == FailureCode.OUT_OF_FUEL
    assert outcome.fuel == 10**7
    outcome = consume(enclave, begin(enclave, challenge, record), recipient, b"[[7]]")
    assert outcome.result == b"[7,1]"


@pytest.mark.parametrize(
    "changes",
    [
        {"runner_sha384": b"r" * 48},
        {"source_sha384": digest_source(SOURCE + "\n")},
        {"entry": "fail"},
        {"limits": Limits(fuel=LIMITS.fuel - 1)},
        {"limits": Limits(memory_bytes=LIMITS.memory_bytes - 1)},
        {"limits": Limits(time_ms=LIMITS.time_ms - 1)},
        {"limits": Limits(output_bytes=LIMITS.output_bytes - 1)},
        {"engine_id": ENGINE_ID + " more=on"},
    ],
)
def test_other_launch_is_refused(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    changes: dict[str, Any],
) -> None:
    """The host launches what the consumer did not ask for, in one respect."""
    attestation = enclave.attest(SOURCE, "total", LIMITS, challenge)
    wanted = replace(record, **changes)
    session = Session(
        challenge=challenge,
        keys=attestation.keys,
        measurement=wanted.measurement,
    )
    assert rules(judge(attestation, session)) == ["snp.measurement"]


def test_input_for_other_code_does_not_open(
    enclave: SimulatedEnclave, challenge: Challenge, record: LaunchRecord
) -> None:
    """Even a consumer who skips the appraisal gives nothing to other code."""
    attestation = enclave.attest(SOURCE + "\n", "total", LIMITS, challenge)
    session = Session(
        challenge=challenge,
        keys=attestation.keys,
        measurement=record.measurement,
    )
    with pytest.raises(ChannelError):
        enclave.run(session.seal_input(b"[[1]]"))


def test_answer_to_another_challenge_is_refused(
    enclave: SimulatedEnclave, challenge: Challenge, record: LaunchRecord
) -> None:
    """Replay, and a host that puts itself in as the recipient of the result."""
    host = ChannelKey.generate()
    for other in (
        replace(challenge, nonce=bytes(32)),
        replace(challenge, recipient=host.public),
    ):
        attestation = enclave.attest(SOURCE, "total", LIMITS, other)
        session = Session(
            challenge=challenge,
            keys=attestation.keys,
            measurement=record.measurement,
        )
        assert rules(judge(attestation, session)) == ["snp.report_data"]


def test_sessions_share_no_keys(
    enclave: SimulatedEnclave, challenge: Challenge, record: LaunchRecord
) -> None:
    old = begin(enclave, challenge, record)
    sealed = old.seal_input(b"[[1]]")
    new = begin(enclave, challenge, record)
    assert old.keys.channel != new.keys.channel
    assert old.keys.result != new.keys.result
    with pytest.raises(ChannelError):
        enclave.run(sealed)


@pytest.mark.parametrize("sealed", [b"", b"garbage", bytes(5000)])
def test_garbage_as_input_is_refused(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    recipient: ChannelKey,
    sealed: bytes,
) -> None:
    session = begin(enclave, challenge, record)
    with pytest.raises(ChannelError):
        enclave.run(sealed)
    assert consume(enclave, session, recipient, b"[[1]]").status == "succeeded"


def test_oversized_source_is_refused(
    enclave: SimulatedEnclave, challenge: Challenge
) -> None:
    with pytest.raises(JobError):
        enclave.attest("#" * (256 * 1024 + 1), "total", LIMITS, challenge)
    with pytest.raises(JobError):
        enclave.attest("\ud800", "total", LIMITS, challenge)
    with pytest.raises(JobError):
        enclave.attest("", "e" * 129, LIMITS, challenge)


def test_dead_enclave_has_no_session(
    enclave: SimulatedEnclave,
    challenge: Challenge,
    record: LaunchRecord,
    recipient: ChannelKey,
) -> None:
    session = begin(enclave, challenge, record)
    assert enclave._child is not None
    os.kill(enclave._child.pid, signal.SIGKILL)
    with pytest.raises(ProcessDiedError):
        enclave.run(session.seal_input(b"[[1]]"))
    again = begin(enclave, challenge, record)
    assert consume(enclave, again, recipient, b"[[1]]").status == "succeeded"


def test_run_needs_a_session(
    vendor_cache: Path, runner_cache: Path, runner_sha384: bytes
) -> None:
    with SimulatedEnclave(
        runner_sha384=runner_sha384,
        runner_cache=runner_cache,
        vendor_cache=vendor_cache,
        chip_id=CHIP_ID,
    ) as enclave:
        with pytest.raises(SessionError):
            enclave.run(b"")
        enclave.start()
        with pytest.raises(SessionError):
            enclave.run(b"")


def test_missing_runner_is_named(
    vendor_cache: Path, tmp_path: Path, challenge: Challenge
) -> None:
    enclave = SimulatedEnclave(
        runner_sha384=b"r" * 48,
        runner_cache=tmp_path,
        vendor_cache=vendor_cache,
        chip_id=CHIP_ID,
    )
    with pytest.raises(RunnerError):
        enclave.attest(SOURCE, "total", LIMITS, challenge)


def test_unusable_vendor_is_named(
    tmp_path: Path, runner_cache: Path, runner_sha384: bytes
) -> None:
    (tmp_path / "file").write_bytes(b"")
    enclave = SimulatedEnclave(
        runner_sha384=runner_sha384,
        runner_cache=runner_cache,
        vendor_cache=tmp_path / "file",
        chip_id=CHIP_ID,
    )
    with pytest.raises(VendorError):
        enclave.start()


class LyingChild:
    """A child that something inside has taken over, as its parent sees it."""

    is_alive = True

    def __init__(self, *payloads: bytes, error: RemoteError | None = None) -> None:
        self._payloads = payloads
        self._error = error

    def call(self, *_arguments: Any, timeout_s: float) -> Reply:
        assert timeout_s > 0
        if self._error is not None:
            raise self._error
        return Reply({}, list(self._payloads))

    def close(self) -> None:
        """Nothing to end."""


@pytest.mark.parametrize("payloads", [(), (b"",), (b"garbage",), (b"a", b"b")])
def test_lying_enclave_gives_a_typed_error(
    challenge: Challenge, tmp_path: Path, payloads: tuple[bytes, ...]
) -> None:
    host = SimulatedEnclave(
        runner_sha384=bytes(48),
        runner_cache=tmp_path,
        vendor_cache=tmp_path,
        chip_id=CHIP_ID,
    )
    host._child = LyingChild(*payloads)  # type: ignore[assignment]
    with pytest.raises(SessionError):
        host.attest(SOURCE, "total", LIMITS, challenge)
    with pytest.raises(SessionError):
        host.run(b"sealed")
    host._child = LyingChild(error=RemoteError("X", "x"))  # type: ignore[assignment]
    with pytest.raises(RemoteError):
        host.run(b"sealed")


def test_verifying_needs_no_runtime() -> None:
    """All that a consumer needs is importable without what a provider installs."""
    heavy = ("wasmtime", "componentize_py", "tenseal", "sqlmodel", "fastapi", "numpy")
    modules = ("attestation", "channel", "launch", "session", "sealed_result")
    code = ["import sys"]
    code += [f"sys.modules[{name!r}] = None" for name in heavy]
    code += [f"import enclave_sim.{name}" for name in modules]
    done = subprocess.run([sys.executable, "-c", "; ".join(code)], check=False)
    assert done.returncode == 0
