"""The verdict on evidence: pure, total, and closed when in doubt.

The same code judges genuine AMD evidence and simulated evidence; only the root
differs, and with it the assurance. Every failed rule is listed. Where a report or a
certificate has no good form, that is the failure, and rules that would need
what it says are not reached; nothing is ever accepted for want of a check.

| rule | refuses |
| --- | --- |
| `evidence.format` | another format than the policy's |
| `evidence.assurance` | a simulated root, without the policy's second consent |
| `snp.report_form` | a report that is not in its form |
| `snp.version` | a report of a version we do not know |
| `snp.certificate_form` | a chain that is not three well-formed certificates |
| `snp.root` | a root that is not pinned |
| `snp.chain` | a certificate that its issuer did not sign |
| `snp.validity` | a certificate too young or too old now |
| `snp.signature` | a report that the endorsement key did not sign |
| `snp.signing_key` | another kind of key than the report names, or a VLEK unasked |
| `snp.tcb` | patch levels other than those in the certificate |
| `snp.chip_id` | another chip than the certificate's, or one not allowed |
| `snp.debug` | a guest whose memory the host may read |
| `snp.migration` | a guest that may be moved elsewhere |
| `snp.vmpl` | a report asked for at another privilege level |
| `snp.measurement` | code that is not among those allowed |
| `snp.report_data` | evidence bound to another session or other keys |
| `snp.host_data` | unexpected configuration from the host |
| `snp.minimum_tcb` | patch levels, now or at launch, below the minimum |
| `snp.provisional` | firmware on trial |

Order of the checks: Confidential Containers Trustee, SEV-SNP verifier.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from enclave_sim.attestation.certificates import (
    Certificate,
    Endorsement,
    parse_certificate,
    read_endorsement,
    verify_issued_by,
)
from enclave_sim.attestation.evidence import SNP_FORMAT, Evidence
from enclave_sim.attestation.policy import NOT_CHECKED, AppraisalPolicy, Expected
from enclave_sim.attestation.roots import Assurance, assurance_of_root
from enclave_sim.attestation.snp import (
    SIGNING_KEY_VLEK,
    SnpReport,
    parse_report,
    verify_signature,
)
from enclave_sim.attestation.tcb import parse_tcb
from enclave_sim.errors import CertificateError, ReportError, ReportVersionError

_AUTHENTICITY = frozenset(
    {
        "snp.report_form",
        "snp.version",
        "snp.certificate_form",
        "snp.root",
        "snp.chain",
        "snp.validity",
        "snp.signature",
        "snp.signing_key",
    }
)
"""Rules without which evidence is nobody's word."""


@dataclass(frozen=True)
class Failure:
    """One rule that evidence failed."""

    rule_id: str
    """Stable, for machines; the table of this module lists them."""
    message: str
    """A sentence for a person."""


@dataclass(frozen=True, kw_only=True)
class Appraisal:
    """The verdict on one piece of evidence."""

    assurance: Assurance
    """What the evidence is worth; `none` unless its chain and signature hold and end
    in an accepted root. What is not accepted is worth nothing all the same."""
    failures: tuple[Failure, ...]
    """Every failed rule, in the order of the checks."""
    measurement: bytes | None
    """What runs, as the evidence has it; None if it cannot be read."""
    chip_id: bytes | None
    """On which machine, as the evidence has it; None if it cannot be read."""

    @property
    def is_accepted(self) -> bool:
        """Whether no rule failed; only then does anything else here hold."""
        return not self.failures


@dataclass(frozen=True)
class _Chain:
    """What three certificates came to."""

    endorsement: Endorsement | None
    assurance: Assurance


def appraise(
    evidence: Evidence, *, policy: AppraisalPolicy, expected: Expected, now_ms: int
) -> Appraisal:
    """Judge evidence against a policy and the values of one session.

    Args:
        evidence: From outside; may hold anything.
        policy: What the consumer demands.
        expected: What this session must show.
        now_ms: The instant at which certificates must be valid.

    Returns:
        The verdict. No content of the evidence makes this raise.
    """
    if evidence.format != policy.format or evidence.format != SNP_FORMAT:
        failure = Failure("evidence.format", "The evidence is of another format.")
        return Appraisal(
            assurance="none", failures=(failure,), measurement=None, chip_id=None
        )
    failures: list[Failure] = []
    report = _read_report(evidence, failures)
    chain = _judge_chain(evidence, policy, now_ms, failures)
    if report is not None and chain.endorsement is not None:
        failures += _judge_endorsement(report, chain.endorsement, policy)
    if report is not None:
        failures += _judge_claims(report, policy, expected)
    is_authentic = _AUTHENTICITY.isdisjoint(item.rule_id for item in failures)
    return Appraisal(
        assurance=chain.assurance if is_authentic else "none",
        failures=tuple(failures),
        measurement=report.measurement if report else None,
        chip_id=report.chip_id if report else None,
    )


