from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from enclave_sim.attestation import (
    Appraisal,
    Attestation,
    Challenge,
    EnclaveKeys,
    Evidence,
    parse_attestation,
    parse_challenge,
    report_data,
)
from enclave_sim.attestation.binding import CHALLENGE_BYTES_MAX
from enclave_sim.attestation.vendor import SimulatedChip
from enclave_sim.channel import PUBLIC_KEY_BYTES
from enclave_sim.errors import EvidenceError

MEASUREMENT = bytes(range(48))

CHALLENGE = Challenge(
    nonce=b"n" * 32,
    job_id="job_1",
    consumer="acc_a",
    audience="http://market.test",
    recipient=b"r" * PUBLIC_KEY_BYTES,
)
KEYS = EnclaveKeys(channel=b"c" * PUBLIC_KEY_BYTES, result=b"s" * 32)

OTHERS = {
    "nonce": b"m" * 32,
    "job_id": "job_2",
    "consumer": "acc_b",
    "audience": "http://other.test",
    "recipient": b"q" * PUBLIC_KEY_BYTES,
}
OTHER_KEYS = {"channel": b"d" * PUBLIC_KEY_BYTES, "result": b"t" * 32}


def test_every_field_changes_the_report_data() -> None:
    """A field that is added without being bound fails this test."""
    assert set(OTHERS) == {field.name for field in fields(Challenge)}
    assert set(OTHER_KEYS) == {field.name for field in fields(EnclaveKeys)}
    digests = {report_data(CHALLENGE, KEYS)}
    for name, value in OTHERS.items():
        digests.add(report_data(replace(CHALLENGE, **{name: value}), KEYS))
    for name, value in OTHER_KEYS.items():
        digests.add(report_data(CHALLENGE, replace(KEYS, **{name: value})))
    assert len(digests) == 1 + len(OTHERS) + len(OTHER_KEYS)
    assert {len(digest) for digest in digests} == {64}


def test_report_data_is_what_it_was() -> None:
    """Frozen: consumers and nodes of different versions must agree on it."""
    assert report_data(CHALLENGE, KEYS).hex()[:32] == "7b3849bc3223ecc77de8d88765b233c4"


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_evidence_of_another_session_is_refused(
    chip: SimulatedChip, judge_session: Callable[..., Appraisal], name: str
) -> None:
    """Replay: evidence for one nonce, job, consumer, market or recipient."""
    other = replace(CHALLENGE, **{name: OTHERS[name]})
    replayed = chip.report(
        measurement=MEASUREMENT, report_data=report_data(other, KEYS)
    )
    failures = judge_session(replayed, CHALLENGE, KEYS).failures
    assert [failure.rule_id for failure in failures] == ["snp.report_data"]


@pytest.mark.parametrize("name", sorted(OTHER_KEYS))
def test_evidence_with_other_keys_is_refused(
    chip: SimulatedChip, judge_session: Callable[..., Appraisal], name: str
) -> None:
    """Relay: a host forwards a genuine enclave's evidence with a key of its own."""
    genuine = chip.report(
        measurement=MEASUREMENT, report_data=report_data(CHALLENGE, KEYS)
    )
    assert judge_session(genuine, CHALLENGE, KEYS).is_accepted
    mine = replace(KEYS, **{name: OTHER_KEYS[name]})
    failures = judge_session(genuine, CHALLENGE, mine).failures
    assert [failure.rule_id for failure in failures] == ["snp.report_data"]


def test_challenge_survives_its_journey() -> None:
    assert parse_challenge(CHALLENGE.encode()) == CHALLENGE


def test_attestation_survives_its_journey(evidence: Evidence) -> None:
    attestation = Attestation(evidence, KEYS)
    assert parse_attestation(attestation.encode()) == attestation


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": b"n" * 31},
        {"nonce": b""},
        {"job_id": ""},
        {"job_id": "j" * 201},
        {"consumer": "acc\n"},
        {"audience": "marké"},
        {"recipient": b"r" * (PUBLIC_KEY_BYTES - 1)},
    ],
)
def test_challenge_out_of_form_is_refused(changes: dict[str, bytes]) -> None:
    with pytest.raises(EvidenceError):
        replace(CHALLENGE, **changes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b" " * (CHALLENGE_BYTES_MAX + 1),
        CHALLENGE.encode()[:-1] + b',"more":1}',
        CHALLENGE.encode().replace(b'"job_1"', b"1"),
        CHALLENGE.encode().replace(b'"nonce":"', b'"nonce":"!'),
    ],
)
def test_challenge_from_outside_is_checked(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_challenge(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"keys":{', b'"keys":{"more":1,'),
        (b'"format":"snp"', b'"format":"snp","more":1'),
        (b'"keys":', b'"clefs":'),
        (b'"result":"', b'"result":"AAAA'),
        (b'"format":"snp"', b'"format":null'),
        (b'"format":"snp"', b'"format":"' + b"s" * 33 + b'"'),
        (b'"report":"', b'"report":"='),
        (b'"certificates":[', b'"certificates":[1,'),
        (b'"certificates":[', b'"certificates":["","",'),
        (b'"certificates":[', b'"certificates":["' + b"A" * 8000 + b'",'),
        (b'"certificates":[', b'"certificates":["' + b"A" * 80000 + b'",'),
    ],
)
def test_attestation_from_outside_is_checked(
    evidence: Evidence, old: bytes, new: bytes
) -> None:
    encoded = Attestation(evidence, KEYS).encode()
    assert encoded.count(old) == 1
    with pytest.raises(EvidenceError):
        parse_attestation(encoded.replace(old, new))
