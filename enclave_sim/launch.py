"""The launch record: everything that decides what an enclave does, and its digest.

What is not in the record must not change the behaviour: the runner, the function's
source and entry point, the limits and the engine with its settings are measured.
What differs from job to job (nonce, keys, parties) is not; it goes into the report
data, so that one measurement serves all runs of the same code.
"""

import hashlib
from dataclasses import dataclass

from enclave_sim.errors import LaunchError
from enclave_sim.sandbox.limits import ENTRY_LENGTH_MAX, Limits
from ledger.encoding import canonical_json

SHA384_BYTES = 48

ENGINE_ID_LENGTH_MAX = 2048
"""Version and settings of the engine in words; ours has 500 characters."""

_LABEL = b"sixfold/launch/v1"


@dataclass(frozen=True, kw_only=True)
class LaunchRecord:
    """What runs, under which limits, on which engine.

    Raises:
        LaunchError: A digest has not 48 bytes, or a name is too long or no text.
    """

    runner_sha384: bytes
    """Digest of the component that runs the source, 48 bytes."""
    source_sha384: bytes
    """Digest of the function's source, from `digest_source`, 48 bytes."""
    entry: str
    """Name of the function that is called."""
    limits: Limits
    """What the run may use."""
    engine_id: str
    """The engine's version, settings and metering schedule."""

    def __post_init__(self) -> None:
        if {len(self.runner_sha384), len(self.source_sha384)} != {SHA384_BYTES}:
            raise LaunchError("A digest in a launch record has 48 bytes.")
        if len(_encode_text(self.entry)) > ENTRY_LENGTH_MAX:
            raise LaunchError("The entry's name is too long.")
        if len(_encode_text(self.engine_id)) > ENGINE_ID_LENGTH_MAX:
            raise LaunchError("The engine's id is too long.")

    @property
    def measurement(self) -> bytes:
        """The digest that evidence shows: 48 bytes, SHA-384 over all fields."""
        digest = hashlib.sha384()
        for part in (
            _LABEL,
            self.runner_sha384,
            self.source_sha384,
            _encode_text(self.entry),
            canonical_json(self.limits.to_json()),
            _encode_text(self.engine_id),
        ):
            # Lengths first, so that no two records run into the same bytes.
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def digest_source(source: str) -> bytes:
    """Digest a function's source: SHA-384 of its UTF-8 form, 48 bytes.

    Raises:
        LaunchError: It is text that has no UTF-8 form.
    """
    return hashlib.sha384(_encode_text(source)).digest()


def _encode_text(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LaunchError("A part of a launch record has no UTF-8 form.") from error
