"""Evidence that real AMD processors made, judged by the same code."""

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enclave_sim.attestation import (
    HARDWARE_ROOTS,
    NO_HOST_DATA,
    NOT_CHECKED,
    SNP_FORMAT,
    Appraisal,
    AppraisalPolicy,
    Evidence,
    Expected,
    Tcb,
    appraise,
)
from enclave_sim.attestation.certificates import parse_certificate, read_endorsement
from enclave_sim.attestation.roots import AMD_MILAN_ROOT
from enclave_sim.attestation.snp import parse_report
from enclave_sim.errors import AttestationError

NOW_MS = 1_700_000_000_000  # November 2023: within every certificate

GOOD = ("test-report.bin", "test-vcek.der")
DEBUG = ("go-sev-guest-attestation.bin", "go-sev-guest-vcek.testcer")


def pem_certificates(data: bytes) -> list[bytes]:
    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", data, re.DOTALL)
    return [base64.b64decode(block) for block in blocks]


@pytest.fixture(params=["milan_ask_ark_asvk.pem", "go-sev-guest-milan.testcer"])
def authorities(genuine: Path, request: pytest.FixtureRequest) -> tuple[bytes, bytes]:
    ask, ark, *_ = pem_certificates((genuine / request.param).read_bytes())
    return ask, ark


def evidence_of(
    genuine: Path, authorities: tuple[bytes, ...], report: str, vcek: str
) -> Evidence:
    chain = ((genuine / vcek).read_bytes(), *authorities)
    return Evidence(SNP_FORMAT, (genuine / report).read_bytes(), chain)


def policy_for(evidence: Evidence) -> AppraisalPolicy:
    return AppraisalPolicy(
        format=SNP_FORMAT,
        roots=HARDWARE_ROOTS,
        accept_simulated=False,
        accept_vlek=False,
        accept_debug=False,
        accept_migration=False,
        accept_provisional=True,
        vmpl=0,
        measurements=frozenset({parse_report(evidence.report).measurement}),
        chip_ids=NOT_CHECKED,
        minimum_tcb=Tcb(bootloader=2, tee=0, snp=5, microcode=68),
    )


def expected_of(evidence: Evidence) -> Expected:
    data = parse_report(evidence.report).report_data
    return Expected(report_data=data, host_data=NO_HOST_DATA)


def judge(evidence: Evidence, **changes: Any) -> Appraisal:
    return appraise(
        evidence,
        policy=replace(policy_for(evidence), **changes),
        expected=expected_of(evidence),
        now_ms=NOW_MS,
    )


def rules(appraisal: Appraisal) -> list[str]:
    return [failure.rule_id for failure in appraisal.failures]


def test_pinned_root_is_amds(authorities: tuple[bytes, bytes]) -> None:
    assert parse_certificate(authorities[1]).pin == AMD_MILAN_ROOT


def test_good_report_is_accepted_as_hardware(
    genuine: Path, authorities: tuple[bytes, bytes]
) -> None:
    verdict = judge(evidence_of(genuine, authorities, *GOOD))
    assert rules(verdict) == []
    assert verdict.assurance == "hardware"


def test_firmware_on_trial_is_seen(
    genuine: Path, authorities: tuple[bytes, bytes]
) -> None:
    """This machine ran microcode 206 while 115 was committed."""
    verdict = judge(evidence_of(genuine, authorities, *GOOD), accept_provisional=False)
    assert rules(verdict) == ["snp.provisional"]


def test_debug_guest_is_refused_though_genuine(
    genuine: Path, authorities: tuple[bytes, bytes]
) -> None:
    verdict = judge(evidence_of(genuine, authorities, *DEBUG))
    assert rules(verdict) == ["snp.debug"]
    assert verdict.assurance == "hardware"


