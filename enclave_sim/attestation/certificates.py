"""Certificates of SEV-SNP: AMD root (ARK), signing (ASK) and endorsement key.

The endorsement key that signs reports is either a chip's own (VCEK, with the
chip's identity) or one loaded by a cloud operator (VLEK, without it). The
patch levels (TCB) it was derived for stand in its certificate's extensions.

Pure: the time is an argument and nothing is fetched.

Source: AMD 57230, "Versioned Chip Endorsement Key (VCEK) Certificate and KDS
Interface Specification", chapter 3; RFC 5280, section 4.1; RFC 4055, section 3.1.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from enclave_sim.attestation import der
from enclave_sim.attestation.der import DerReader
from enclave_sim.attestation.tcb import Tcb
from enclave_sim.errors import CertificateError

CERTIFICATE_BYTES_MAX = 4096
"""AMD's are at most 1.7 KB: two RSA-4096 values and a handful of names."""

EXTENSIONS_MAX = 32
"""A VCEK has 11."""

ROOT_KEY_BITS = 4096

STRUCT_VERSION = "1.3.6.1.4.1.3704.1.1"
PRODUCT_NAME = "1.3.6.1.4.1.3704.1.2"
TCB_EXTENSIONS = {
    "bootloader": "1.3.6.1.4.1.3704.1.3.1",
    "tee": "1.3.6.1.4.1.3704.1.3.2",
    "snp": "1.3.6.1.4.1.3704.1.3.3",
    "microcode": "1.3.6.1.4.1.3704.1.3.8",
}
TCB_FMC = "1.3.6.1.4.1.3704.1.3.9"
HARDWARE_ID = "1.3.6.1.4.1.3704.1.4"
CSP_ID = "1.3.6.1.4.1.3704.1.5"
BASIC_CONSTRAINTS = "2.5.29.19"
KEY_USAGE = "2.5.29.15"
UNDERSTOOD = frozenset({BASIC_CONSTRAINTS, KEY_USAGE})
"""The extensions that may be marked critical, since we heed them."""

CHIP_ID_BYTES = 64
TURIN_CHIP_ID_BYTES = 8
"""From Turin on a chip's identity has 8 bytes; the report pads it with zeros."""

_PSS_SHA384 = frozenset(
    {
        # RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt of 48 bytes; as DER wants it,
        # and as AMD writes it, with the default trailer field spelt out.
        bytes.fromhex(
            "304106092a864886f70d01010a3034a00f300d06096086480165030402020500"
            "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
        ),
        bytes.fromhex(
            "304606092a864886f70d01010a3039a00f300d06096086480165030402020500"
            "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
            "a303020101"
        ),
    }
)


@dataclass(frozen=True)
class Certificate:
    """One X.509 certificate, taken apart but not yet believed."""

    signed: bytes
    """The part under the signature, exactly as it came."""
    signature: bytes
    issuer: bytes
    subject: bytes
    not_before_ms: int
    not_after_ms: int
    key_info: bytes
    """The DER SubjectPublicKeyInfo."""
    extensions: Mapping[str, bytes]

    @cached_property
    def pin(self) -> bytes:
        """SHA-256 of the key, 32 bytes; what a root is known by."""
        return hashlib.sha256(self.key_info).digest()

    @property
    def is_authority(self) -> bool:
        """Whether this key may sign certificates.

        Source: RFC 5280, sections 4.2.1.3 (key usage) and 4.2.1.9.
        """
        constraints = self.extensions.get(BASIC_CONSTRAINTS, b"")
        usage = self.extensions.get(KEY_USAGE, b"")
        # SEQUENCE { BOOLEAN TRUE ... }, and a BIT STRING with bit 5 (keyCertSign).
        is_named = constraints[:1] == b"\x30" and constraints[2:5] == b"\x01\x01\xff"
        return is_named and len(usage) == 4 and bool(usage[3] & 0x04)

    def is_valid_at(self, now_ms: int) -> bool:
        """Whether an instant lies within the validity, both ends included."""
        return self.not_before_ms <= now_ms <= self.not_after_ms


@dataclass(frozen=True)
class Endorsement:
    """What a VCEK or VLEK certificate says of the key that signs reports."""

    key: ec.EllipticCurvePublicKey
    tcb: Tcb
    chip_id: bytes | None
    """64 bytes as a report has them, or None for a VLEK, which names no chip."""


def parse_certificate(data: bytes) -> Certificate:
    """Take one DER certificate apart.

    Args:
        data: DER, at most `CERTIFICATE_BYTES_MAX`.

    Raises:
        CertificateError: Too large, not strict DER, not a version 3 certificate,
            or signed by another algorithm than RSA-PSS with SHA-384.
    """
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise CertificateError(f"A certificate of {len(data)} bytes is too large.")
    reader = DerReader(data)
    outer = reader.enter(der.SEQUENCE)
    reader.finish()
    signed, content = outer.take_whole(der.SEQUENCE)
    algorithm = outer.take_whole(der.SEQUENCE)[0]
    signature = outer.take(der.BIT_STRING)
    outer.finish()
    if algorithm not in _PSS_SHA384:
        raise CertificateError("A certificate is not signed by RSA-PSS with SHA-384.")
    if signature[:1] != b"\x00":
        raise CertificateError("A certificate's signature is no whole count of bytes.")
    return _parse_signed(signed, content, algorithm, signature[1:])


