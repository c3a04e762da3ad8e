from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from enclave_sim.attestation import (
    HARDWARE_ROOTS,
    NO_HOST_DATA,
    Appraisal,
    AppraisalPolicy,
    Evidence,
    Expected,
    Tcb,
    appraise,
)
from enclave_sim.attestation.issuing import NOT_AFTER, NOT_BEFORE
from enclave_sim.attestation.vendor import (
    SIMULATED_TCB,
    SimulatedChip,
    simulated_chip_id,
)

Judge = Callable[[Evidence], Appraisal]
Resign = Callable[..., Evidence]

NOW_MS = 1_790_000_000_000
MEASUREMENT = bytes(range(48))
REPORT_DATA = bytes(range(64))


def failed_rules(appraisal: Appraisal) -> list[str]:
    assert appraisal.is_accepted == (not appraisal.failures)
    return [failure.rule_id for failure in appraisal.failures]


def test_good_evidence_is_accepted(
    judge: Judge, evidence: Evidence, chip: SimulatedChip
) -> None:
    appraisal = judge(evidence)
    assert appraisal.is_accepted
    assert appraisal.assurance == "simulated"
    assert appraisal.measurement == MEASUREMENT
    assert appraisal.chip_id == chip.chip_id


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"measurement": bytes(48)}, "snp.measurement"),
        ({"report_data": bytes(64)}, "snp.report_data"),
        ({"host_data": b"\x01" + bytes(31)}, "snp.host_data"),
        ({"is_debug_allowed": True}, "snp.debug"),
        ({"is_migration_allowed": True}, "snp.migration"),
        ({"vmpl": 1}, "snp.vmpl"),
    ],
)
def test_one_wrong_claim_is_refused(
    judge: Judge, chip: SimulatedChip, changes: dict[str, Any], rule: str
) -> None:
    claims = {"measurement": MEASUREMENT, "report_data": REPORT_DATA, **changes}
    assert failed_rules(judge(chip.report(**claims))) == [rule]


@pytest.mark.parametrize(
    ("patches", "rules"),
    [
        ({0x00: b"\x01"}, ["snp.version"]),
        ({0x00: b"\x06"}, ["snp.version"]),
        ({0x0A: b"\x00"}, ["snp.report_form"]),
        ({0x34: b"\x02"}, ["snp.report_form"]),
        ({0x48: b"\x1c"}, ["snp.report_form"]),
        ({0x48: b"\x20"}, ["snp.report_form"]),
        ({0x18B: b"\x01"}, ["snp.report_form"]),
        ({0x48: b"\x04"}, ["snp.signing_key"]),
        ({0x180: b"\x05"}, ["snp.tcb"]),
        ({0x187: b"\x00"}, ["snp.tcb"]),
        ({0x1A0: b"\x00" * 64}, ["snp.chip_id"]),
        ({0x1F0: b"\x03"}, ["snp.minimum_tcb"]),
        ({0x1E7: b"\x00"}, ["snp.provisional"]),
        ({0x1E8: b"\x01"}, ["snp.provisional"]),
    ],
)
def test_strange_firmware_is_refused(
    judge: Judge, resign: Resign, patches: dict[int, bytes], rules: list[str]
) -> None:
    assert failed_rules(judge(resign(patches))) == rules


@pytest.mark.parametrize(
    "patches",
    [
        {0x00: b"\x02", 0x188: b"\x00\x00\x00"},
        {0x00: b"\x04", 0x1F8: b"\x07"},
        {0x00: b"\x05", 0x200: b"\x07"},
        {0x04: b"\x09"},
        {0x40: b"\x25"},
    ],
)
def test_other_known_firmware_is_accepted(
    judge: Judge, resign: Resign, patches: dict[int, bytes]
) -> None:
    assert judge(resign(patches)).is_accepted


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"roots": HARDWARE_ROOTS}, "snp.root"),
        ({"roots": frozenset()}, "snp.root"),
        ({"accept_simulated": False}, "evidence.assurance"),
        ({"format": "nitro"}, "evidence.format"),
        ({"vmpl": 3}, "snp.vmpl"),
        ({"measurements": frozenset()}, "snp.measurement"),
        ({"measurements": frozenset({bytes(48)})}, "snp.measurement"),
        ({"chip_ids": frozenset()}, "snp.chip_id"),
        ({"chip_ids": frozenset({simulated_chip_id("other")})}, "snp.chip_id"),
    ],
)
def test_stricter_policy_refuses(
    evidence: Evidence,
    policy: AppraisalPolicy,
    expected: Expected,
    changes: dict[str, Any],
    rule: str,
) -> None:
    stricter = replace(policy, **changes)
    verdict = appraise(evidence, policy=stricter, expected=expected, now_ms=NOW_MS)
    assert failed_rules(verdict) == [rule]


