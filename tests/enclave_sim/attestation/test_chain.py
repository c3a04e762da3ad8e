"""Chains that nearly lead from the endorsement key to the pinned root."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ObjectIdentifier

from enclave_sim.attestation import (
    Appraisal,
    AppraisalPolicy,
    Evidence,
    Expected,
    appraise,
)
from enclave_sim.attestation.certificates import (
    CSP_ID,
    HARDWARE_ID,
    TCB_EXTENSIONS,
    TCB_FMC,
)
from enclave_sim.attestation.issuing import (
    NOT_AFTER,
    NOT_BEFORE,
    ROOT_NAME,
    SIGNER_NAME,
    issue_authority,
    issue_endorsement,
)
from enclave_sim.attestation.tcb import Tcb
from enclave_sim.attestation.vendor import (
    SIMULATED_TCB,
    DevelopmentVendor,
    SimulatedChip,
    simulated_chip_id,
)

Judge = Callable[[Evidence], Appraisal]
Resign = Callable[..., Evidence]

NOW_MS = 1_790_000_000_000
MEASUREMENT = bytes(range(48))
REPORT_DATA = bytes(range(64))


def rules(appraisal: Appraisal) -> list[str]:
    return [failure.rule_id for failure in appraisal.failures]


def with_chain(evidence: Evidence, *certificates: bytes) -> Evidence:
    return replace(evidence, certificates=certificates)


def issue_leaf(
    chip: SimulatedChip,
    signer: rsa.RSAPrivateKey,
    *,
    extensions: dict[str, bytes | None] | None = None,
    **options: Any,
) -> bytes:
    """An endorsement certificate with anything changed."""
    old = x509.load_der_x509_certificate(chip.certificates[0])
    values = {item.oid.dotted_string: item.value.value for item in old.extensions}
    for identifier, value in (extensions or {}).items():
        values.pop(identifier, None)
        if value is not None:
            values[identifier] = value
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(options.get("issuer", old.issuer))
        .serial_number(7)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .public_key(options.get("key", chip.key.public_key()))
    )
    for identifier, value in values.items():
        extension = x509.UnrecognizedExtension(ObjectIdentifier(identifier), value)
        builder = builder.add_extension(
            extension, critical=identifier in options.get("critical", ())
        )
    if options.get("is_authority"):
        limits = x509.BasicConstraints(ca=True, path_length=None)
        builder = builder.add_extension(limits, critical=True)
        usage = x509.load_der_x509_certificate(chip.certificates[1]).extensions
        usage = usage.get_extension_for_class(x509.KeyUsage).value
        builder = builder.add_extension(usage, critical=True)
    scheme = options.get("scheme", padding.PSS(padding.MGF1(hashes.SHA384()), 48))
    digest = options.get("digest", hashes.SHA384())
    certificate = builder.sign(signer, digest, rsa_padding=scheme)
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def signer(vendor: DevelopmentVendor) -> rsa.RSAPrivateKey:
    return vendor._key("ask")


def test_reissued_leaf_is_accepted(
    judge: Judge, evidence: Evidence, chip: SimulatedChip, signer: rsa.RSAPrivateKey
) -> None:
    """The tool of this file makes good certificates when nothing is changed."""
    _, ask, ark = chip.certificates
    assert judge(with_chain(evidence, issue_leaf(chip, signer), ask, ark)).is_accepted


def test_foreign_vendor_is_refused(
    judge: Judge,
    evidence: Evidence,
    chip: SimulatedChip,
    foreign_key: rsa.RSAPrivateKey,
) -> None:
    """A whole chain of the same names, made by someone else."""
    public = foreign_key.public_key()
    ark = issue_authority(ROOT_NAME, key=public, issuer_key=foreign_key)
    ask = issue_authority(SIGNER_NAME, key=public, issuer_key=foreign_key)
    vcek = issue_endorsement(
        chip.key.public_key(),
        chip_id=chip.chip_id,
        tcb=chip.tcb,
        issuer_key=foreign_key,
    )
    verdict = judge(with_chain(evidence, vcek, ask, ark))
    assert rules(verdict) == ["snp.root"]
    assert verdict.assurance == "none"


def test_foreign_signer_under_pinned_root_is_refused(
    judge: Judge,
    evidence: Evidence,
    chip: SimulatedChip,
    foreign_key: rsa.RSAPrivateKey,
) -> None:
    public = foreign_key.public_key()
    ask = issue_authority(SIGNER_NAME, key=public, issuer_key=foreign_key)
    vcek = issue_leaf(chip, foreign_key)
    verdict = judge(with_chain(evidence, vcek, ask, chip.certificates[2]))
    assert rules(verdict) == ["snp.chain"]
    assert verdict.assurance == "none"


def test_leaf_of_foreign_signer_is_refused(
    judge: Judge,
    evidence: Evidence,
    chip: SimulatedChip,
    foreign_key: rsa.RSAPrivateKey,
) -> None:
    _, ask, ark = chip.certificates
    vcek = issue_leaf(chip, foreign_key)
    assert rules(judge(with_chain(evidence, vcek, ask, ark))) == ["snp.chain"]


def test_root_as_signer_is_refused(
    judge: Judge, evidence: Evidence, chip: SimulatedChip, vendor: DevelopmentVendor
) -> None:
    """The root signs no chips; and its name is not the leaf's issuer."""
    ark = chip.certificates[2]
    vcek = issue_leaf(chip, vendor._key("ark"))
    assert rules(judge(with_chain(evidence, vcek, ark, ark))) == ["snp.chain"]