def _read_report(evidence: Evidence, failures: list[Failure]) -> SnpReport | None:
    try:
        return parse_report(evidence.report)
    except ReportVersionError as error:
        failures.append(Failure("snp.version", str(error)))
    except ReportError as error:
        failures.append(Failure("snp.report_form", str(error)))
    return None


def _judge_chain(
    evidence: Evidence,
    policy: AppraisalPolicy,
    now_ms: int,
    failures: list[Failure],
) -> _Chain:
    try:
        leaf, signer, root = _parse_certificates(evidence)
        endorsement = read_endorsement(leaf)
    except CertificateError as error:
        failures.append(Failure("snp.certificate_form", str(error)))
        return _Chain(None, "none")
    is_pinned = root.pin in policy.roots
    if not is_pinned:
        failures.append(Failure("snp.root", "The root is not one of those pinned."))
    broken = _find_broken_link((leaf, signer, root))
    if broken is not None:
        failures.append(Failure("snp.chain", broken))
    assurance = assurance_of_root(root.pin) if is_pinned else "none"
    if assurance == "simulated" and not policy.accept_simulated:
        message = "The evidence is simulated and proves nothing about hardware."
        failures.append(Failure("evidence.assurance", message))
    if not all(item.is_valid_at(now_ms) for item in (leaf, signer, root)):
        message = "A certificate is not valid at this time."
        failures.append(Failure("snp.validity", message))
    return _Chain(endorsement, assurance)


def _parse_certificates(
    evidence: Evidence,
) -> tuple[Certificate, Certificate, Certificate]:
    if len(evidence.certificates) != 3:
        raise CertificateError("The evidence does not hold three certificates.")
    leaf, signer, root = (parse_certificate(item) for item in evidence.certificates)
    return leaf, signer, root


def _find_broken_link(
    chain: tuple[Certificate, Certificate, Certificate],
) -> str | None:
    leaf, signer, root = chain
    try:
        verify_issued_by(root, root)
        verify_issued_by(signer, root)
        verify_issued_by(leaf, signer)
    except CertificateError as error:
        return str(error)
    return None


def _judge_endorsement(
    report: SnpReport, endorsement: Endorsement, policy: AppraisalPolicy
) -> Iterator[Failure]:
    try:
        verify_signature(report, endorsement.key)
    except ReportError as error:
        yield Failure("snp.signature", str(error))
    is_vlek = endorsement.chip_id is None
    if is_vlek != (report.signing_key == SIGNING_KEY_VLEK):
        yield Failure("snp.signing_key", "The report names another kind of key.")
    elif is_vlek and not policy.accept_vlek:
        message = "An operator's key vouches, which names no chip."
        yield Failure("snp.signing_key", message)
    if report.reported_tcb != endorsement.tcb.encode():
        message = "The report's patch levels are not those of its certificate."
        yield Failure("snp.tcb", message)
    if not is_vlek and report.chip_id != endorsement.chip_id:
        yield Failure("snp.chip_id", "The report is of another chip.")
    # The certificate's levels decide: the report's own are only its word.
    is_turin = endorsement.tcb.fmc is not None
    launch_tcb = parse_tcb(report.launch_tcb, is_turin=is_turin)
    for levels, moment in ((endorsement.tcb, "now"), (launch_tcb, "at launch")):
        if not levels.reaches(policy.minimum_tcb):
            message = f"The platform's patch levels were too low {moment}."
            yield Failure("snp.minimum_tcb", message)


def _judge_claims(
    report: SnpReport, policy: AppraisalPolicy, expected: Expected
) -> Iterator[Failure]:
    if policy.chip_ids is not NOT_CHECKED and report.chip_id not in policy.chip_ids:
        yield Failure("snp.chip_id", "The chip is not one of those allowed.")
    if report.is_debug_allowed and not policy.accept_debug:
        yield Failure("snp.debug", "The host may read this guest's memory.")
    if report.is_migration_allowed and not policy.accept_migration:
        yield Failure("snp.migration", "The guest may be moved elsewhere.")
    if report.vmpl != policy.vmpl:
        message = f"The report was asked for at privilege level {report.vmpl}."
        yield Failure("snp.vmpl", message)
    if report.measurement not in policy.measurements:
        yield Failure("snp.measurement", "What runs is not among what is allowed.")
    if not hmac.compare_digest(report.report_data, expected.report_data):
        message = "The evidence is bound to another session or other keys."
        yield Failure("snp.report_data", message)
    if report.host_data != expected.host_data:
        yield Failure("snp.host_data", "The host gave configuration of its own.")
    if report.is_provisional and not policy.accept_provisional:
        yield Failure("snp.provisional", "The platform's firmware is on trial.")
