"""The codec of the witness protocol, and what is no request or answer."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.limits import NOTE_BYTES_MAX, PROOF_HASHES_MAX
from ledger.log import Checkpoint, Signer, Verifier, sign_note
from ledger.log.cosignature import CosignatureSigner, MlDsaSigner
from ledger.log.errors import WitnessProtocolError
from ledger.log.witness_protocol import (
    REQUEST_BYTES_MAX,
    AddCheckpoint,
    checkpoint_path,
    encode_size,
    parse_add_checkpoint,
    parse_cosignatures,
    parse_size,
)
from ledger.signing import PrivateKey

HASH = base64.b64encode(b"h" * 32).decode()
NOTE = "log.example\n3\nroot\n\n— log.example c2ln\n".encode()

LOG = Signer("log.example", PrivateKey(b"l" * 32))
WITNESS = CosignatureSigner("witness.example", PrivateKey(b"w" * 32))
OTHER = CosignatureSigner("other.example", PrivateKey(b"o" * 32))
TEXT = Checkpoint("log.example", 3, b"r" * 32).text
SIGNED = sign_note(TEXT, [LOG])

hashes = st.binary(min_size=32, max_size=32)
requests = st.builds(
    AddCheckpoint,
    old_size=st.integers(0, 2**63 - 1),
    proof=st.lists(hashes, max_size=PROOF_HASHES_MAX).map(tuple),
    note=st.binary(min_size=1, max_size=200),
)


def body(*lines: str, note: bytes = NOTE) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note


@given(requests)
def test_request_is_read_as_it_was_written(request) -> None:
    assert parse_add_checkpoint(request.encode()) == request


@given(st.binary(max_size=300))
def test_arbitrary_request_is_read_or_refused(data) -> None:
    try:
        request = parse_add_checkpoint(data)
    except WitnessProtocolError:
        return
    assert request.encode() == data


@given(requests, st.data())
def test_edited_request_is_never_another_spelling(request, data) -> None:
    encoded = bytearray(request.encode())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        edited = parse_add_checkpoint(bytes(encoded))
    except WitnessProtocolError:
        return
    assert edited.encode() == encoded


def test_request_of_the_standard_is_read() -> None:
    """The example of C2SP tlog-witness."""
    proof = [
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=",
        "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=",
        "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=",
        "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=",
    ]
    request = parse_add_checkpoint(body("old 20852014", *proof))
    assert request.old_size == 20_852_014
    assert [base64.b64encode(item).decode() for item in request.proof] == proof
    assert request.note == NOTE
    assert request.origin == "log.example"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        b"old 0\n",
        b"old 0\n\n",
        b"old 0\n" + NOTE,
        body("old"),
        body("old "),
        body("old  1"),
        body("old 1 "),
        body("Old 1"),
        body("old 01"),
        body("old +1"),
        body("old -1"),
        body("old 1_0"),
        body("old \u0661"),
        body("old 9223372036854775808"),
        body("old 1\r"),
        body("old 1", HASH[:-1]),
        body("old 1", HASH + " "),
        body("old 1", " " + HASH),
        body("old 1", HASH[:-2] + "F="),
        body("old 1", base64.b64encode(b"h" * 31).decode()),
        body("old 1", base64.b64encode(b"h" * 33).decode()),
        body("old 1", *[HASH] * (PROOF_HASHES_MAX + 1)),
        body("", "old 1"),
        body("old 1", note=b""),
        body("old 1", note=b"n" * (NOTE_BYTES_MAX + 1)),
        body("old 1", *[HASH] * PROOF_HASHES_MAX, note=b"n" * REQUEST_BYTES_MAX),
    ],
)
def test_malformed_request_is_refused(data) -> None:
    with pytest.raises(WitnessProtocolError):
        parse_add_checkpoint(data)


def test_largest_request_is_read() -> None:
    request = AddCheckpoint(
        2**63 - 1, (b"h" * 32,) * PROOF_HASHES_MAX, b"n" * NOTE_BYTES_MAX
    )
    assert len(request.encode()) <= REQUEST_BYTES_MAX
    assert parse_add_checkpoint(request.encode()) == request


def test_origin_that_is_not_text_is_refused() -> None:
    request = parse_add_checkpoint(body("old 0", note=b"\xff\n0\n"))
    with pytest.raises(WitnessProtocolError):
        _ = request.origin


def lines(*signers: CosignatureSigner | MlDsaSigner, text: str = TEXT) -> bytes:
    return "".join(item.cosign(text, time_s=1).line for item in signers).encode()


def parse(data: bytes, *verifiers: Verifier) -> list[str]:
    verifiers = verifiers or (WITNESS.verifier,)
    return [item.name for item in parse_cosignatures(data, SIGNED, verifiers)]


def test_answer_is_checked_and_taken() -> None:
    assert parse(lines(WITNESS)) == ["witness.example"]


def test_answer_may_have_two_keys_of_one_witness() -> None:
    quantum = MlDsaSigner.from_seed("witness.example", b"q" * 32)
    both = lines(WITNESS, quantum)
    assert len(parse(both, WITNESS.verifier, quantum.verifier)) == 2
    assert len(parse(both, quantum.verifier)) == 1


def test_lines_of_unknown_keys_are_passed_over() -> None:
    assert parse(lines(OTHER, WITNESS)) == ["witness.example"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\n",
        b"no lines\n",
        lines(OTHER),
        lines(WITNESS, text=Checkpoint("log.example", 3, b"s" * 32).text),
        lines(WITNESS)[:-1],
        lines(WITNESS) + lines(WITNESS),
        lines(WITNESS) + b"\n",
        b"more\n\n" + lines(WITNESS),
        b"\xff" + lines(WITNESS),
        lines(WITNESS) * 65,
        lines(WITNESS) + b"x" * NOTE_BYTES_MAX,
    ],
)
def test_answer_that_does_not_cosign_is_refused(answer) -> None:
    with pytest.raises(WitnessProtocolError):
        parse(answer)


def test_answer_cannot_move_the_end_of_the_text() -> None:
    """Signed over another text, which the blank line would make of this one."""
    moved = TEXT + "\nmore\n"
    signature = PrivateKey(b"l" * 32).sign(moved.encode())
    payload = base64.b64encode(LOG.verifier.key_id + signature).decode()
    answer = f"more\n\n— log.example {payload}\n".encode()
    with pytest.raises(WitnessProtocolError):
        parse_cosignatures(answer, SIGNED, [LOG.verifier])


@given(st.binary(max_size=200))
def test_arbitrary_answer_is_refused(data) -> None:
    with pytest.raises(WitnessProtocolError):
        parse(data)


@given(st.integers(0, 2**63 - 1))
def test_size_is_read_as_it_was_written(size) -> None:
    assert parse_size(encode_size(size)) == size


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"5", b"05\n", b"5\n\n", b" 5\n", b"5\r\n", b"9" * 19 + b"\n"]
)
def test_malformed_size_is_refused(data) -> None:
    with pytest.raises(WitnessProtocolError):
        parse_size(data)


@given(st.binary(max_size=40))
def test_arbitrary_size_is_read_or_refused(data) -> None:
    try:
        size = parse_size(data)
    except WitnessProtocolError:
        return
    assert encode_size(size) == data


def test_monitoring_path_is_a_digest_of_the_origin() -> None:
    assert checkpoint_path("log.example") == (
        "d7612c54297eaa3e5a7756b17ce3adc5bed251af8059d72bbb8b0075c67b85e9/checkpoint"
    )
