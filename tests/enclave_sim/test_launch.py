import hashlib
from dataclasses import fields, replace
from typing import Any

import pytest

from enclave_sim.errors import LaunchError
from enclave_sim.launch import LaunchRecord, digest_source
from enclave_sim.sandbox.limits import Limits

RECORD = LaunchRecord(
    runner_sha384=b"r" * 48,
    source_sha384=b"s" * 48,
    entry="main",
    limits=Limits(fuel=1000),
    engine_id="engine 1",
)

CHANGES: dict[str, list[Any]] = {
    "runner_sha384": [b"q" * 48, b"s" * 48],
    "source_sha384": [b"t" * 48, b"r" * 48],
    "entry": ["main_", "Main"],
    "limits": [
        Limits(fuel=1001),
        Limits(fuel=1000, memory_bytes=32 * 2**20),
        Limits(fuel=1000, time_ms=1),
        Limits(fuel=1000, output_bytes=1),
    ],
    "engine_id": ["engine 2", "engine 1 "],
}


def test_measurement_is_what_it_was() -> None:
    """Frozen: a consumer works it out apart from the node."""
    assert RECORD.measurement.hex()[:32] == "3f77ac3e115b462c57609489536ede74"
    assert len(RECORD.measurement) == 48


@pytest.mark.parametrize("name", [field.name for field in fields(LaunchRecord)])
def test_every_field_is_measured(name: str) -> None:
    """A field that is added without a change listed above fails this test."""
    measurements = {
        replace(RECORD, **{name: value}).measurement for value in CHANGES[name]
    }
    assert len(measurements) == len(CHANGES[name])
    assert RECORD.measurement not in measurements


def test_fields_do_not_run_into_each_other() -> None:
    moved = replace(RECORD, entry="m", engine_id="ain" + RECORD.engine_id)
    assert moved.measurement != RECORD.measurement


def test_every_limit_is_measured() -> None:
    """A limit that is added without a change listed above fails this test."""
    changed = [
        name
        for limits in CHANGES["limits"]
        for name in Limits.__slots__
        if getattr(limits, name) != getattr(RECORD.limits, name)
    ]
    assert sorted(changed) == sorted(Limits.__slots__)


def test_source_is_digested_as_utf8() -> None:
    assert digest_source("é\n") == hashlib.sha384(b"\xc3\xa9\n").digest()
    with pytest.raises(LaunchError):
        digest_source("\ud800")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("runner_sha384", b"r" * 47),
        ("source_sha384", b""),
        ("entry", "e" * 129),
        ("entry", "\ud800"),
        ("engine_id", "e" * 2049),
        ("engine_id", "\ud800"),
    ],
)
def test_record_out_of_form_is_refused(name: str, value: Any) -> None:
    with pytest.raises(LaunchError):
        replace(RECORD, **{name: value})
