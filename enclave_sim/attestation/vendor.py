"""The development vendor: a make-believe AMD, so that enclaves can be simulated.

One 32-byte seed derives root (ARK), signing key (ASK) and every chip's key
(VCEK). Certificates and reports have the wire format of the real ones and pass the
same verifier; only the root differs. The default seed is public on purpose:
anyone can make simulated evidence, so it proves nothing about any hardware.

Deriving two RSA-4096 keys takes some seconds, so they and the certificates are kept
in a folder that the caller names; keys in files that only their owner reads.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from enclave_sim.attestation.certificates import CHIP_ID_BYTES
from enclave_sim.attestation.evidence import SNP_FORMAT, Evidence
from enclave_sim.attestation.issuing import (
    ROOT_NAME,
    SIGNER_NAME,
    issue_authority,
    issue_endorsement,
)
from enclave_sim.attestation.policy import NO_HOST_DATA
from enclave_sim.attestation.prime_search import DERIVATION, derive_rsa_key
from enclave_sim.attestation.snp import SnpClaims, sign_report
from enclave_sim.attestation.tcb import Tcb
from enclave_sim.errors import VendorError

SEED_BYTES = 32

PUBLIC_SEED = b"Sixfold development vendor: fake"
"""The default seed, 32 bytes, known to everyone."""

SIMULATED_TCB = Tcb(bootloader=4, tee=0, snp=24, microcode=219)
"""Patch levels that every simulated chip reports."""

_P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf"
    "581a0db248b0a77aecec196accc52973",
    16,
)
"""Source: SEC 2, section 2.5.1."""


@dataclass(frozen=True)
class SimulatedChip:
    """One make-believe platform: an identity, patch levels and a key to sign with."""

    chip_id: bytes
    """64 bytes."""
    tcb: Tcb
    certificates: tuple[bytes, bytes, bytes]
    """VCEK, ASK and ARK in DER."""
    key: ec.EllipticCurvePrivateKey

    def report(
        self,
        *,
        measurement: bytes,
        report_data: bytes,
        host_data: bytes = NO_HOST_DATA,
        is_debug_allowed: bool = False,
        is_migration_allowed: bool = False,
        vmpl: int = 0,
    ) -> Evidence:
        """Sign a report about a guest, as the secure processor would.

        Args:
            measurement: What was launched, 48 bytes.
            report_data: What the guest binds to the report, 64 bytes.
            host_data: What the host gave at launch, 32 bytes.
            is_debug_allowed: Whether the guest is a debug guest.
            is_migration_allowed: Whether it may be moved elsewhere.
            vmpl: Privilege level that asks.
        """
        claims = SnpClaims(
            report_data=report_data,
            measurement=measurement,
            host_data=host_data,
            chip_id=self.chip_id,
            tcb=self.tcb.encode(),
            report_id=secrets.token_bytes(32),
            is_debug_allowed=is_debug_allowed,
            is_migration_allowed=is_migration_allowed,
            vmpl=vmpl,
        )
        return Evidence(SNP_FORMAT, sign_report(claims, self.key), self.certificates)


class DevelopmentVendor:
    """Makes simulated chips. May be used by several processes on one folder at once."""

    def __init__(self, cache: Path, *, seed: bytes = PUBLIC_SEED) -> None:
        """Open the vendor; nothing is derived before it is needed.

        Args:
            cache: Folder for keys and certificates; made if it is missing.
            seed: 32 bytes that everything follows from.

        Raises:
            VendorError: The folder cannot be made.
        """
        assert len(seed) == SEED_BYTES, "a seed has 32 bytes"
        self._seed = seed
        name = hashlib.sha256(DERIVATION.encode("ascii") + seed).hexdigest()
        self._folder = cache / f"vendor-{name[:16]}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise VendorError("The vendor's folder cannot be made.") from error

    def issue_chip(self, chip_id: bytes, *, tcb: Tcb = SIMULATED_TCB) -> SimulatedChip:
        """Make a chip, or the same chip again.

        The first call on an empty folder derives the vendor's keys, which takes
        some seconds; later ones take about a millisecond.

        Args:
            chip_id: 64 bytes, from `simulated_chip_id`.
            tcb: Its patch levels; with `fmc`, it is a Turin platform.

        Raises:
            VendorError: The folder's files cannot be used.
        """
        assert len(chip_id) == CHIP_ID_BYTES, "a chip's identity has 64 bytes"
        material = self._seed + chip_id + tcb.encode()
        name = f"vcek-{hashlib.sha256(material).hexdigest()[:32]}.der"
        key = _derive_chip_key(material)
        try:
            with self._locked():
                certificates = self._issue_all(name, key, chip_id, tcb)
        except (OSError, ValueError, TypeError) as error:
            raise VendorError("The vendor's files cannot be used.") from error
        return SimulatedChip(chip_id, tcb, certificates, key)

    def _issue_all(
        self, name: str, key: ec.EllipticCurvePrivateKey, chip_id: bytes, tcb: Tcb
    ) -> tuple[bytes, bytes, bytes]:
        """Read the chain's certificates and make those that are missing."""
        ark = self._read("ark.der")
        if ark is None:
            root = self._key("ark")
            ark = issue_authority(ROOT_NAME, key=root.public_key(), issuer_key=root)
            self._write("ark.der", ark)
        ask = self._read("ask.der")
        if ask is None:
            public = self._key("ask").public_key()
            ask = issue_authority(SIGNER_NAME, key=public, issuer_key=self._key("ark"))
            self._write("ask.der", ask)
        vcek = self._read(name)
        if vcek is None:
            vcek = issue_endorsement(
                key.public_key(),
                chip_id=chip_id,
                tcb=tcb,
                issuer_key=self._key("ask"),
            )
            self._write(name, vcek)
        return vcek, ask, ark

    def _key(self, label: str) -> rsa.RSAPrivateKey:
        data = self._read(f"{label}.key")
        if data is None:
            key = derive_rsa_key(self._seed, label)
            form = Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
            self._write(f"{label}.key", key.private_bytes(*form))
            return key
        loaded = load_der_private_key(data, password=None)
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise VendorError("A key file of the vendor holds another kind of key.")
        return loaded

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, data: bytes) -> None:
        # Whole or not at all, and from its first byte readable to us alone.
        fresh = self._folder / f"{name}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        fresh.replace(self._folder / name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from deriving the same keys at the same time."""
        with (self._folder / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def simulated_chip_id(name: str) -> bytes:
    """Name a chip: 64 bytes that follow from a text, such as a node's id."""
    return hashlib.sha512(b"sixfold/simulated-chip/v1\n" + name.encode()).digest()


def _derive_chip_key(material: bytes) -> ec.EllipticCurvePrivateKey:
    # 64 bits more than the order, so that no scalar is likelier than another
    # (FIPS 186-5, appendix A.2.1).
    digest = hashlib.shake_256(b"sixfold/vcek/v1" + material).digest(48 + 8)
    scalar = int.from_bytes(digest, "big") % (_P384_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP384R1())
