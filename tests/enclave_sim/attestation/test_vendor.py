import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from enclave_sim.attestation.certificates import parse_certificate, read_endorsement
from enclave_sim.attestation.prime_search import is_probable_prime
from enclave_sim.attestation.roots import (
    AMD_MILAN_ROOT,
    HARDWARE_ROOTS,
    SIMULATED_ROOT,
    assurance_of_root,
)
from enclave_sim.attestation.tcb import Tcb
from enclave_sim.attestation.vendor import (
    PUBLIC_SEED,
    SEED_BYTES,
    DevelopmentVendor,
    SimulatedChip,
    simulated_chip_id,
)
from enclave_sim.errors import VendorError


@pytest.mark.slow
def test_public_seed_gives_the_pinned_root(tmp_path: Path) -> None:
    """From nothing: the keys of the default seed are the same on every machine."""
    assert len(PUBLIC_SEED) == SEED_BYTES
    vendor = DevelopmentVendor(tmp_path)
    chip = vendor.issue_chip(simulated_chip_id("a node"))
    assert parse_certificate(chip.certificates[2]).pin == SIMULATED_ROOT
    # And a Turin platform's key, whose certificate says more.
    tcb = Tcb(fmc=200, bootloader=1, tee=1, snp=1, microcode=1)
    chip_id = b"\x01" * 8 + bytes(56)
    turin = vendor.issue_chip(chip_id, tcb=tcb)
    endorsement = read_endorsement(parse_certificate(turin.certificates[0]))
    assert (endorsement.tcb, endorsement.chip_id) == (tcb, chip_id)


def test_pins_are_those_of_their_vendors() -> None:
    assert len({SIMULATED_ROOT, *HARDWARE_ROOTS}) == 4
    assert {len(pin) for pin in (SIMULATED_ROOT, *HARDWARE_ROOTS)} == {32}


def test_simulated_root_is_no_hardware_root() -> None:
    assert SIMULATED_ROOT not in HARDWARE_ROOTS
    assert assurance_of_root(SIMULATED_ROOT) == "simulated"
    assert assurance_of_root(bytes(32)) == "simulated"
    assert assurance_of_root(AMD_MILAN_ROOT) == "hardware"


def test_certificates_say_that_they_are_simulated(chip: SimulatedChip) -> None:
    for data in chip.certificates:
        certificate = parse_certificate(data)
        assert b"(simulated)" in certificate.issuer
        assert b"(simulated)" in certificate.subject


def test_chip_is_the_same_each_time(
    vendor: DevelopmentVendor, chip: SimulatedChip
) -> None:
    again = vendor.issue_chip(chip.chip_id)
    assert again.certificates == chip.certificates
    assert again.key.private_numbers() == chip.key.private_numbers()
    other = vendor.issue_chip(simulated_chip_id("other"))
    assert other.key.private_numbers() != chip.key.private_numbers()


def test_certificate_names_the_chip(chip: SimulatedChip) -> None:
    endorsement = read_endorsement(parse_certificate(chip.certificates[0]))
    assert endorsement.chip_id == chip.chip_id
    assert endorsement.tcb == chip.tcb


def test_key_files_are_the_owners_alone(
    vendor_cache: Path, chip: SimulatedChip
) -> None:
    assert chip
    keys = list(vendor_cache.glob("*/*.key"))
    assert len(keys) >= 2
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_may_ask_at_once(vendor_cache: Path) -> None:
    chip_id = simulated_chip_id("a popular chip")

    def issue(_: int) -> tuple[bytes, ...]:
        return DevelopmentVendor(vendor_cache).issue_chip(chip_id).certificates

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(issue, range(8)))) == 1


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(VendorError):
        DevelopmentVendor(tmp_path / "file")


def test_altered_key_file_is_refused(tmp_path: Path) -> None:
    vendor = DevelopmentVendor(tmp_path)
    (next(tmp_path.iterdir()) / "ark.key").write_bytes(b"no key")
    with pytest.raises(VendorError):
        vendor.issue_chip(simulated_chip_id("a node"))


def test_key_file_of_another_kind_is_refused(
    tmp_path: Path, chip: SimulatedChip
) -> None:
    vendor = DevelopmentVendor(tmp_path)
    form = Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    (next(tmp_path.iterdir()) / "ark.key").write_bytes(chip.key.private_bytes(*form))
    with pytest.raises(VendorError):
        vendor.issue_chip(simulated_chip_id("a node"))


def test_primes_are_told_from_composites() -> None:
    """Mersenne primes, and Carmichael numbers that fool weaker tests."""
    assert all(is_probable_prime(2**power - 1) for power in (31, 61, 89, 127, 521))
    assert all(is_probable_prime(number) for number in (97, 257, 12_289, 65_537))
    assert not any(
        is_probable_prime(number)
        for number in (561, 1105, 3215031751, 2**67 - 1, 825265, (2**61 - 1) ** 2)
    )
