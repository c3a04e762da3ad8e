"""The SEV-SNP attestation report: 1,184 bytes that a chip signs about a guest.

A report is kept as the bytes that came, for these are what is signed; the
fields are views on them. Reserved bytes must be zero, so that no bit of a report
can change without notice.

Source: AMD 56860, "SEV Secure Nested Paging Firmware ABI Specification",
section 7.3 (ATTESTATION_REPORT) and chapter 10 (ECDSA P-384 signature).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from enclave_sim.errors import ReportError, ReportVersionError

REPORT_BYTES = 1184
SIGNED_BYTES = 0x2A0
REPORT_DATA_BYTES = 64
MEASUREMENT_BYTES = 48
HOST_DATA_BYTES = 32

VERSION_MIN = 2
"""The first public version; it is what Milan's early firmware emits."""
VERSION_MAX = 5
"""Adds the mitigation vectors. What a later one means we cannot know."""

ECDSA_P384_SHA384 = 1
SIGNING_KEY_VCEK = 0
SIGNING_KEY_VLEK = 1
_SIGNING_KEYS = (SIGNING_KEY_VCEK, SIGNING_KEY_VLEK)

_SCALAR_BYTES = 72
"""r and s are padded to 72 bytes, little-endian."""
_P384_BYTES = 48
_POLICY_SMT = 1 << 16
_POLICY_RESERVED_ONE = 1 << 17
_POLICY_MIGRATION = 1 << 18
_POLICY_DEBUG = 1 << 19

_EMITTED_VERSION = 3
_MILAN_CPU = bytes((0x19, 0x01, 0x01))
"""Family, model and stepping as CPUID gives them."""

_RESERVED: Mapping[int, tuple[tuple[int, int], ...]] = {
    2: ((0x188, 0x1A0), (0x1F8, SIGNED_BYTES)),
    3: ((0x18B, 0x1A0), (0x1F8, SIGNED_BYTES)),
    4: ((0x18B, 0x1A0), (0x208, SIGNED_BYTES)),
    5: ((0x18B, 0x1A0), (0x208, SIGNED_BYTES)),
}
_RESERVED_ALWAYS = (
    (0x4C, 0x50),
    (0x1EB, 0x1EC),
    (0x1EF, 0x1F0),
    (SIGNED_BYTES + _P384_BYTES, SIGNED_BYTES + _SCALAR_BYTES),
    (SIGNED_BYTES + _SCALAR_BYTES + _P384_BYTES, REPORT_BYTES),
)


@dataclass(frozen=True)
class SnpReport:
    """One report, in form, but not yet believed."""

    data: bytes

    @property
    def version(self) -> int:
        """Format version."""
        return self._word(0x00)

    @property
    def policy(self) -> int:
        """What the guest's owner allowed at launch, 64 bits."""
        return int.from_bytes(self.data[0x08:0x10], "little")

    @property
    def is_debug_allowed(self) -> bool:
        """Whether the host may read the guest's memory through the debugger."""
        return bool(self.policy & _POLICY_DEBUG)

    @property
    def is_migration_allowed(self) -> bool:
        """Whether a migration agent may move the guest elsewhere."""
        return bool(self.policy & _POLICY_MIGRATION)

    @property
    def vmpl(self) -> int:
        """Privilege level of who asked for the report; 0 is the highest."""
        return self._word(0x30)

    @property
    def signature_algorithm(self) -> int:
        """How the report is signed; only `ECDSA_P384_SHA384` is known."""
        return self._word(0x34)

    @property
    def current_tcb(self) -> bytes:
        """Patch levels now running, 8 bytes."""
        return self.data[0x38:0x40]

    @property
    def key_info(self) -> int:
        """Flags about the signing key, 32 bits."""
        return self._word(0x48)

    @property
    def signing_key(self) -> int:
        """Kind of key that signed: `SIGNING_KEY_VCEK` or `SIGNING_KEY_VLEK`."""
        return self.key_info >> 2 & 0b111

    @property
    def report_data(self) -> bytes:
        """What the guest bound to this report, 64 bytes."""
        return self.data[0x50:0x90]

    @property
    def measurement(self) -> bytes:
        """Digest of what was launched, 48 bytes."""
        return self.data[0x90:0xC0]

    @property
    def host_data(self) -> bytes:
        """What the host gave at launch, 32 bytes."""
        return self.data[0xC0:0xE0]

    @property
    def reported_tcb(self) -> bytes:
        """Patch levels that the endorsement key was derived for, 8 bytes."""
        return self.data[0x180:0x188]

    @property
    def chip_id(self) -> bytes:
        """Identity of the chip, 64 bytes; zeros if the host masks it."""
        return self.data[0x1A0:0x1E0]

    @property
    def committed_tcb(self) -> bytes:
        """Patch levels below which the platform cannot go back, 8 bytes."""
        return self.data[0x1E0:0x1E8]

    @property
    def launch_tcb(self) -> bytes:
        """Patch levels when the guest was launched, 8 bytes."""
        return self.data[0x1F0:0x1F8]

    @property
    def is_provisional(self) -> bool:
        """Whether the firmware runs on trial: not yet committed, so reversible."""
        current, committed = self.data[0x1E8:0x1EB], self.data[0x1EC:0x1EF]
        return self.current_tcb != self.committed_tcb or current != committed

    def _word(self, offset: int) -> int:
        return int.from_bytes(self.data[offset : offset + 4], "little")


