from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from enclave_sim.attestation import Challenge, EnclaveKeys
from enclave_sim.channel import PLAINTEXT_BYTES_MAX, ChannelKey, seal
from enclave_sim.errors import ChannelError, EnclaveError, SealedResultError
from enclave_sim.sandbox.outcome import FailureCode, Outcome
from enclave_sim.sealed_result import (
    CLAIM_BYTES_MAX,
    ResultClaim,
    SealedResult,
    open_result,
    parse_sealed_result,
    seal_result,
    verify_result,
)
from enclave_sim.session import Session
from ledger.signing import PrivateKey

RESULT_KEY = PrivateKey(b"k" * 32)
SEALED_INPUT = b"sealed input"
OUTCOME = Outcome(status="succeeded", result=b'{"a":1}', log=b"printed\n", fuel=1234)
FAILED = Outcome.failed(
    FailureCode.RAISED, "ValueError: ä" * 100, fuel=77, line=3, log=b"trace"
)


@pytest.fixture(scope="module")
def channel_key() -> ChannelKey:
    return ChannelKey.generate()


@pytest.fixture
def session(challenge: Challenge, channel_key: ChannelKey) -> Session:
    keys = EnclaveKeys(channel=channel_key.public, result=RESULT_KEY.public.data)
    return Session(challenge=challenge, keys=keys, measurement=b"m" * 48)


@pytest.fixture
def result(session: Session) -> SealedResult:
    return seal_result(OUTCOME, session, sealed_input=SEALED_INPUT, key=RESULT_KEY)


Check = Callable[[SealedResult], None]


@pytest.fixture
def check(session: Session) -> Check:
    def verify(result: SealedResult) -> None:
        verify_result(result, session, sealed_input=SEALED_INPUT)

    return verify


@pytest.mark.parametrize("outcome", [OUTCOME, FAILED, replace(OUTCOME, log=b"")])
def test_true_result_verifies_and_opens(
    session: Session, recipient: ChannelKey, outcome: Outcome
) -> None:
    made = seal_result(outcome, session, sealed_input=SEALED_INPUT, key=RESULT_KEY)
    received = parse_sealed_result(made.encode())
    assert received == made
    verify_result(received, session, sealed_input=SEALED_INPUT)
    assert open_result(received, session, recipient) == outcome
    assert (received.claim.fuel, received.claim.status) == (
        outcome.fuel,
        outcome.status,
    )


CLAIM_CHANGES: dict[str, Any] = {
    "job_id": "job_2",
    "input_sha256": b"i" * 32,
    "measurement": b"n" * 48,
    "fuel": 1233,
    "status": "failed",
    "result_sha256": b"r" * 32,
}


@pytest.mark.parametrize("name", [field.name for field in fields(ResultClaim)])
def test_any_changed_claim_is_refused(
    result: SealedResult, check: Check, name: str
) -> None:
    check(result)
    claim = replace(result.claim, **{name: CLAIM_CHANGES[name]})
    with pytest.raises(SealedResultError):
        check(replace(result, claim=claim))


@pytest.mark.parametrize(
    "name", ["job_id", "input_sha256", "measurement", "result_sha256"]
)
def test_claim_of_another_run_is_refused_though_signed(
    result: SealedResult, check: Check, name: str
) -> None:
    """The enclave itself vouches, but for something else."""
    claim = replace(result.claim, **{name: CLAIM_CHANGES[name]})
    signature = RESULT_KEY.sign(claim.encode())
    with pytest.raises(SealedResultError):
        check(replace(result, claim=claim, signature=signature))


def test_swapped_results_are_refused(
    session: Session, result: SealedResult, check: Check
) -> None:
    """Two runs of one session: neither result passes as the other's."""
    other = seal_result(FAILED, session, sealed_input=b"other", key=RESULT_KEY)
    verify_result(other, session, sealed_input=b"other")
    for mixed in (
        other,
        replace(result, sealed=other.sealed),
        replace(other, sealed=result.sealed),
        replace(result, signature=other.signature),
    ):
        with pytest.raises(SealedResultError):
            check(mixed)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_missing_signature_is_refused(
    result: SealedResult, check: Check, signature: bytes
) -> None:
    with pytest.raises(SealedResultError):
        check(replace(result, signature=signature))


def test_signature_of_another_key_is_refused(session: Session, check: Check) -> None:
    """The host makes up a result and signs it with a key of its own."""
    forged = seal_result(
        OUTCOME, session, sealed_input=SEALED_INPUT, key=PrivateKey(b"h" * 32)
    )
    with pytest.raises(SealedResultError):
        check(forged)


