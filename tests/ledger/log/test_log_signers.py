from typing import Any

import pytest

from ledger.errors import NoteError
from ledger.log import (
    Checkpoint,
    LogKeys,
    MlDsaSigner,
    Signer,
    TimedSigner,
    leaf_hash,
    open_checkpoint,
)
from ledger.log.log import Log
from ledger.log.log_signers import LogSigners
from ledger.log.note import NoteSigner
from ledger.signing import PrivateKey

ORIGIN = "ledger.example/main"
TEXT = Checkpoint(ORIGIN, 1, leaf_hash(b"one")).text


def make_signers(number: int, origin: str = ORIGIN) -> list[NoteSigner]:
    seed = bytes([number] * 32)
    ml_dsa = MlDsaSigner.from_seed(origin, seed)
    return [
        Signer(origin, PrivateKey(seed)),
        TimedSigner(ml_dsa, lambda: 1_700_000_000),
    ]


FIRST, SECOND, THIRD = (make_signers(number) for number in (1, 2, 3))


def keys_of(signers: list[NoteSigner]) -> LogKeys:
    return LogKeys(tuple(signer.verifier for signer in signers))


def signed_by(note: bytes, *generations: list[NoteSigner]) -> list[bool]:
    results = []
    for generation in generations:
        try:
            open_checkpoint(note, keys_of(generation))
        except NoteError:
            results.append(False)
        else:
            results.append(True)
    return results


def test_rotation_signs_with_both_and_then_with_the_new() -> None:
    signers = LogSigners(FIRST)
    assert signed_by(signers.sign(TEXT), FIRST, SECOND) == [True, False]
    signers.add(SECOND)
    assert signers.keys == keys_of(SECOND)
    assert signers.keys_of(1) == keys_of(FIRST)
    assert (signers.oldest_signing, signers.generation) == (1, 2)
    assert signed_by(signers.sign(TEXT), FIRST, SECOND) == [True, True]
    signers.retire_before(2)
    assert signed_by(signers.sign(TEXT), FIRST, SECOND) == [False, True]
    assert signers.oldest_signing == 2


def test_keys_sign_until_they_are_retired() -> None:
    signers = LogSigners(FIRST)
    signers.add(SECOND)
    signers.add(THIRD)
    note = signers.sign(TEXT)
    assert signed_by(note, FIRST, SECOND, THIRD) == [True, True, True]
    signers.retire_before(2)
    signers.retire_before(1)
    note = signers.sign(TEXT)
    assert signed_by(note, FIRST, SECOND, THIRD) == [False, True, True]


def test_own_notes_of_all_times_are_opened() -> None:
    signers = LogSigners(FIRST)
    notes = [signers.sign(TEXT)]
    signers.add(SECOND)
    notes.append(signers.sign(TEXT))
    signers.retire_before(2)
    notes.append(signers.sign(TEXT))
    signers.add(THIRD)
    for note in notes:
        assert signers.open(note).checkpoint.text == TEXT


def test_notes_of_others_are_refused() -> None:
    signers = LogSigners(FIRST)
    signers.add(SECOND)
    for signer in (THIRD, [FIRST[0]], [FIRST[0], SECOND[1]]):
        note = LogSigners(THIRD).sign(TEXT) if signer is THIRD else None
        if note is None:
            lines = "".join(item.sign(TEXT).line for item in signer)
            note = f"{TEXT}\n{lines}".encode()
        with pytest.raises(NoteError):
            signers.open(note)


def test_keys_of_another_log_are_refused() -> None:
    signers = LogSigners(FIRST)
    with pytest.raises(NoteError):
        signers.add(make_signers(2, "other.example/log"))
    with pytest.raises(NoteError):
        signers.add([])
    assert signers.keys == keys_of(FIRST)


def test_log_goes_on_through_a_rotation(written: Any) -> None:
    """Published notes stay readable, also by a log that begins anew with all keys."""
    signers = LogSigners(FIRST)
    written.log = Log(written.folder, signers)
    written.append([b"one"])
    written.publish()
    signers.add(SECOND)
    written.append([b"two"])
    written.publish()
    note = written.log.tiles.read("checkpoint")
    assert signed_by(note, FIRST, SECOND) == [True, True]
    signers.retire_before(2)
    written.append([b"three"])
    written.publish()
    note = written.log.tiles.read("checkpoint")
    assert signed_by(note, FIRST, SECOND) == [False, True]
    with pytest.raises(NoteError):
        Log(written.folder, LogSigners(FIRST)).published()
    anew = LogSigners(FIRST)
    anew.add(SECOND)
    assert Log(written.folder, anew).published() == written.log.published()
