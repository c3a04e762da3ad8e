"""Certificates as the development vendor issues them, in AMD's form.

Names say that they are simulated. The extensions of the endorsement key are the
ones that a verifier of real chips reads.

Source: AMD 57230, chapter 3 (see `enclave_sim.attestation.certificates`).
"""

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from enclave_sim.attestation.certificates import (
    HARDWARE_ID,
    PRODUCT_NAME,
    STRUCT_VERSION,
    TCB_EXTENSIONS,
    TCB_FMC,
    TURIN_CHIP_ID_BYTES,
)
from enclave_sim.attestation.tcb import Tcb

NOT_BEFORE = datetime(2025, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2045, 1, 1, tzinfo=UTC)
"""The fixed validity: simulated certificates need no clock to be made."""

ROOT_NAME = "ARK-Simulated"
SIGNER_NAME = "SEV-Simulated"
ENDORSEMENT_NAME = "SEV-VCEK"
ORGANISATION = "Sixfold development vendor (simulated)"
PRODUCT = b"Milan-B0"


def issue_authority(
    name: str, *, key: rsa.RSAPublicKey, issuer_key: rsa.RSAPrivateKey
) -> bytes:
    """Issue the root's (ARK) or the signing key's (ASK) certificate.

    Args:
        name: `ROOT_NAME` or `SIGNER_NAME`.
        key: Whose certificate it is.
        issuer_key: The root's key.

    Returns:
        The certificate in DER.
    """
    path_length = None if name == ROOT_NAME else 0
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    builder = (
        _builder(name, ROOT_NAME)
        .public_key(key)
        .add_extension(constraints, critical=True)
        .add_extension(_certificate_signing(), critical=True)
    )
    return _sign(builder, issuer_key)


def issue_endorsement(
    key: ec.EllipticCurvePublicKey,
    *,
    chip_id: bytes,
    tcb: Tcb,
    issuer_key: rsa.RSAPrivateKey,
) -> bytes:
    """Issue the certificate of one chip's key (VCEK).

    Args:
        key: On the curve P-384.
        chip_id: 64 bytes.
        tcb: The patch levels that the key is for.
        issuer_key: The signing key's (ASK).

    Returns:
        The certificate in DER.
    """
    builder = _builder(ENDORSEMENT_NAME, SIGNER_NAME).public_key(key)
    hardware_id = chip_id if tcb.fmc is None else chip_id[:TURIN_CHIP_ID_BYTES]
    values = {
        STRUCT_VERSION: _integer(1),
        PRODUCT_NAME: bytes((0x16, len(PRODUCT))) + PRODUCT,
        HARDWARE_ID: hardware_id,
    }
    for part, identifier in TCB_EXTENSIONS.items():
        values[identifier] = _integer(getattr(tcb, part))
    if tcb.fmc is not None:
        values[TCB_FMC] = _integer(tcb.fmc)
    for identifier, value in values.items():
        extension = x509.UnrecognizedExtension(ObjectIdentifier(identifier), value)
        builder = builder.add_extension(extension, critical=False)
    return _sign(builder, issuer_key)


def _builder(name: str, issuer: str) -> x509.CertificateBuilder:
    serial = hashlib.sha256(name.encode("ascii")).digest()[:16]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .serial_number(int.from_bytes(serial, "big") | 1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )


def _sign(builder: x509.CertificateBuilder, key: rsa.RSAPrivateKey) -> bytes:
    scheme = padding.PSS(padding.MGF1(hashes.SHA384()), salt_length=48)
    certificate = builder.sign(key, hashes.SHA384(), rsa_padding=scheme)
    return certificate.public_bytes(Encoding.DER)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certificate_signing() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _integer(value: int) -> bytes:
    """Write 0 to 255 as a DER INTEGER, which needs a zero before a high bit."""
    content = bytes((value,)) if value < 0x80 else bytes((0, value))
    return bytes((0x02, len(content))) + content
