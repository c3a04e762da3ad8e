"""What a consumer demands of evidence.

Every field must be given. What is not to be checked is said so with `NOT_CHECKED`,
and only where leaving it out can be sensible: never for the measurement, the
report data or the debug bit.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from enclave_sim.attestation.snp import (
    HOST_DATA_BYTES,
    MEASUREMENT_BYTES,
    REPORT_DATA_BYTES,
)
from enclave_sim.attestation.tcb import Tcb

NO_HOST_DATA = bytes(HOST_DATA_BYTES)
"""Our enclaves take nothing from their host: all that matters is measured."""


class NotChecked(Enum):
    """The one value that turns a check off, in the open."""

    NOT_CHECKED = "not checked"


NOT_CHECKED: Literal[NotChecked.NOT_CHECKED] = NotChecked.NOT_CHECKED


@dataclass(frozen=True, kw_only=True)
class AppraisalPolicy:
    """The demands on evidence that do not change from session to session."""

    format: str
    """The one acceptable `Evidence.format`; the evidence does not choose."""
    roots: frozenset[bytes]
    """Acceptable pins, from `enclave_sim.attestation.roots`."""
    accept_simulated: bool
    """Whether evidence that proves nothing about hardware will do. It takes this
    *and* the simulated root among `roots`, so that neither slips in alone."""
    accept_vlek: bool
    """Whether a cloud operator's key may vouch, which names no chip."""
    accept_debug: bool
    """Whether the host may read the guest's memory. Only ever for tests."""
    accept_migration: bool
    """Whether the guest may be moved by a migration agent."""
    accept_provisional: bool
    """Whether the platform's firmware may be on trial, thus reversible."""
    vmpl: int
    """The exact privilege level that must have asked; 0 for us."""
    measurements: frozenset[bytes]
    """Digests of 48 bytes; what runs must be one of them."""
    chip_ids: frozenset[bytes] | Literal[NotChecked.NOT_CHECKED]
    """Identities of 64 bytes; the only machines that will do."""
    minimum_tcb: Tcb
    """Patch levels that must be reached now and at the guest's launch."""

    def __post_init__(self) -> None:
        sizes = {len(item) for item in self.measurements}
        assert sizes <= {MEASUREMENT_BYTES}, "a measurement has 48 bytes"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The values that this one session must show, exactly."""

    report_data: bytes
    """64 bytes, from `enclave_sim.attestation.binding.report_data`."""
    host_data: bytes
    """32 bytes; `NO_HOST_DATA` for our own enclaves."""

    def __post_init__(self) -> None:
        assert len(self.report_data) == REPORT_DATA_BYTES, "report data has 64 bytes"
        assert len(self.host_data) == HOST_DATA_BYTES, "host data has 32 bytes"
