"""Laws of the log's formats: what is written reads back, and nothing else does."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import NoteError
from ledger.log import (
    Checkpoint,
    Signer,
    TilePath,
    TlogProof,
    open_note,
    parse_checkpoint,
    parse_path,
    parse_proof,
    sign_note,
)
from ledger.log.tiles import encode_bundle, parse_bundle, truncate_tile
from ledger.signing import PrivateKey

SIGNER = Signer("ledger.example/main", PrivateKey(bytes(range(32))))
LINES = st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32))
TEXTS = st.lists(LINES, min_size=1).map(lambda lines: "\n".join([*lines, ""]))
HASHES = st.binary(min_size=32, max_size=32)
SIZES = st.integers(1, 2**63 - 1)
CHECKPOINTS = st.builds(Checkpoint, LINES.filter(bool), SIZES, HASHES)
PATHS = st.builds(
    TilePath, st.none() | st.integers(0, 7), st.integers(0, 2**55), st.integers(1, 256)
)
ENTRIES = st.lists(st.binary(max_size=300), min_size=1, max_size=256)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with one of them changed, left out or doubled."""
    at = draw(st.integers(0, len(data) - 1))
    middle = draw(st.binary(max_size=2).filter(lambda it: it != data[at : at + 1]))
    return data[:at] + middle + data[at + 1 :]


@given(TEXTS)
def test_note_reads_back(text: str) -> None:
    note = sign_note(text, [SIGNER])
    assert open_note(note, [SIGNER.verifier]).text == text


@given(st.data(), TEXTS)
def test_damaged_note_never_gives_other_text(data: st.DataObject, text: str) -> None:
    changed = data.draw(damaged(sign_note(text, [SIGNER])))
    with contextlib.suppress(NoteError):
        assert open_note(changed, [SIGNER.verifier]).text == text


@given(CHECKPOINTS)
def test_checkpoint_reads_back(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(checkpoint.text) == checkpoint


@given(
    st.builds(
        TlogProof,
        st.integers(0, 2**63 - 1),
        st.lists(HASHES, max_size=63).map(tuple),
        st.binary(),
        st.none() | st.binary(),
    )
)
def test_proof_reads_back(proof: TlogProof) -> None:
    assert parse_proof(proof.encode()) == proof


@given(PATHS)
def test_tile_path_reads_back(path: TilePath) -> None:
    assert parse_path(str(path)) == path


@given(ENTRIES, st.data())
def test_bundle_reads_back_at_each_width(
    entries: list[bytes], data: st.DataObject
) -> None:
    bundle = encode_bundle(entries)
    width = data.draw(st.integers(1, len(entries)))
    front = truncate_tile(bundle, TilePath(None, 0, width))
    assert parse_bundle(front, width=width) == tuple(entries[:width])
