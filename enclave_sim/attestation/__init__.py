"""Evidence and its appraisal: pure, without keys, network or clock.

This is all that a consumer needs to judge an enclave. Who makes simulated
evidence is in `enclave_sim.attestation.vendor`, which is not imported from here.
"""

from enclave_sim.attestation.appraisal import Appraisal, Failure, appraise
from enclave_sim.attestation.binding import (
    Attestation,
    Challenge,
    EnclaveKeys,
    parse_attestation,
    parse_challenge,
    report_data,
)
from enclave_sim.attestation.evidence import SNP_FORMAT, Evidence, parse_evidence
from enclave_sim.attestation.policy import (
    NO_HOST_DATA,
    NOT_CHECKED,
    AppraisalPolicy,
    Expected,
)
from enclave_sim.attestation.roots import (
    HARDWARE_ROOTS,
    SIMULATED_ROOT,
    Assurance,
    assurance_of_root,
)
from enclave_sim.attestation.tcb import Tcb

__all__ = [
    "HARDWARE_ROOTS",
    "NOT_CHECKED",
    "NO_HOST_DATA",
    "SIMULATED_ROOT",
    "SNP_FORMAT",
    "Appraisal",
    "AppraisalPolicy",
    "Assurance",
    "Attestation",
    "Challenge",
    "EnclaveKeys",
    "Evidence",
    "Expected",
    "Failure",
    "Tcb",
    "appraise",
    "assurance_of_root",
    "parse_attestation",
    "parse_challenge",
    "parse_evidence",
    "report_data",
]
