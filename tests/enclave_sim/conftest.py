"""What the tests of the enclave share: one development vendor, and its chips."""

import secrets
from pathlib import Path

import pytest

from enclave_sim.attestation import Challenge
from enclave_sim.attestation.vendor import (
    DevelopmentVendor,
    SimulatedChip,
    simulated_chip_id,
)
from enclave_sim.channel import ChannelKey


@pytest.fixture(scope="session")
def vendor_cache(pytestconfig: pytest.Config) -> Path:
    """A folder that outlives the run, since the vendor's keys take seconds."""
    return Path(pytestconfig.cache.mkdir("development-vendor"))


@pytest.fixture(scope="session")
def vendor(vendor_cache: Path) -> DevelopmentVendor:
    return DevelopmentVendor(vendor_cache)


@pytest.fixture(scope="session")
def chip(vendor: DevelopmentVendor) -> SimulatedChip:
    return vendor.issue_chip(simulated_chip_id("test chip"))


@pytest.fixture(scope="session")
def recipient() -> ChannelKey:
    return ChannelKey.generate()


@pytest.fixture
def challenge(recipient: ChannelKey) -> Challenge:
    return Challenge(
        nonce=secrets.token_bytes(32),
        job_id="job_1",
        consumer="acc_a",
        audience="http://market.test",
        recipient=recipient.public,
    )