def test_leaf_with_other_issuer_name_is_refused(
    judge: Judge, evidence: Evidence, chip: SimulatedChip, signer: rsa.RSAPrivateKey
) -> None:
    _, ask, ark = chip.certificates
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "SEV-Milan")])
    vcek = issue_leaf(chip, signer, issuer=name)
    assert rules(judge(with_chain(evidence, vcek, ask, ark))) == ["snp.chain"]


@pytest.mark.parametrize("kept", [(), (0,), (0, 1), (0, 1, 2, 2)])
def test_chain_of_other_length_is_refused(
    judge: Judge, evidence: Evidence, kept: tuple[int, ...]
) -> None:
    chain = (evidence.certificates[index] for index in kept)
    assert rules(judge(with_chain(evidence, *chain))) == ["snp.certificate_form"]


def test_chain_in_other_order_is_refused(judge: Judge, evidence: Evidence) -> None:
    leaf, signer, root = evidence.certificates
    for chain in ((root, signer, leaf), (leaf, root, signer), (signer, leaf, root)):
        assert not judge(with_chain(evidence, *chain)).is_accepted


def test_authority_as_endorsement_is_refused(
    judge: Judge, evidence: Evidence, chip: SimulatedChip, signer: rsa.RSAPrivateKey
) -> None:
    _, ask, ark = chip.certificates
    for leaf in (ask, issue_leaf(chip, signer, is_authority=True)):
        verdict = judge(with_chain(evidence, leaf, ask, ark))
        assert rules(verdict) == ["snp.certificate_form"]


def test_chip_cannot_vouch_for_another(
    judge: Judge,
    evidence: Evidence,
    chip: SimulatedChip,
    vendor: DevelopmentVendor,
    resign: Resign,
) -> None:
    """The classic relay: a good certificate of another chip, or a foreign key."""
    other = vendor.issue_chip(simulated_chip_id("other"))
    verdict = judge(with_chain(evidence, *other.certificates))
    assert rules(verdict) == ["snp.signature", "snp.chip_id"]
    stolen = resign({}, other.key)
    assert rules(judge(stolen)) == ["snp.signature"]


def test_key_on_other_curve_is_refused(
    judge: Judge, evidence: Evidence, chip: SimulatedChip, signer: rsa.RSAPrivateKey
) -> None:
    _, ask, ark = chip.certificates
    weak = ec.generate_private_key(ec.SECP256R1()).public_key()
    for key in (weak, signer.public_key()):
        verdict = judge(
            with_chain(evidence, issue_leaf(chip, signer, key=key), ask, ark)
        )
        assert rules(verdict) == ["snp.certificate_form"]