def test_result_of_another_session_does_not_open(
    session: Session, result: SealedResult, recipient: ChannelKey
) -> None:
    challenge = replace(session.challenge, nonce=b"o" * 32)
    for other in (
        replace(session, challenge=challenge),
        replace(session, measurement=b"n" * 48),
    ):
        with pytest.raises(ChannelError):
            open_result(result, other, recipient)


def test_result_opens_for_the_recipient_only(
    session: Session, result: SealedResult, channel_key: ChannelKey
) -> None:
    for key in (channel_key, ChannelKey.generate()):
        with pytest.raises(ChannelError):
            open_result(result, session, key)


@pytest.mark.parametrize("name", ["fuel", "status"])
def test_claim_must_agree_with_what_is_inside(
    session: Session, result: SealedResult, recipient: ChannelKey, name: str
) -> None:
    claim = replace(result.claim, **{name: CLAIM_CHANGES[name]})
    with pytest.raises(SealedResultError):
        open_result(replace(result, claim=claim), session, recipient)


@pytest.mark.parametrize(
    "inside",
    [
        b"",
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x02{",
        b"\x00\x00\xff\xff{}",
        b'\x00\x00\x00!{"outcome":null,"result_bytes":0}',
        b'\x00\x00\x00#{"outcome":null,"result_bytes":"0"}',
        b'\x00\x00\x00!{"outcome":null,"result_bytes":9}',
        b'\x00\x00\x00"{"outcome":null,"result_bytes":-1}',
        b'\x00\x00\x00${"outcome":null,"result_bytes":true}',
    ],
)
def test_malformed_outcome_is_refused(
    session: Session, recipient: ChannelKey, result: SealedResult, inside: bytes
) -> None:
    sealed = seal(recipient.public, inside, info=session.info("result"))
    with pytest.raises(SealedResultError):
        open_result(replace(result, sealed=sealed), session, recipient)


def test_any_altered_byte_is_refused(
    result: SealedResult, check: Check, session: Session
) -> None:
    data = result.encode()
    for index in range(len(data)):
        altered = bytearray(data)
        altered[index] ^= 1 << index % 8
        with pytest.raises(EnclaveError):
            check(parse_sealed_result(bytes(altered)))


def test_cut_result_is_refused(result: SealedResult, check: Check) -> None:
    data = result.encode()
    for size in range(0, len(data), 11):
        with pytest.raises(SealedResultError):
            check(parse_sealed_result(data[:size]))
    with pytest.raises(SealedResultError):
        check(parse_sealed_result(data + b"\x00"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"fuel":1234', b'"fuel":-1'),
        (b'"fuel":1234', b'"fuel":true'),
        (b'"fuel":1234', b'"fuel":"1234"'),
        (b'"fuel":1234', b'"fuel":1234,"more":1'),
        (b'"status":"succeeded"', b'"status":"perhaps"'),
        (b"enclave-result/v1", b"enclave-result/v2"),
        (b'"input_sha256":"', b'"input_sha256":"!'),
        (b'"job_id":"job_1"', b'"job_id":1'),
        (b'"job_id":"job_1"', b'"job_id":"' + b"j" * CLAIM_BYTES_MAX + b'"'),
    ],
)
def test_claim_out_of_form_is_refused(
    result: SealedResult, old: bytes, new: bytes
) -> None:
    claim = result.claim.encode()
    assert claim.count(old) == 1
    changed = claim.replace(old, new)
    data = len(changed).to_bytes(4, "big") + changed + result.signature + result.sealed
    with pytest.raises(SealedResultError):
        parse_sealed_result(data)


def test_short_results_have_one_size(session: Session) -> None:
    """Neither the answer nor whether it failed shows in what is carried."""
    sizes = set()
    for outcome in (
        Outcome(status="succeeded", result=b"true", fuel=1234),
        Outcome(status="succeeded", result=b"false", fuel=1234),
        Outcome(status="succeeded", result=b'"a longer answer"', fuel=1234),
    ):
        made = seal_result(outcome, session, sealed_input=b"", key=RESULT_KEY)
        sizes.add(len(made.encode()))
    assert len(sizes) == 1


def test_sealed_input_opens_for_its_session_only(
    session: Session, channel_key: ChannelKey
) -> None:
    sealed = session.seal_input(b"[1]")
    assert channel_key.open(sealed, info=session.info("input")) == b"[1]"
    for info in (
        session.info("result"),
        replace(session, measurement=b"n" * 48).info("input"),
    ):
        with pytest.raises(ChannelError):
            channel_key.open(sealed, info=info)


def test_oversized_input_is_refused(session: Session) -> None:
    with pytest.raises(ChannelError):
        session.seal_input(bytes(PLAINTEXT_BYTES_MAX + 1))
