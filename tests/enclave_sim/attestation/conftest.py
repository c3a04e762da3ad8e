"""A policy that simulated evidence meets, and the tools of someone who cheats."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from enclave_sim.attestation import (
    NO_HOST_DATA,
    NOT_CHECKED,
    SIMULATED_ROOT,
    SNP_FORMAT,
    Appraisal,
    AppraisalPolicy,
    Challenge,
    EnclaveKeys,
    Evidence,
    Expected,
    appraise,
    report_data,
)
from enclave_sim.attestation.snp import SIGNED_BYTES
from enclave_sim.attestation.vendor import SIMULATED_TCB, SimulatedChip

NOW_MS = 1_790_000_000_000
MEASUREMENT = bytes(range(48))
REPORT_DATA = bytes(range(64))

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def genuine() -> Path:
    """Real AMD evidence, which is kept outside the project."""
    named = os.environ.get("SIXFOLD_EVIDENCE_DIR", PROJECT / "../shared/evidence")
    folder = Path(named) / "snp"
    if not folder.is_dir():
        pytest.skip(f"no genuine evidence in {named} (set SIXFOLD_EVIDENCE_DIR)")
    return folder


@pytest.fixture
def policy() -> AppraisalPolicy:
    return AppraisalPolicy(
        format=SNP_FORMAT,
        roots=frozenset({SIMULATED_ROOT}),
        accept_simulated=True,
        accept_vlek=False,
        accept_debug=False,
        accept_migration=False,
        accept_provisional=False,
        vmpl=0,
        measurements=frozenset({MEASUREMENT}),
        chip_ids=NOT_CHECKED,
        minimum_tcb=SIMULATED_TCB,
    )


@pytest.fixture
def expected() -> Expected:
    return Expected(report_data=REPORT_DATA, host_data=NO_HOST_DATA)


@pytest.fixture(scope="session")
def evidence(chip: SimulatedChip) -> Evidence:
    return chip.report(measurement=MEASUREMENT, report_data=REPORT_DATA)


Judge = Callable[[Evidence], Appraisal]


@pytest.fixture
def judge(policy: AppraisalPolicy, expected: Expected) -> Judge:
    def appraise_now(evidence: Evidence) -> Appraisal:
        return appraise(evidence, policy=policy, expected=expected, now_ms=NOW_MS)

    return appraise_now


@pytest.fixture(scope="session")
def resign(evidence: Evidence, chip: SimulatedChip) -> Callable[..., Evidence]:
    """A report as strange firmware would make it: patched, and signed for real."""

    def patch_and_sign(
        patches: dict[int, bytes], key: ec.EllipticCurvePrivateKey = chip.key
    ) -> Evidence:
        body = bytearray(evidence.report[:SIGNED_BYTES])
        for offset, data in patches.items():
            body[offset : offset + len(data)] = data
        der = key.sign(bytes(body), ec.ECDSA(hashes.SHA384()))
        r, s = (number.to_bytes(72, "little") for number in decode_dss_signature(der))
        report = (bytes(body) + r + s).ljust(len(evidence.report), b"\x00")
        return Evidence(SNP_FORMAT, report, evidence.certificates)

    return patch_and_sign


@pytest.fixture(scope="session")
def foreign_key() -> rsa.RSAPrivateKey:
    """An attacker's own RSA-4096 key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=4096)


@pytest.fixture
def judge_session(policy: AppraisalPolicy) -> Callable[..., Appraisal]:
    """The consumer's side: what was asked and which keys came with the answer."""

    def appraise_answer(
        evidence: Evidence, challenge: Challenge, keys: EnclaveKeys
    ) -> Appraisal:
        due = Expected(report_data=report_data(challenge, keys), host_data=NO_HOST_DATA)
        return appraise(evidence, policy=policy, expected=due, now_ms=NOW_MS)

    return appraise_answer
