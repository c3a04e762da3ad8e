import dataclasses
import hashlib
from typing import Any

import pytest

from ledger.encoding import encode_base64
from ledger.errors import NoteError
from ledger.log import (
    CosignatureSigner,
    MlDsaSigner,
    NoteSignature,
    Signer,
    TimedSigner,
    Verifier,
    open_note,
    parse_checkpoint,
    parse_signature_lines,
    sign_note,
    verify_cosignature,
)
from ledger.log.cosignature import Cosigner, cosignature_time_s, encode_signature_lines
from ledger.log.signature_types import (
    SignatureType,
    cosignature_message,
    subtree_message,
)
from ledger.mldsa import MlDsaPrivateKey
from ledger.signing import PrivateKey

TIME_S = 1_700_000_000


@pytest.fixture(scope="session")
def frozen(vectors: Any) -> Any:
    return vectors["cosignatures"]


@pytest.fixture(scope="session")
def text(vectors: Any) -> str:
    return str(vectors["own_log"]["checkpoint"].partition("\n\n")[0]) + "\n"


@pytest.fixture(scope="session")
def witness(frozen: Any) -> CosignatureSigner:
    item = frozen["witness"]
    return CosignatureSigner(item["name"], PrivateKey(bytes.fromhex(item["seed"])))


@pytest.fixture(scope="session")
def ml_dsa(frozen: Any) -> MlDsaSigner:
    item = frozen["ml_dsa"]
    return MlDsaSigner.from_seed(item["name"], bytes.fromhex(item["seed"]))


@pytest.fixture(params=["witness", "ml_dsa"])
def cosigner(
    request: pytest.FixtureRequest, witness: CosignatureSigner, ml_dsa: MlDsaSigner
) -> Cosigner:
    return witness if request.param == "witness" else ml_dsa


def test_witness_has_frozen_key_and_line(
    frozen: Any, witness: CosignatureSigner, text: str
) -> None:
    assert witness.verifier.vkey == frozen["witness"]["vkey"]
    line = witness.cosign(text, time_s=frozen["time_s"]).line
    assert line == frozen["witness"]["signature_line"]


def test_ml_dsa_has_frozen_key_and_message(
    frozen: Any, ml_dsa: MlDsaSigner, text: str
) -> None:
    item = frozen["ml_dsa"]
    assert ml_dsa.verifier.key_id.hex() == item["key_id"]
    assert hashlib.sha256(ml_dsa.verifier.key).hexdigest() == item["key_sha256"]
    message = subtree_message(
        item["name"], parse_checkpoint(text), time_s=frozen["time_s"]
    )
    assert len(message) == item["message_bytes"]
    assert hashlib.sha256(message).hexdigest() == item["message_sha256"]


@pytest.mark.parametrize("who", ["witness", "ml_dsa"])
def test_frozen_line_verifies(
    who: str, frozen: Any, text: str, request: pytest.FixtureRequest
) -> None:
    verifier = request.getfixturevalue(who).verifier
    (line,) = parse_signature_lines(frozen[who]["signature_line"].encode())
    assert verify_cosignature(text, line, verifier) == frozen["time_s"]
    note = f"{text}\n{frozen[who]['signature_line']}".encode()
    assert open_note(note, [verifier]).signatures == (line,)


