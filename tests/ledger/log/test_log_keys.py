from collections.abc import Callable
from typing import Any

import pytest

from ledger.errors import KeyTypeError, NoteError
from ledger.log import (
    Checkpoint,
    CosignatureSigner,
    LogKeys,
    MlDsaSigner,
    Signer,
    TimedSigner,
    Verifier,
    leaf_hash,
    open_checkpoint,
    open_signed_checkpoint,
    sign_note,
)
from ledger.log.note import VKEY_CHARACTERS_MAX, NoteSigner
from ledger.signing import PrivateKey

ORIGIN = "ledger.example/main"
ED25519 = Signer(ORIGIN, PrivateKey(bytes(range(32))))
ML_DSA = MlDsaSigner.from_seed(ORIGIN, bytes(range(32)))
TIMED = TimedSigner(ML_DSA, lambda: 1_700_000_000)
WITNESS = CosignatureSigner("witness.example/w1", PrivateKey(b"w" * 32))
KEYS = LogKeys((ED25519.verifier, ML_DSA.verifier))
CHECKPOINT = Checkpoint(ORIGIN, 1, leaf_hash(b"one"))


def note(*signers: NoteSigner, text: str = CHECKPOINT.text) -> bytes:
    return sign_note(text, signers)


def test_log_keys_round_trip() -> None:
    assert KEYS.text == f"{ED25519.verifier.vkey}\n{ML_DSA.verifier.vkey}\n"
    assert LogKeys.parse(KEYS.text) == KEYS
    assert LogKeys.parse(KEYS.text.removesuffix("\n")) == KEYS
    assert KEYS.vkeys == (ED25519.verifier.vkey, ML_DSA.verifier.vkey)
    assert KEYS.origin == ORIGIN


@pytest.mark.parametrize(
    "verifiers",
    [
        (),
        (ML_DSA.verifier,),
        (ML_DSA.verifier, ED25519.verifier),
        (ED25519.verifier, ED25519.verifier),
        (ED25519.verifier, Signer(ORIGIN, PrivateKey(b"o" * 32)).verifier),
        (ED25519.verifier, MlDsaSigner.from_seed("other", bytes(32)).verifier),
        (ED25519.verifier, CosignatureSigner(ORIGIN, PrivateKey(bytes(32))).verifier),
        (WITNESS.verifier,),
    ],
)
def test_keys_of_no_log_are_refused(verifiers: tuple[Verifier, ...]) -> None:
    with pytest.raises(NoteError):
        LogKeys(verifiers)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:0],
        lambda text: "\n" + text,
        lambda text: text + "\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text * 3,
        lambda text: text.replace("\n", "\n\n", 1),
        lambda text: text[:-3],
        lambda text: text * 20,
        lambda text: text + "\n" * 10_000,
    ],
)
def test_key_file_refuses_near_miss(change: Callable[[str], str]) -> None:
    with pytest.raises(NoteError):
        LogKeys.parse(change(KEYS.text))


def test_key_of_unknown_type_is_its_own_error() -> None:
    true = Signer("n", PrivateKey(bytes(32))).verifier.vkey
    name, key_id, _ = true.split("+", 2)
    with pytest.raises(KeyTypeError):
        Verifier.parse(f"{name}+{key_id}+/////w==")
    with pytest.raises(KeyTypeError):
        Verifier.parse(f"{name}+{key_id}+AgAAAA==")


def test_all_types_of_keys_parse() -> None:
    for verifier in (ED25519.verifier, ML_DSA.verifier, WITNESS.verifier):
        assert Verifier.parse(verifier.vkey) == verifier
        assert len(verifier.vkey) < VKEY_CHARACTERS_MAX


@pytest.mark.parametrize("size", [0, 31, 33, 1_311, 1_313])
def test_key_of_wrong_size_is_refused(size: int) -> None:
    for verifier in (ED25519.verifier, ML_DSA.verifier, WITNESS.verifier):
        with pytest.raises(NoteError):
            Verifier("n", verifier.signature_type, bytes(size))


def test_checkpoint_needs_every_known_key() -> None:
    both = note(ED25519, TIMED)
    assert open_checkpoint(both, KEYS) == CHECKPOINT
    assert open_checkpoint(both, ED25519.verifier) == CHECKPOINT
    assert open_checkpoint(note(TIMED, ED25519), KEYS) == CHECKPOINT
    for lacking in (note(ED25519), note(TIMED)):
        with pytest.raises(NoteError, match="has not signed"):
            open_checkpoint(lacking, KEYS)


def test_checkpoint_with_a_wrong_line_is_refused() -> None:
    other = Checkpoint(ORIGIN, 2, CHECKPOINT.root).text
    for right, wrong in ((ED25519, TIMED), (TIMED, ED25519)):
        damaged = note(right) + wrong.sign(other).line.encode()
        with pytest.raises(NoteError, match="is wrong"):
            open_checkpoint(damaged, KEYS)


def test_checkpoint_of_stranger_is_refused() -> None:
    stranger = Signer(ORIGIN, PrivateKey(b"s" * 32))
    with pytest.raises(NoteError):
        open_checkpoint(note(stranger, TIMED), KEYS)
    with pytest.raises(NoteError):
        open_checkpoint(note(stranger), KEYS)


def test_cosignatures_are_optional_and_checked() -> None:
    cosigned = note(ED25519, TIMED, TimedSigner(WITNESS, lambda: 5))
    opened = open_signed_checkpoint(cosigned, KEYS, [WITNESS.verifier])
    assert opened.checkpoint == CHECKPOINT
    assert [item.name for item in opened.note.signatures] == [
        ORIGIN,
        ORIGIN,
        WITNESS.verifier.name,
    ]
    assert len(open_signed_checkpoint(cosigned, KEYS).note.signatures) == 2
    lacking = note(ED25519, TIMED)
    assert open_signed_checkpoint(lacking, KEYS, [WITNESS.verifier]).checkpoint
    wrong = WITNESS.cosign(Checkpoint(ORIGIN, 2, CHECKPOINT.root).text, time_s=5)
    damaged = lacking + wrong.line.encode()
    with pytest.raises(NoteError):
        open_signed_checkpoint(damaged, KEYS, [WITNESS.verifier])


def test_checkpoint_cosigned_but_not_signed_is_refused() -> None:
    """A witness's word is not the log's."""
    cosigned = note(TimedSigner(WITNESS, lambda: 5))
    with pytest.raises(NoteError, match="has not signed"):
        open_signed_checkpoint(cosigned, KEYS, [WITNESS.verifier])


def test_checkpoint_of_other_origin_is_refused() -> None:
    text = Checkpoint("other.example", 1, CHECKPOINT.root).text
    with pytest.raises(NoteError, match="A checkpoint of"):
        open_checkpoint(note(ED25519, text=text), ED25519.verifier)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xff", b"text\n\n", b"x" * 70_000])
def test_checkpoint_of_garbage_is_refused(data: bytes, vectors: Any) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(data, KEYS)
