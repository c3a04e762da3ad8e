"""The inside of the enclave, called in this process."""

from pathlib import Path

import pytest

from enclave_sim.attestation import Challenge, parse_attestation
from enclave_sim.attestation.snp import parse_report
from enclave_sim.attestation.vendor import simulated_chip_id
from enclave_sim.channel import ChannelKey
from enclave_sim.enclave_worker import EnclaveWorker
from enclave_sim.errors import EvidenceError, LimitsError, RunnerError, SessionError
from enclave_sim.launch import LaunchRecord, digest_source
from enclave_sim.process import Operation
from enclave_sim.sandbox.engine import call_on_large_stack
from enclave_sim.sandbox.engine_identity import ENGINE_ID
from enclave_sim.sandbox.limits import Limits
from enclave_sim.sealed_result import open_result, parse_sealed_result, verify_result
from enclave_sim.session import Session
from ledger.encoding import Json

SOURCE = "def double(number):\n    return 2 * number\n"
HEADER: dict[str, Json] = {"entry": "double", "limits": Limits().to_json()}


@pytest.fixture(scope="module")
def load_header(
    vendor_cache: Path, runner_cache: Path, runner_sha384: bytes
) -> dict[str, Json]:
    return {
        "runner_sha384": runner_sha384.hex(),
        "runner_cache": str(runner_cache),
        "vendor_cache": str(vendor_cache),
        "chip_id": simulated_chip_id("test chip").hex(),
    }


@pytest.fixture
def operations(load_header: dict[str, Json]) -> dict[str, Operation]:
    operations = EnclaveWorker().operations()
    assert call_on_large_stack(lambda: operations["load"](load_header, [])) == ({}, [])
    return operations


def test_worker_runs_what_it_measured(
    operations: dict[str, Operation],
    challenge: Challenge,
    recipient: ChannelKey,
    runner_sha384: bytes,
) -> None:
    _, (answer,) = operations["attest"](HEADER, [challenge.encode(), SOURCE.encode()])
    attestation = parse_attestation(answer)
    record = LaunchRecord(
        runner_sha384=runner_sha384,
        source_sha384=digest_source(SOURCE),
        entry="double",
        limits=Limits(),
        engine_id=ENGINE_ID,
    )
    session = Session(
        challenge=challenge,
        keys=attestation.keys,
        measurement=record.measurement,
    )
    report = parse_report(attestation.evidence.report)
    assert report.measurement == record.measurement
    assert report.report_data == session.report_data
    sealed = session.seal_input(b"[21]")
    _, (carried,) = call_on_large_stack(lambda: operations["run"]({}, [sealed]))
    result = parse_sealed_result(carried)
    verify_result(result, session, sealed_input=sealed)
    assert open_result(result, session, recipient).result == b"42"


def test_worker_keeps_its_order(
    operations: dict[str, Operation], challenge: Challenge
) -> None:
    with pytest.raises(SessionError):
        operations["run"]({}, [b""])
    unloaded = EnclaveWorker().operations()
    with pytest.raises(SessionError):
        unloaded["attest"](HEADER, [challenge.encode(), b""])


def test_worker_reads_its_host_strictly(
    operations: dict[str, Operation], challenge: Challenge
) -> None:
    with pytest.raises(EvidenceError):
        operations["attest"](HEADER, [b"{}", SOURCE.encode()])
    with pytest.raises(LimitsError):
        operations["attest"](
            {"entry": "double", "limits": {}}, [challenge.encode(), b""]
        )


def test_worker_names_a_missing_runner(
    load_header: dict[str, Json], tmp_path: Path
) -> None:
    header = {**load_header, "runner_cache": str(tmp_path)}
    with pytest.raises(RunnerError):
        EnclaveWorker().operations()["load"](header, [])
