from typing import Any

import pytest

from ledger.encoding import decode_base64, encode_base64
from ledger.errors import NoteError
from ledger.log import Signer, Verifier, open_note, sign_note
from ledger.log.note import NoteSignature, SignatureType
from ledger.signing import PrivateKey

OTHER = Signer("other.example/log", PrivateKey(b"o" * 32))


@pytest.fixture
def specification(vectors: Any) -> Any:
    return vectors["specification_note"]


@pytest.fixture
def note(specification: Any) -> bytes:
    return f"{specification['text']}\n{specification['signature_line']}".encode()


@pytest.fixture
def verifier(specification: Any) -> Verifier:
    return Verifier.parse(specification["vkey"])


def test_open_note_accepts_specification_example(
    specification: Any, note: bytes, verifier: Verifier
) -> None:
    opened = open_note(note, [verifier])
    assert opened.text == specification["text"]
    assert [item.line for item in opened.signatures] == [
        specification["signature_line"]
    ]


def test_verifier_key_round_trips(specification: Any, verifier: Verifier) -> None:
    assert verifier.vkey == specification["vkey"]
    assert verifier.name == "example.com/foo"
    assert verifier.key_id.hex() == "530d903a"


def test_own_key_has_frozen_text(vectors: Any, signer: Signer) -> None:
    own = vectors["own_log"]
    assert signer.verifier.vkey == own["vkey"]
    assert signer.verifier.key.hex() == own["public_key"]


def test_foreign_checkpoint_signature_verifies(vectors: Any) -> None:
    foreign = vectors["sigsum_checkpoint"]
    verifier = Verifier(
        foreign["origin"],
        SignatureType.ED25519,
        bytes.fromhex(foreign["public_key"]),
    )
    payload = decode_base64(foreign["payload"])
    assert verifier.key_id == payload[:4]
    verifier.verify(
        f"{foreign['origin']}\n{foreign['size']}\n{foreign['root']}\n", payload[4:]
    )


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+530d903a",
        "++",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a+",
        "example.com/foo+530d903a+AQ==",
        "example.com/foo+530d903a+AOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "\ud800+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "n" * 5000 + "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_verifier_parse_refuses_near_miss(vkey: str) -> None:
    with pytest.raises(NoteError):
        Verifier.parse(vkey)


@pytest.mark.parametrize(
    "name", ["", "a+b", "a b", "a\u2003b", "a\nb", "a\x01b", "n" * 256]
)
def test_signer_refuses_bad_name(name: str) -> None:
    with pytest.raises(NoteError):
        Signer(name, PrivateKey(bytes(32)))


def test_sign_note_is_read_by_each_signer(signer: Signer) -> None:
    note = sign_note("Two paragraphs.\n\nOne note.\n", [signer, OTHER])
    for known in ([signer.verifier], [OTHER.verifier]):
        assert open_note(note, known).text == "Two paragraphs.\n\nOne note.\n"
    both = open_note(note, [OTHER.verifier, signer.verifier])
    assert [item.name for item in both.signatures] == [
        signer.verifier.name,
        OTHER.verifier.name,
    ]


@pytest.mark.parametrize("text", ["", "no newline", "tab\there\n", "nul\0\n"])
def test_sign_note_refuses_bad_text(signer: Signer, text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, [signer])


def test_open_note_ignores_unknown_keys(signer: Signer) -> None:
    """A line that shares only the name, or only the id, with a known key is foreign."""
    true = signer.sign("text\n")
    same_name = NoteSignature(true.name, b"\0\0\0\0", b"s" * 64)
    same_id = NoteSignature("elsewhere.example", true.key_id, b"s" * 64)
    lines = "".join(item.line for item in (same_name, same_id, true))
    opened = open_note(f"text\n\n{lines}".encode(), [signer.verifier])
    assert opened.signatures == (true,)


def test_open_note_refuses_without_known_key(note: bytes) -> None:
    for known in ([], [OTHER.verifier]):
        with pytest.raises(NoteError, match="No key"):
            open_note(note, known)


def test_open_note_refuses_wrong_known_signature(signer: Signer) -> None:
    """One true signature does not excuse a wrong one of another known key."""
    wrong = NoteSignature(OTHER.verifier.name, OTHER.verifier.key_id, b"s" * 64)
    note = sign_note("text\n", [signer]) + wrong.line.encode()
    assert open_note(note, [signer.verifier]).text == "text\n"
    with pytest.raises(NoteError, match="wrong"):
        open_note(note, [signer.verifier, OTHER.verifier])


def test_open_note_refuses_repeated_known_key(signer: Signer) -> None:
    note = sign_note("text\n", [signer]) + signer.sign("text\n").line.encode()
    with pytest.raises(NoteError, match="Two signatures"):
        open_note(note, [signer.verifier])


def test_open_note_refuses_ambiguous_keys(note: bytes, verifier: Verifier) -> None:
    with pytest.raises(NoteError, match="Two trusted keys"):
        open_note(note, [verifier, verifier])


def test_open_note_refuses_near_miss(note: bytes, verifier: Verifier) -> None:
    changes = [
        (b"This", b"this"),
        (b"message.\n\n", b"message.\n"),
        (b"message.\n\n", b"message.\n\n\n"),
        (b"message.", b"message.\r"),
        (b"message.", b"message.\xff"),
        ("\u2014 ".encode(), b"- "),
        (b"foo Uw2Q", b"foo  Uw2Q"),
        (b"foo Uw2Q", b"fooUw2Q"),
        (b"foo Uw2Q", b"foo Vw2Q"),
        (b"QM=\n", b"QM=\n\n"),
        (b"QM=\n", b"QM="),
        (b"QM=\n", b"QN=\n"),
        (b"QM=\n", b"QM\n"),
        (b"QM=\n", b"QM= \n"),
    ]
    for old, new in changes:
        assert old in note
        with pytest.raises(NoteError):
            open_note(note.replace(old, new), [verifier])


def test_open_note_refuses_line_without_signature(signer: Signer) -> None:
    line = f"\u2014 {signer.verifier.name} {encode_base64(signer.verifier.key_id)}\n"
    with pytest.raises(NoteError, match="without"):
        open_note(f"text\n\n{line}".encode(), [signer.verifier])


def test_open_note_bounds_its_input(signer: Signer) -> None:
    line = NoteSignature("elsewhere.example", b"\0\0\0\0", b"s").line.encode()
    note = sign_note("text\n", [signer])
    assert open_note(note + 63 * line, [signer.verifier])
    with pytest.raises(NoteError, match="at most 64"):
        open_note(note + 64 * line, [signer.verifier])
    with pytest.raises(NoteError, match="bytes"):
        open_note(b"x" * 65_536 + note, [signer.verifier])


@pytest.mark.parametrize(
    "garbage", [b"", b"\n\n", b"\xff" * 99, b"\n\n\n", "\u2014".encode()]
)
def test_open_note_refuses_garbage(signer: Signer, garbage: bytes) -> None:
    with pytest.raises(NoteError):
        open_note(garbage, [signer.verifier])