@dataclass(frozen=True, kw_only=True)
class SnpClaims:
    """The fields of a report that an emulated platform fills in."""

    report_data: bytes
    measurement: bytes
    host_data: bytes
    chip_id: bytes
    tcb: bytes
    report_id: bytes
    is_debug_allowed: bool
    is_migration_allowed: bool
    vmpl: int


def parse_report(data: bytes) -> SnpReport:
    """Check the form of a report; its content is for the appraisal.

    Args:
        data: 1,184 bytes.

    Raises:
        ReportVersionError: Of a version outside the window we know.
        ReportError: Of another size, signed in a way we do not know, or with a
            reserved bit not as it must be.
    """
    if len(data) != REPORT_BYTES:
        raise ReportError(f"A report has {REPORT_BYTES} bytes, not {len(data)}.")
    report = SnpReport(data)
    if not VERSION_MIN <= report.version <= VERSION_MAX:
        raise ReportVersionError(f"Report version {report.version} is not known.")
    if report.signature_algorithm != ECDSA_P384_SHA384:
        raise ReportError("A report is not signed with ECDSA P-384 and SHA-384.")
    if report.key_info >> 5 or report.signing_key not in _SIGNING_KEYS:
        raise ReportError("A report is signed by a kind of key we do not know.")
    if not report.policy & _POLICY_RESERVED_ONE:
        raise ReportError("A report's policy lacks the bit that is always set.")
    for start, stop in (*_RESERVED_ALWAYS, *_RESERVED[report.version]):
        if any(data[start:stop]):
            raise ReportError(f"A report has reserved bits set after 0x{start:x}.")
    return report


def verify_signature(report: SnpReport, key: ec.EllipticCurvePublicKey) -> None:
    """Check that an endorsement key signed a report.

    Args:
        report: The report.
        key: On the curve P-384, from a certificate whose chain is judged apart.

    Raises:
        ReportError: The signature does not hold.
    """
    signature = report.data[SIGNED_BYTES:]
    r = int.from_bytes(signature[:_SCALAR_BYTES], "little")
    s = int.from_bytes(signature[_SCALAR_BYTES : 2 * _SCALAR_BYTES], "little")
    signed = report.data[:SIGNED_BYTES]
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise ReportError("A report's signature does not hold.") from error


def sign_report(claims: SnpClaims, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a report of version 3 as firmware of a Milan platform would.

    Args:
        claims: What it says.
        key: The endorsement key, on the curve P-384.

    Returns:
        1,184 bytes.
    """
    body = bytearray(SIGNED_BYTES)
    policy = _POLICY_SMT | _POLICY_RESERVED_ONE
    policy |= _POLICY_DEBUG if claims.is_debug_allowed else 0
    policy |= _POLICY_MIGRATION if claims.is_migration_allowed else 0
    struct.pack_into("<IIQ", body, 0x00, _EMITTED_VERSION, 0, policy)
    struct.pack_into("<II", body, 0x30, claims.vmpl, ECDSA_P384_SHA384)
    for offset in (0x38, 0x180, 0x1E0, 0x1F0):
        body[offset : offset + 8] = claims.tcb
    body[0x50:0x90] = claims.report_data
    body[0x90:0xC0] = claims.measurement
    body[0xC0:0xE0] = claims.host_data
    body[0x140:0x160] = claims.report_id
    body[0x160:0x180] = b"\xff" * 32  # no migration agent
    body[0x188:0x18B] = _MILAN_CPU
    body[0x1A0:0x1E0] = claims.chip_id
    assert len(body) == SIGNED_BYTES, "a claim has the wrong size"
    r, s = decode_dss_signature(key.sign(bytes(body), ec.ECDSA(hashes.SHA384())))
    scalars = r.to_bytes(_SCALAR_BYTES, "little") + s.to_bytes(_SCALAR_BYTES, "little")
    return (bytes(body) + scalars).ljust(REPORT_BYTES, b"\x00")
