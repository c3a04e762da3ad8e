from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave_sim.channel import ChannelKey, seal
from enclave_sim.errors import SandboxError
from enclave_sim.sandbox.outcome import (
    LOG_BYTES_MAX,
    MESSAGE_LENGTH_MAX,
    FailureCode,
    Outcome,
)
from ledger.encoding import encode_base64, sha256_text
from sdk.errors import InputError, MarketAnswerError
from sdk.payloads import (
    INLINE_BYTES_MAX,
    encode_arguments,
    encode_outcome,
    parse_outcome,
    receive_payload,
    send_payload,
)
from sdk.runs import payload_limit, sealed_bytes

OUTCOMES = st.builds(
    Outcome,
    status=st.just("succeeded"),
    result=st.binary(min_size=1, max_size=100),
    log=st.binary(max_size=100),
    fuel=st.integers(0, 10**13),
) | st.builds(
    Outcome.failed,
    st.sampled_from(FailureCode),
    st.text(st.characters(codec="utf-8"), max_size=MESSAGE_LENGTH_MAX),
    fuel=st.integers(0, 10**13),
    line=st.none() | st.integers(1, 2**20),
    log=st.binary(max_size=100),
)


class Wire:
    """A transport that keeps what is put, and gives what it was given."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.paths: list[str] = []

    def put_bytes(self, path, data, *, progress) -> None:
        assert progress is None
        self.paths.append(path)
        self.data = data

    def get_bytes(self, path, *, size_max) -> bytes:
        assert size_max == 10
        self.paths.append(path)
        return self.data


@given(OUTCOMES)
def test_outcome_survives_its_encoding(outcome: Outcome) -> None:
    assert parse_outcome(encode_outcome(outcome)) == outcome


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with suppress(SandboxError):
        parse_outcome(data)


@given(OUTCOMES, st.integers(0), st.integers(1, 255))
def test_outcome_with_one_byte_changed_is_another_or_refused(
    outcome: Outcome, place: int, change: int
) -> None:
    data = bytearray(encode_outcome(outcome))
    data[place % len(data)] ^= change
    with suppress(SandboxError):
        assert parse_outcome(bytes(data)) != outcome


def test_arguments_are_compact_json() -> None:
    assert encode_arguments((1, "é", [0.5, None], {"a": True})) == (
        '[1,"é",[0.5,null],{"a":true}]'.encode()
    )


@pytest.mark.parametrize(
    "argument", [float("nan"), float("inf"), {1}, b"x", object(), "\ud800", {(1,): 2}]
)
def test_argument_without_json_form_is_refused(argument) -> None:
    with pytest.raises(InputError, match="no JSON form"):
        encode_arguments((argument,))


def test_small_payload_travels_inline() -> None:
    wire, data = Wire(), b"x" * INLINE_BYTES_MAX
    assert send_payload(wire, data) == {"inline": encode_base64(data)}
    assert wire.paths == []


def test_large_payload_is_uploaded() -> None:
    wire, data = Wire(), b"x" * (INLINE_BYTES_MAX + 1)
    assert send_payload(wire, data) == {"blob": sha256_text(data)}
    assert wire.data == data


def test_too_large_payload_is_refused() -> None:
    with pytest.raises(InputError, match="several jobs"):
        send_payload(Wire(), bytes(64 * 2**20 + 1))


def described(data: bytes, **changes: object) -> dict[str, object]:
    return {
        "digest": sha256_text(data),
        "sizeBytes": len(data),
        "inline": encode_base64(data),
    } | changes


def receive(value, wire=None) -> bytes:
    return receive_payload(
        wire or Wire(),
        value,
        job_id="job_aaaaaaaaaaaaaaaaaaaa",
        name="result",
        size_max=10,
    )


def test_payload_is_received_inline_or_fetched() -> None:
    assert receive(described(b"abc")) == b"abc"
    wire = Wire(b"abc")
    value = described(b"abc")
    del value["inline"]
    assert receive(value, wire) == b"abc"
    assert wire.paths == [
        "/compute-jobs/v0.1/jobs/job_aaaaaaaaaaaaaaaaaaaa/payloads/result"
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        described(b"abc", digest=sha256_text(b"abd")),
        described(b"abc", inline="YWJk"),
        described(b"abc", inline="YWJj\n"),
        described(b"abc", more=1),
        described(b"x" * 11),
    ],
)
def test_payload_that_is_not_what_it_says_is_refused(value) -> None:
    with pytest.raises(MarketAnswerError):
        receive(value)


def test_largest_result_fits_its_limit() -> None:
    """However it ends and is protected, a run's payload stays below what is held."""
    key = ChannelKey.generate()
    for result_bytes in (1, 10**6):
        outcome = Outcome(
            status="succeeded",
            result=b"1" * result_bytes,
            log=b"x" * LOG_BYTES_MAX,
            fuel=10**13,
        )
        encoded = encode_outcome(outcome)
        sealed = seal(key.public, encoded, info=b"")
        assert len(sealed) == sealed_bytes(len(encoded))
        # The enclave's claim and signature come on top.
        assert len(sealed) + 1_024 <= payload_limit(result_bytes)
    failed = Outcome.failed(
        FailureCode.RAISED, "\1" * MESSAGE_LENGTH_MAX, fuel=1, log=b"x" * LOG_BYTES_MAX
    )
    sealed_size = sealed_bytes(len(encode_outcome(failed)))
    assert sealed_size + 1_024 <= payload_limit(1)
