"""Evidence: what an enclave says of itself, as it travels.

`format` is the one place where a verifier chooses how to read the rest, and the
policy, not the evidence, says which format is acceptable.
"""

from dataclasses import dataclass

from enclave_sim.attestation.certificates import CERTIFICATE_BYTES_MAX
from enclave_sim.errors import EvidenceError
from ledger.encoding import (
    Json,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_json,
)
from ledger.errors import EncodingError

SNP_FORMAT = "snp"
"""An SEV-SNP attestation report with its certificates."""

REPORT_BYTES_MAX = 8192
"""The largest report of any vendor we know of stays below 6 KB."""

CERTIFICATES_MAX = 4
"""SEV-SNP needs three; one more is enough for any vendor."""

EVIDENCE_BYTES_MAX = 4 * (REPORT_BYTES_MAX + CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX)
"""All of it at its largest in base64, three times over: no parser is tired by this."""


@dataclass(frozen=True)
class Evidence:
    """A report and the certificates of the key that signed it."""

    format: str
    """`SNP_FORMAT`; other formats are refused by the appraisal."""
    report: bytes
    certificates: tuple[bytes, ...]
    """DER, the signing key's own first, the root last."""

    def to_json(self) -> dict[str, Json]:
        """The evidence as a JSON object."""
        return {
            "format": self.format,
            "report": encode_base64(self.report),
            "certificates": [encode_base64(item) for item in self.certificates],
        }

    def encode(self) -> bytes:
        """The evidence as canonical JSON."""
        return canonical_json(self.to_json())


def parse_evidence(data: bytes) -> Evidence:
    """Read evidence from outside.

    Args:
        data: JSON, at most `EVIDENCE_BYTES_MAX`.

    Raises:
        EvidenceError: Not in the form that `Evidence.encode` writes, or too large.
    """
    try:
        return evidence_from_json(parse_json(data, size_max=EVIDENCE_BYTES_MAX))
    except EncodingError as error:
        raise EvidenceError("Evidence is not strict JSON of bounded size.") from error


def evidence_from_json(value: Json) -> Evidence:
    """Read evidence from a JSON value that was parsed strictly.

    Raises:
        EvidenceError: Not in the form that `Evidence.to_json` writes.
    """
    if not isinstance(value, dict) or set(value) != {
        "format",
        "report",
        "certificates",
    }:
        raise EvidenceError("Evidence has the keys format, report and certificates.")
    listed = value["certificates"]
    if not isinstance(listed, list) or len(listed) > CERTIFICATES_MAX:
        raise EvidenceError(f"Evidence lists at most {CERTIFICATES_MAX} certificates.")
    form = value["format"]
    if not isinstance(form, str) or len(form) > 32:
        raise EvidenceError("The format of evidence is a short name.")
    certificates = tuple(_decode(item, CERTIFICATE_BYTES_MAX) for item in listed)
    return Evidence(form, _decode(value["report"], REPORT_BYTES_MAX), certificates)


def _decode(value: Json, size_max: int) -> bytes:
    if not isinstance(value, str) or len(value) > 4 * size_max:
        raise EvidenceError("A part of the evidence is no base64 text, or too long.")
    try:
        data = decode_base64(value)
    except EncodingError as error:
        raise EvidenceError("A part of the evidence is not base64.") from error
    if len(data) > size_max:
        raise EvidenceError(f"A part of the evidence is above {size_max} bytes.")
    return data
