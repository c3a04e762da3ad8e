"""A log that keeps cosignatures, and proves under what enough witnesses have seen."""

from typing import Any

import pytest
from sqlmodel import Session

from ledger.errors import LogError, NoteError
from ledger.limits import NOTE_BYTES_MAX
from ledger.log import (
    CosignatureSigner,
    MlDsaSigner,
    NoteSignature,
    Signer,
    open_checkpoint,
    open_note,
    sign_note,
    verify_consistency,
    verify_proof,
)
from ledger.log.log import Log
from ledger.log.note import extend_note, read_text
from ledger.signing import PrivateKey

WITNESS = CosignatureSigner("witness.example/w1", PrivateKey(b"w" * 32))
OTHER = MlDsaSigner.from_seed("witness.example/w2", b"o" * 32)


def cosign(text: str, *cosigners: Any) -> list[NoteSignature]:
    return [item.cosign(text, time_s=5) for item in cosigners or (WITNESS,)]


def lines_in(note: bytes) -> int:
    return note.count("\u2014 ".encode())


@pytest.fixture
def published(written: Any) -> Any:
    written.append([b"one", b"two"])
    written.publish()
    return written


def test_cosignatures_are_added_to_the_checkpoint(published: Any) -> None:
    text = published.log.published().text
    first = published.log.add_cosignatures(text, cosign(text))
    both = published.log.add_cosignatures(text, cosign(text, OTHER, WITNESS))
    assert published.log.published_note() == both
    assert both.startswith(first)
    opened = open_note(both, [WITNESS.verifier, OTHER.verifier])
    assert [item.name for item in opened.signatures] == [
        WITNESS.verifier.name,
        OTHER.verifier.name,
    ]
    assert open_checkpoint(both, published.signer.verifier).text == text


def test_cosignatures_outlive_a_restart_and_an_idle_publish(published: Any) -> None:
    text = published.log.published().text
    note = published.log.add_cosignatures(text, cosign(text))
    published.start()
    published.publish()
    assert published.log.published_note() == note


def test_late_cosignatures_change_nothing(published: Any) -> None:
    text = published.log.published().text
    published.append([b"three"])
    published.publish()
    before = published.log.published_note()
    assert published.log.add_cosignatures(text, cosign(text)) is None
    assert published.log.published_note() == before


def test_cosignatures_of_an_unpublished_log_change_nothing(written: Any) -> None:
    assert written.log.add_cosignatures("text\n", cosign_any()) is None
    assert written.log.published_note() is None


def cosign_any() -> list[NoteSignature]:
    return [NoteSignature("n", b"1234", b"data")]


def test_note_that_would_be_too_large_is_refused(published: Any) -> None:
    text = published.log.published().text
    huge = NoteSignature("n", b"1234", b"d" * NOTE_BYTES_MAX)
    before = published.log.published_note()
    with pytest.raises(NoteError, match="at most"):
        published.log.add_cosignatures(text, [huge])
    assert published.log.published_note() == before


def test_proofs_go_under_the_witnessed_checkpoint(published: Any) -> None:
    log = published.log
    with pytest.raises(LogError):
        log.prove_witnessed(0)
    text = log.published().text
    log.keep_witnessed(log.add_cosignatures(text, cosign(text)))
    published.append(b"entry-%d" % index for index in range(300))
    published.publish()
    proof = log.prove_witnessed(1)
    assert lines_in(proof.checkpoint_note) == 2
    verifier = published.signer.verifier
    assert verify_proof(proof, b"two", verifier).checkpoint.size == 2
    with pytest.raises(LogError):
        log.prove_witnessed(2)
    assert verify_proof(log.prove(1), b"two", verifier).checkpoint.size == 302


def test_witnessed_checkpoint_only_grows(published: Any) -> None:
    log = published.log
    old = log.published_note()
    published.append([b"three"])
    published.publish()
    new = log.published_note()
    log.keep_witnessed(new)
    log.keep_witnessed(old)
    assert log.witnessed_note() == new
    text = read_text(new)
    more = extend_note(new, cosign(text))
    log.keep_witnessed(more)
    published.start()
    assert published.log.witnessed_note() == more


def test_witnessed_checkpoint_must_be_of_this_log(published: Any) -> None:
    stranger = Signer(published.log.origin, PrivateKey(b"s" * 32))
    with pytest.raises(NoteError):
        published.log.keep_witnessed(sign_note("a\n1\nb\n", [stranger]))
    assert published.log.witnessed_note() is None


def test_consistency_is_proved_between_any_sizes(published: Any) -> None:
    old = published.log.published()
    published.append(b"entry-%d" % index for index in range(300))
    new = published.publish()
    verify_consistency(
        old_size=old.size,
        new_size=new.size,
        path=published.log.consistency(old.size, new.size),
        old_root=old.root,
        new_root=new.root,
    )


def test_halted_log_publishes_nothing(published: Any) -> None:
    before = published.log.published_note()
    published.log.halt("It has forked.")
    published.append([b"three"])
    with pytest.raises(LogError, match="forked"):
        published.publish()
    assert published.log.published_note() == before
    # Until somebody who knows better starts it again.
    published.start()
    assert published.publish().size == 3


def test_key_changes_are_kept(published: Any) -> None:
    log = published.log
    assert log.key_change(2) is None
    log.publish_key_change(2, b"proof")
    assert log.key_change(2) == b"proof"
    assert (published.folder / "keys" / "2.tlog-proof").read_bytes() == b"proof"
    assert Log(published.folder, published.signer).key_change(2) == b"proof"
    assert log.generation == 1
    assert log.keys.verifiers == (published.signer.verifier,)


def test_folder_of_a_log_with_cosignatures_is_read_again(published: Any) -> None:
    """Recovery opens a note with more lines than its own."""
    text = published.log.published().text
    published.log.add_cosignatures(text, cosign(text, WITNESS, OTHER))
    (published.folder / "tile" / "0" / "000.p" / "2").unlink()
    published.start()
    published.check()
    with Session(published.engine) as session:
        assert published.log.publish(session).text == text


def test_extended_note_keeps_what_it_has() -> None:
    signer = Signer("log.example", PrivateKey(bytes(32)))
    note = sign_note("text\n", [signer])
    added = NoteSignature("other", b"1234", b"data")
    assert extend_note(note, [signer.sign("text\n")]) == note
    assert extend_note(note, [added]) == note + added.line.encode()
    assert extend_note(extend_note(note, [added]), [added]) == note + (
        added.line.encode()
    )
    with pytest.raises(NoteError):
        extend_note(b"garbage", [added])


@pytest.mark.parametrize("data", [b"", b"\n\n", b"no signature\n\n", b"\xff\n\nx\n"])
def test_text_of_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(NoteError):
        read_text(data)