@pytest.mark.parametrize("part", ["bootloader", "snp", "microcode"])
def test_minimum_tcb_holds_part_by_part(
    evidence: Evidence, policy: AppraisalPolicy, expected: Expected, part: str
) -> None:
    level = getattr(SIMULATED_TCB, part)
    stricter = replace(policy, minimum_tcb=replace(SIMULATED_TCB, **{part: level + 1}))
    verdict = appraise(evidence, policy=stricter, expected=expected, now_ms=NOW_MS)
    assert failed_rules(verdict) == ["snp.minimum_tcb", "snp.minimum_tcb"]


def test_newer_part_does_not_make_up_for_older_one() -> None:
    assert not Tcb(9, 9, 9, 9).reaches(Tcb(0, 0, 10, 0))
    assert not Tcb(9, 9, 9, 9).reaches(Tcb(0, 0, 0, 0, fmc=1))
    assert Tcb(9, 9, 9, 9).reaches(Tcb(9, 9, 9, 9))


def test_accepting_policy_accepts_what_it_names(
    chip: SimulatedChip, resign: Resign, policy: AppraisalPolicy, expected: Expected
) -> None:
    lenient = replace(
        policy,
        accept_debug=True,
        accept_migration=True,
        accept_provisional=True,
        chip_ids=frozenset({chip.chip_id}),
        vmpl=2,
    )
    policy_bits = (0b1111 << 16).to_bytes(8, "little")
    odd = resign({0x08: policy_bits, 0x30: b"\x02", 0x1E7: b"\x00"})
    verdict = appraise(odd, policy=lenient, expected=expected, now_ms=NOW_MS)
    assert verdict.is_accepted


def test_every_failed_rule_is_listed(chip: SimulatedChip, judge: Judge) -> None:
    worst = chip.report(
        measurement=bytes(48),
        report_data=bytes(64),
        host_data=b"\x01" * 32,
        is_debug_allowed=True,
        is_migration_allowed=True,
        vmpl=1,
    )
    worst = replace(worst, report=worst.report[:0x2A0] + b"\x01" + worst.report[0x2A1:])
    assert failed_rules(judge(worst)) == [
        "snp.signature",
        "snp.debug",
        "snp.migration",
        "snp.vmpl",
        "snp.measurement",
        "snp.report_data",
        "snp.host_data",
    ]


@pytest.mark.parametrize("offset", [0, 1, 31, 63])
def test_report_data_of_another_session_is_refused(
    evidence: Evidence, policy: AppraisalPolicy, offset: int
) -> None:
    data = bytearray(REPORT_DATA)
    data[offset] ^= 1
    other = Expected(report_data=bytes(data), host_data=NO_HOST_DATA)
    verdict = appraise(evidence, policy=policy, expected=other, now_ms=NOW_MS)
    assert failed_rules(verdict) == ["snp.report_data"]


def test_validity_ends_to_the_second(
    evidence: Evidence, policy: AppraisalPolicy, expected: Expected
) -> None:
    first_ms = int(NOT_BEFORE.timestamp()) * 1000
    last_ms = int(NOT_AFTER.timestamp()) * 1000

    def rules_at(now_ms: int) -> list[str]:
        return failed_rules(
            appraise(evidence, policy=policy, expected=expected, now_ms=now_ms)
        )

    assert rules_at(first_ms - 1) == ["snp.validity"]
    assert rules_at(first_ms) == []
    assert rules_at(last_ms) == []
    assert rules_at(last_ms + 1) == ["snp.validity"]


def test_simulated_root_is_never_hardware(
    evidence: Evidence, policy: AppraisalPolicy, expected: Expected
) -> None:
    """Whatever a policy says, only what is written in the code can be hardware."""
    for accept_simulated in (False, True):
        for roots in (policy.roots, policy.roots | HARDWARE_ROOTS):
            asked = replace(policy, roots=roots, accept_simulated=accept_simulated)
            verdict = appraise(evidence, policy=asked, expected=expected, now_ms=NOW_MS)
            assert verdict.assurance == "simulated"
            assert verdict.is_accepted == accept_simulated


@pytest.mark.parametrize("report", [b"", b"\x00", bytes(1183), bytes(1185)])
def test_report_of_wrong_size_is_refused(
    judge: Judge, evidence: Evidence, report: bytes
) -> None:
    verdict = judge(replace(evidence, report=report))
    assert failed_rules(verdict) == ["snp.report_form"]
    assert verdict.measurement is None


def test_evidence_of_other_format_is_refused(judge: Judge, evidence: Evidence) -> None:
    """The job chooses the verifier, not the evidence."""
    verdict = judge(replace(evidence, format="nitro"))
    assert failed_rules(verdict) == ["evidence.format"]
    assert verdict.assurance == "none"


def test_policy_has_no_defaults() -> None:
    for field in (*fields(AppraisalPolicy), *fields(Expected)):
        assert field.default is MISSING
        assert field.default_factory is MISSING
