from typing import Any

import pytest

from ledger.errors import NoteError
from ledger.log import (
    EMPTY_ROOT,
    Checkpoint,
    Signer,
    open_checkpoint,
    parse_checkpoint,
    sign_note,
)
from ledger.signing import PrivateKey


@pytest.fixture
def own(vectors: Any) -> Any:
    return vectors["own_log"]


def test_open_checkpoint_accepts_frozen_bytes(own: Any, signer: Signer) -> None:
    checkpoint = open_checkpoint(own["checkpoint"].encode(), signer.verifier)
    assert (checkpoint.origin, checkpoint.size) == (own["origin"], 5)
    assert sign_note(checkpoint.text, [signer]) == own["checkpoint"].encode()


def test_open_checkpoint_refuses_other_origin(signer: Signer) -> None:
    """The log's key signs for the log's name only, though it could sign anything."""
    text = Checkpoint("elsewhere.example", 0, EMPTY_ROOT).text
    with pytest.raises(NoteError, match=r"elsewhere\.example"):
        open_checkpoint(sign_note(text, [signer]), signer.verifier)


def test_open_checkpoint_refuses_other_key(own: Any, signer: Signer) -> None:
    stranger = Signer(signer.verifier.name, PrivateKey(b"s" * 32))
    with pytest.raises(NoteError):
        open_checkpoint(own["checkpoint"].encode(), stranger.verifier)


def test_open_checkpoint_refuses_changed_size(own: Any, signer: Signer) -> None:
    with pytest.raises(NoteError):
        open_checkpoint(
            own["checkpoint"].replace("\n5\n", "\n6\n").encode(), signer.verifier
        )


def test_checkpoint_text_round_trips() -> None:
    checkpoint = Checkpoint("a log/with spaces", 2**63 - 1, b"r" * 32)
    assert parse_checkpoint(checkpoint.text) == checkpoint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n5\n", "\n05\n"),
        ("\n5\n", "\n+5\n"),
        ("\n5\n", "\n-5\n"),
        ("\n5\n", "\n5 \n"),
        ("\n5\n", "\n\u0665\n"),
        ("\n5\n", "\n9223372036854775808\n"),
        ("\n5\n", "\n" + "9" * 5000 + "\n"),
        ("\n5\n", "\n0\n"),
        ("\n5\n", "\n\n"),
        ("\n5\n", "\n"),
        ("ZQ=\n", "ZQ=\nextension\n"),
        ("ZQ=\n", "ZQ=\n\n"),
        ("ZQ=\n", "ZQ="),
        ("ZQ=\n", "ZQ\n"),
        ("ZQ=\n", "ZR=\n"),
        ("gy5g", ""),
        ("ledger.example/main\n", "\n"),
    ],
)
def test_parse_checkpoint_refuses_near_miss(own: Any, old: str, new: str) -> None:
    text = own["checkpoint"].partition("\n\n")[0] + "\n"
    assert parse_checkpoint(text).size == 5
    assert old in text
    with pytest.raises(NoteError):
        parse_checkpoint(text.replace(old, new))


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 5, b"r" * 32),
        ("log\n999", 5, b"r" * 32),
        ("log", -1, b"r" * 32),
        ("log", 2**63, b"r" * 32),
        ("log", 5, b"r" * 31),
        ("log", 0, b"r" * 32),
    ],
)
def test_checkpoint_refuses_what_no_log_has(
    origin: str, size: int, root: bytes
) -> None:
    with pytest.raises(NoteError):
        Checkpoint(origin, size, root)