@pytest.mark.parametrize(
    ("scheme", "digest"),
    [
        (padding.PKCS1v15(), hashes.SHA384()),
        (padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
        (padding.PSS(padding.MGF1(hashes.SHA384()), 32), hashes.SHA384()),
    ],
)
def test_other_signature_algorithm_is_refused(
    judge: Judge,
    evidence: Evidence,
    chip: SimulatedChip,
    signer: rsa.RSAPrivateKey,
    scheme: Any,
    digest: Any,
) -> None:
    _, ask, ark = chip.certificates
    vcek = issue_leaf(chip, signer, scheme=scheme, digest=digest)
    verdict = judge(with_chain(evidence, vcek, ask, ark))
    assert rules(verdict) == ["snp.certificate_form"]


@pytest.mark.parametrize(
    "extensions",
    [
        {TCB_EXTENSIONS["snp"]: None},
        {TCB_EXTENSIONS["snp"]: b"\x02\x02\x01\x00"},
        {TCB_EXTENSIONS["snp"]: b"\x02\x01\x80"},
        {TCB_EXTENSIONS["snp"]: b"\x02\x02\x00\x10"},
        {TCB_EXTENSIONS["snp"]: b"\x02\x01\x18\x00"},
        {TCB_EXTENSIONS["snp"]: b"\x04\x01\x18"},
        {TCB_EXTENSIONS["snp"]: b""},
        {HARDWARE_ID: None},
        {HARDWARE_ID: bytes(63)},
        {HARDWARE_ID: b"\x04\x3f" + bytes(63)},
        {HARDWARE_ID: b"\x04\x40" + bytes(65)},
        {CSP_ID: b"cloud"},
        {TCB_FMC: b"\x02\x01\x01"},
    ],
)
def test_endorsement_out_of_form_is_refused(
    judge: Judge,
    evidence: Evidence,
    chip: SimulatedChip,
    signer: rsa.RSAPrivateKey,
    extensions: dict[str, bytes | None],
) -> None:
    _, ask, ark = chip.certificates
    vcek = issue_leaf(chip, signer, extensions=extensions)
    verdict = judge(with_chain(evidence, vcek, ask, ark))
    assert rules(verdict) == ["snp.certificate_form"]


def test_short_authority_key_is_refused(
    judge: Judge, evidence: Evidence, chip: SimulatedChip
) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = short.public_key()
    ark = issue_authority(ROOT_NAME, key=public, issuer_key=short)
    ask = issue_authority(SIGNER_NAME, key=public, issuer_key=short)
    vcek = issue_leaf(chip, short)
    verdict = judge(with_chain(evidence, vcek, ask, ark))
    assert rules(verdict) == ["snp.root", "snp.chain"]


def test_oversized_certificate_is_refused(judge: Judge, evidence: Evidence) -> None:
    _, ask, ark = evidence.certificates
    verdict = judge(with_chain(evidence, bytes(4097), ask, ark))
    assert rules(verdict) == ["snp.certificate_form"]


def test_unknown_critical_extension_is_refused(
    judge: Judge, evidence: Evidence, chip: SimulatedChip, signer: rsa.RSAPrivateKey
) -> None:
    _, ask, ark = chip.certificates
    vcek = issue_leaf(chip, signer, critical={HARDWARE_ID})
    verdict = judge(with_chain(evidence, vcek, ask, ark))
    assert rules(verdict) == ["snp.certificate_form"]


def test_newer_form_of_chip_id_is_accepted(
    judge: Judge, evidence: Evidence, chip: SimulatedChip, signer: rsa.RSAPrivateKey
) -> None:
    _, ask, ark = chip.certificates
    wrapped = {HARDWARE_ID: b"\x04\x40" + chip.chip_id}
    vcek = issue_leaf(chip, signer, extensions=wrapped)
    assert judge(with_chain(evidence, vcek, ask, ark)).is_accepted


def test_operators_key_needs_consent(
    chip: SimulatedChip,
    signer: rsa.RSAPrivateKey,
    resign: Resign,
    policy: AppraisalPolicy,
    expected: Expected,
) -> None:
    """A VLEK names no chip; it is refused unless the policy asks for it."""
    _, ask, ark = chip.certificates
    vlek = issue_leaf(chip, signer, extensions={HARDWARE_ID: None, CSP_ID: b"cloud"})
    signed = with_chain(resign({0x48: b"\x04", 0x1A0: bytes(64)}), vlek, ask, ark)
    asked = replace(policy, accept_vlek=True)

    def rules_under(wanted: AppraisalPolicy, evidence: Evidence) -> list[str]:
        return rules(
            appraise(evidence, policy=wanted, expected=expected, now_ms=NOW_MS)
        )

    assert rules_under(policy, signed) == ["snp.signing_key"]
    assert rules_under(asked, signed) == []
    # The report must say itself that an operator's key signed it.
    unnamed = with_chain(resign({}), vlek, ask, ark)
    assert rules_under(asked, unnamed) == ["snp.signing_key"]


def test_turin_levels_are_read_in_their_order(
    vendor: DevelopmentVendor, policy: AppraisalPolicy, expected: Expected
) -> None:
    """From Turin on a chip has one more level, and an identity of 8 bytes."""
    tcb = Tcb(fmc=1, bootloader=2, tee=3, snp=4, microcode=250)
    identity = simulated_chip_id("turin")[:8].ljust(64, b"\x00")
    turin = vendor.issue_chip(identity, tcb=tcb)
    made = turin.report(measurement=MEASUREMENT, report_data=REPORT_DATA)
    met = replace(policy, minimum_tcb=tcb)
    unmet = replace(policy, minimum_tcb=replace(tcb, fmc=2))
    assert appraise(made, policy=met, expected=expected, now_ms=NOW_MS).is_accepted
    verdict = appraise(made, policy=unmet, expected=expected, now_ms=NOW_MS)
    assert rules(verdict) == ["snp.minimum_tcb", "snp.minimum_tcb"]


def test_levels_above_127_keep_their_sign(chip: SimulatedChip) -> None:
    assert SIMULATED_TCB.microcode > 127
    assert chip.tcb == SIMULATED_TCB