def verify_issued_by(certificate: Certificate, issuer: Certificate) -> None:
    """Check that a certificate authority issued a certificate.

    Raises:
        CertificateError: The names do not meet, the issuer is no authority, its
            key is not RSA-4096, or the signature does not hold.
    """
    if certificate.issuer != issuer.subject:
        raise CertificateError("A certificate names another issuer.")
    if not issuer.is_authority:
        raise CertificateError("A certificate's issuer is no authority.")
    key = _load_key(issuer)
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != ROOT_KEY_BITS:
        raise CertificateError("A certificate's issuer has no RSA-4096 key.")
    scheme = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
    try:
        key.verify(certificate.signature, certificate.signed, scheme, hashes.SHA384())
    except InvalidSignature as error:
        raise CertificateError("A certificate's signature does not hold.") from error


def read_endorsement(certificate: Certificate) -> Endorsement:
    """Read key, patch levels and chip identity from a VCEK or VLEK certificate.

    Raises:
        CertificateError: The key is not P-384, an extension is missing or
            malformed, or the certificate is an authority's.
    """
    key = _load_key(certificate)
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp384r1":
        raise CertificateError("An endorsement key is not on the curve P-384.")
    if certificate.is_authority:
        raise CertificateError("An endorsement key must not be an authority.")
    extensions = certificate.extensions
    if (HARDWARE_ID in extensions) == (CSP_ID in extensions):
        raise CertificateError("An endorsement key is neither VCEK nor VLEK.")
    levels = {
        name: _parse_level(extensions, identifier)
        for name, identifier in TCB_EXTENSIONS.items()
    }
    fmc = _parse_level(extensions, TCB_FMC) if TCB_FMC in extensions else None
    tcb = Tcb(fmc=fmc, **levels)
    chip_id = None
    if HARDWARE_ID in extensions:
        chip_id = _parse_chip_id(extensions[HARDWARE_ID], is_turin=fmc is not None)
    return Endorsement(key=key, tcb=tcb, chip_id=chip_id)


def _parse_signed(
    signed: bytes, content: bytes, algorithm: bytes, signature: bytes
) -> Certificate:
    fields = DerReader(content)
    if fields.take(der.VERSION) != b"\x02\x01\x02":
        raise CertificateError("A certificate is not of version 3.")
    fields.take(der.INTEGER)
    if fields.take_whole(der.SEQUENCE)[0] != algorithm:
        raise CertificateError("A certificate names two signature algorithms.")
    issuer = fields.take_whole(der.SEQUENCE)[0]
    validity = fields.enter(der.SEQUENCE)
    not_before_ms = _parse_instant(validity)
    not_after_ms = _parse_instant(validity)
    validity.finish()
    subject = fields.take_whole(der.SEQUENCE)[0]
    key_info = fields.take_whole(der.SEQUENCE)[0]
    extensions = fields.enter(der.EXTENSIONS)
    fields.finish()
    return Certificate(
        signed=signed,
        signature=signature,
        issuer=issuer,
        subject=subject,
        not_before_ms=not_before_ms,
        not_after_ms=not_after_ms,
        key_info=key_info,
        extensions=_parse_extensions(extensions),
    )


def _parse_instant(validity: DerReader) -> int:
    tag = der.UTC_TIME if validity.peek() == der.UTC_TIME else der.GENERALIZED_TIME
    return der.parse_time(tag, validity.take(tag))


def _parse_extensions(outer: DerReader) -> dict[str, bytes]:
    listed = outer.enter(der.SEQUENCE)
    outer.finish()
    extensions: dict[str, bytes] = {}
    while not listed.at_end():
        extension = listed.enter(der.SEQUENCE)
        name = der.parse_object_identifier(extension.take(der.OBJECT_IDENTIFIER))
        if extension.peek() == der.BOOLEAN:
            extension.take(der.BOOLEAN)
            if name not in UNDERSTOOD:
                raise CertificateError(f"Critical extension {name} is not understood.")
        value = extension.take(der.OCTET_STRING)
        extension.finish()
        if name in extensions or len(extensions) == EXTENSIONS_MAX:
            raise CertificateError("A certificate's extensions repeat or are many.")
        extensions[name] = value
    return extensions


def _load_key(certificate: Certificate) -> object:
    try:
        return serialization.load_der_public_key(certificate.key_info)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError("A certificate's key cannot be read.") from error


def _parse_level(extensions: Mapping[str, bytes], identifier: str) -> int:
    value = extensions.get(identifier)
    if value is None:
        raise CertificateError(f"An endorsement key lacks extension {identifier}.")
    reader = DerReader(value)
    content = reader.take(der.INTEGER)
    reader.finish()
    # A level above 127 needs a leading zero to stay positive.
    if len(content) == 2 and content[0] == 0 and content[1] >= 0x80:
        return content[1]
    if len(content) != 1 or content[0] >= 0x80:
        raise CertificateError(f"Extension {identifier} is no level from 0 to 255.")
    return content[0]


def _parse_chip_id(value: bytes, *, is_turin: bool) -> bytes:
    size = TURIN_CHIP_ID_BYTES if is_turin else CHIP_ID_BYTES
    if len(value) != size:
        # AMD's older certificates hold the bare bytes, newer ones an OCTET STRING.
        reader = DerReader(value)
        value = reader.take(der.OCTET_STRING)
        reader.finish()
    if len(value) != size:
        raise CertificateError(f"A chip's identity has {len(value)} bytes, not {size}.")
    return value.ljust(CHIP_ID_BYTES, b"\x00")