@pytest.mark.parametrize(
    "leaf", ["test-vcek-invalid-legacy.der", "test-vcek-invalid-new.der"]
)
def test_invalid_leaf_is_refused(
    genuine: Path, authorities: tuple[bytes, bytes], leaf: str
) -> None:
    verdict = judge(evidence_of(genuine, authorities, GOOD[0], leaf))
    assert "snp.chain" in rules(verdict)
    assert verdict.assurance == "none"
    # It is refused for its signature, not for its form: both forms are AMD's.
    read_endorsement(parse_certificate((genuine / leaf).read_bytes()))


def test_reports_do_not_stand_in_for_each_other(
    genuine: Path, authorities: tuple[bytes, bytes]
) -> None:
    """Measurement confusion: genuine, but another job's code and another chip."""
    good = evidence_of(genuine, authorities, *GOOD)
    other = evidence_of(genuine, authorities, *DEBUG)
    verdict = appraise(
        other,
        policy=replace(policy_for(good), accept_debug=True),
        expected=expected_of(good),
        now_ms=NOW_MS,
    )
    assert rules(verdict) == ["snp.measurement", "snp.report_data"]
    swapped = replace(good, certificates=other.certificates)
    assert "snp.signature" in rules(judge(swapped))
    assert "snp.chip_id" in rules(judge(swapped))


def test_vlek_signer_is_no_signer_of_chips(genuine: Path) -> None:
    ask, ark, asvk = pem_certificates((genuine / "milan_ask_ark_asvk.pem").read_bytes())
    good = evidence_of(genuine, (asvk, ark), *GOOD)
    assert rules(judge(good)) == ["snp.chain"]
    assert ask != asvk


def test_lowered_patch_level_is_refused(
    genuine: Path, authorities: tuple[bytes, bytes]
) -> None:
    """TOB-WAPI-8: levels count as the certificate has them."""
    good = evidence_of(genuine, authorities, *GOOD)
    for offset in (0x38, 0x180, 0x187, 0x1E0, 0x1F0):
        report = bytearray(good.report)
        report[offset] ^= 1
        assert "snp.signature" in rules(judge(replace(good, report=bytes(report))))


@pytest.mark.parametrize("pair", [GOOD, DEBUG])
def test_expired_chain_is_refused(
    genuine: Path, authorities: tuple[bytes, bytes], pair: tuple[str, str]
) -> None:
    good = evidence_of(genuine, authorities, *pair)
    for now_ms in (0, 2_600_000_000_000):  # 1970 and 2052
        verdict = appraise(
            good,
            policy=replace(policy_for(good), accept_debug=True),
            expected=expected_of(good),
            now_ms=now_ms,
        )
        assert rules(verdict) == ["snp.validity"]


@pytest.mark.slow
def test_any_flipped_byte_is_refused(genuine: Path) -> None:
    """Every byte of the report and of all three certificates."""
    ask, ark, _ = pem_certificates((genuine / "milan_ask_ark_asvk.pem").read_bytes())
    good = evidence_of(genuine, (ask, ark), *GOOD)
    policy, expected = policy_for(good), expected_of(good)

    def is_accepted(evidence: Evidence) -> bool:
        verdict = appraise(evidence, policy=policy, expected=expected, now_ms=NOW_MS)
        return verdict.is_accepted

    assert is_accepted(good)
    for index in range(len(good.report)):
        report = bytearray(good.report)
        report[index] ^= 1 << index % 8
        assert not is_accepted(replace(good, report=bytes(report))), index
    for place, certificate in enumerate(good.certificates):
        for index in range(len(certificate)):
            changed = bytearray(certificate)
            changed[index] ^= 1 << index % 8
            chain = list(good.certificates)
            chain[place] = bytes(changed)
            assert not is_accepted(replace(good, certificates=tuple(chain))), index


def test_cut_certificate_is_refused(genuine: Path) -> None:
    leaf = (genuine / GOOD[1]).read_bytes()
    for size in range(0, len(leaf), 7):
        with pytest.raises(AttestationError):
            parse_certificate(leaf[:size])
    with pytest.raises(AttestationError):
        parse_certificate(leaf + b"\x00")