def test_foreign_witness_line_verifies() -> None:
    """The example of C2SP tlog-cosignature names no keys, so only its form is read."""
    line = (
        "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHe"
        "olMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    (signature,) = parse_signature_lines(line.encode())
    assert cosignature_time_s(signature) == 1_679_315_147
    assert signature.line == line


def test_cosignature_message_is_exact(text: str) -> None:
    message = cosignature_message(text, time_s=TIME_S)
    assert message == b"cosignature/v1\ntime 1700000000\n" + text.encode()


def test_verifier_key_round_trips(cosigner: Cosigner) -> None:
    vkey = cosigner.verifier.vkey
    assert Verifier.parse(vkey) == cosigner.verifier
    assert Verifier.parse(vkey).key_id == cosigner.verifier.key_id


def test_types_have_other_key_ids() -> None:
    """One key under two types: two ids, so no line is taken for the other."""
    key = PrivateKey(bytes(32))
    assert (
        Signer("a", key).verifier.key_id != CosignatureSigner("a", key).verifier.key_id
    )


def test_cosignature_is_true(cosigner: Cosigner, text: str) -> None:
    signature = cosigner.cosign(text, time_s=TIME_S)
    assert verify_cosignature(text, signature, cosigner.verifier) == TIME_S
    assert parse_signature_lines(signature.line.encode()) == [signature]


def test_cosignature_of_near_miss_is_refused(cosigner: Cosigner, text: str) -> None:
    true = cosigner.cosign(text, time_s=TIME_S)
    verify_cosignature(text, true, cosigner.verifier)
    lines = text.split("\n")
    root = encode_base64(b"r" * 32)
    texts = [
        text.replace("\n5\n", "\n6\n"),
        f"{lines[0]}x\n{lines[1]}\n{lines[2]}\n",
        f"{lines[0]}\n{lines[1]}\n{root}\n",
    ]
    for other in texts:
        with pytest.raises(NoteError):
            verify_cosignature(other, true, cosigner.verifier)
    changes: list[dict[str, Any]] = [
        {"data": (TIME_S + 1).to_bytes(8, "big") + true.data[8:]},
        {"data": true.data[:-1] + bytes([true.data[-1] ^ 1])},
        {"data": true.data[:-1]},
        {"data": true.data + b"\0"},
        {"data": true.data[8:]},
        {"data": true.data[:8]},
        {"data": b"\xff" + true.data[1:]},
        {"name": "other.example"},
        {"key_id": b"\0\0\0\0"},
    ]
    for change in changes:
        near_miss = dataclasses.replace(true, **change)
        with pytest.raises(NoteError):
            verify_cosignature(text, near_miss, cosigner.verifier)


@pytest.mark.parametrize("size", [0, 1, 8, 9, 64, 72, 2_428, 5_000])
def test_cosignature_of_garbage_is_refused(
    cosigner: Cosigner, text: str, size: int
) -> None:
    verifier = cosigner.verifier
    garbage = NoteSignature(verifier.name, verifier.key_id, b"g" * size)
    with pytest.raises(NoteError):
        verify_cosignature(text, garbage, verifier)


def test_ml_dsa_binds_its_name(text: str) -> None:
    """The same key under another name is another cosigner."""
    one, other = (MlDsaSigner.from_seed(name, bytes(32)) for name in ("one", "other"))
    signature = one.cosign(text, time_s=TIME_S)
    renamed = NoteSignature("other", other.verifier.key_id, signature.data)
    with pytest.raises(NoteError):
        verify_cosignature(text, renamed, other.verifier)


@pytest.mark.parametrize("text", ["", "no checkpoint\n", "a\n1\n", "a\n1\nAA==\n"])
def test_only_checkpoints_are_cosigned(cosigner: Cosigner, text: str) -> None:
    with pytest.raises(NoteError):
        cosigner.cosign(text, time_s=TIME_S)
    signature = NoteSignature(
        cosigner.verifier.name, cosigner.verifier.key_id, b"g" * 72
    )
    with pytest.raises(NoteError):
        verify_cosignature(text, signature, cosigner.verifier)


def test_extension_lines_are_not_cosigned(cosigner: Cosigner, text: str) -> None:
    with pytest.raises(NoteError):
        cosigner.cosign(text + "extension\n", time_s=TIME_S)


def test_note_signer_is_no_cosigner(text: str) -> None:
    signer = Signer("log.example", PrivateKey(bytes(32)))
    with pytest.raises(NoteError, match="not one that cosigns"):
        verify_cosignature(text, signer.sign(text), signer.verifier)


def test_origin_that_ml_dsa_cannot_frame_is_refused(text: str) -> None:
    signer = MlDsaSigner("log.example", MlDsaPrivateKey(bytes(32)))
    long = text.replace(text.partition("\n")[0], "o" * 256)
    with pytest.raises(NoteError, match="255 bytes"):
        signer.cosign(long, time_s=TIME_S)


def test_timed_signer_signs_notes(cosigner: Cosigner, text: str) -> None:
    signer = TimedSigner(cosigner, lambda: TIME_S)
    note = open_note(sign_note(text, [signer]), [signer.verifier])
    assert [cosignature_time_s(item) for item in note.signatures] == [TIME_S]


def test_sixteen_cosigners_fit_a_note(text: str) -> None:
    cosigners = [
        MlDsaSigner.from_seed(f"witness.example/w{number}", bytes([number] * 32))
        for number in range(16)
    ]
    note = sign_note(text, [TimedSigner(item, lambda: TIME_S) for item in cosigners])
    opened = open_note(note, [item.verifier for item in cosigners])
    assert len(opened.signatures) == 16
    assert len(open_note(note, [cosigners[7].verifier]).signatures) == 1


def test_wrong_known_cosignature_spoils_the_note(
    witness: CosignatureSigner, signer: Signer, text: str
) -> None:
    other = witness.cosign(text.replace("\n5\n", "\n6\n"), time_s=TIME_S)
    note = sign_note(text, [signer]) + other.line.encode()
    assert open_note(note, [signer.verifier]).text == text
    with pytest.raises(NoteError):
        open_note(note, [signer.verifier, witness.verifier])


def test_signature_lines_round_trip(cosigner: Cosigner, text: str) -> None:
    lines = [cosigner.cosign(text, time_s=TIME_S + n) for n in range(3)]
    assert parse_signature_lines(encode_signature_lines(lines)) == lines


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"garbage\n",
        b"\xff\n",
        "\u2014 name AAAAAAAA".encode(),
        "\u2014 name AAAAAAAA\n\n".encode(),
        "\u2014 name AAAAAAAA\n".encode() * 65,
        b"x" * 70_000,
    ],
)
def test_signature_lines_refuse_garbage(data: bytes) -> None:
    with pytest.raises(NoteError):
        parse_signature_lines(data)


def test_type_is_timed_unless_it_signs_text() -> None:
    assert [item.is_timed for item in SignatureType] == [False, True, True]
