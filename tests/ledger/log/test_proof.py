import dataclasses
from typing import Any

import pytest

from ledger.encoding import decode_base64
from ledger.errors import NoteError, ProofError
from ledger.log import Signer, TlogProof, parse_proof, verify_proof
from ledger.log.proof import EXTRA_BYTES_MAX, PROOF_BYTES_MAX
from ledger.signing import PrivateKey


@pytest.fixture
def own(vectors: Any) -> Any:
    return vectors["own_log"]


def make_proof(own: Any, index: int = 3, extra: bytes | None = None) -> TlogProof:
    path = tuple(decode_base64(item) for item in own["paths"][str(index)])
    return TlogProof(index, path, own["checkpoint"].encode(), extra)


def make_file(own: Any, index: int = 3) -> bytes:
    path = "".join(f"{item}\n" for item in own["paths"][str(index)])
    head = f"c2sp.org/tlog-proof@v1\nindex {index}\n{path}\n"
    return (head + own["checkpoint"]).encode()


@pytest.mark.parametrize("index", [3, 4])
def test_proof_has_frozen_bytes(own: Any, index: int) -> None:
    proof = make_proof(own, index)
    assert proof.encode() == make_file(own, index)
    assert parse_proof(make_file(own, index)) == proof


@pytest.mark.parametrize("index", [3, 4])
def test_verify_proof_accepts_frozen_proof(
    own: Any, signer: Signer, index: int
) -> None:
    entry = own["entries"][index].encode()
    checkpoint = verify_proof(make_proof(own, index), entry, signer.verifier).checkpoint
    assert (checkpoint.origin, checkpoint.size) == (own["origin"], 5)


def test_verify_proof_refuses_near_miss(own: Any, signer: Signer) -> None:
    proof = make_proof(own)
    with pytest.raises(ProofError):
        verify_proof(proof, b"Four", signer.verifier)
    for change in ({"index": 2}, {"index": 4}, {"index": 5}, {"path": ()}):
        with pytest.raises(ProofError):
            verify_proof(dataclasses.replace(proof, **change), b"four", signer.verifier)


def test_verify_proof_refuses_unsigned_checkpoint(own: Any, signer: Signer) -> None:
    stranger = Signer("stranger.example", PrivateKey(b"s" * 32))
    with pytest.raises(NoteError):
        verify_proof(make_proof(own), b"four", stranger.verifier)
    smaller = own["checkpoint"].replace("\n5\n", "\n4\n").encode()
    changed = dataclasses.replace(make_proof(own), checkpoint_note=smaller)
    with pytest.raises(NoteError):
        verify_proof(changed, b"four", signer.verifier)


def test_proof_carries_extra_data(own: Any, signer: Signer) -> None:
    for extra in (b"", b"{}", b"x" * EXTRA_BYTES_MAX):
        proof = make_proof(own, extra=extra)
        assert parse_proof(proof.encode()) == proof
        verify_proof(proof, b"four", signer.verifier)


def test_proof_of_only_entry_has_empty_path(own: Any) -> None:
    proof = TlogProof(0, (), own["checkpoint"].encode())
    assert parse_proof(proof.encode()) == proof


def test_parse_proof_refuses_near_miss(own: Any) -> None:
    file = make_file(own)
    changes = [
        (b"@v1", b"@v2"),
        (b"index 3", b"index 03"),
        (b"index 3", b"index -1"),
        (b"index 3", b"index "),
        (b"index 3\n", b""),
        (b"index 3", b"index 3\nextra QQ=="),
        (b"index 3", b"extra QQ=\nindex 3"),
        (b"index 3", b"extra QQ==\nextra QQ==\nindex 3"),
        (b"index 3", b"index 3\r"),
        (b"index 3", b"index \xd9\xa3"),
        (b"index 3\n", b"index 3\nQQ==\n"),
        (b"index 3\n", b"index 3\n\xff\n"),
        (b"index 3\n", b"index 3\n" + 64 * (b"A" * 43 + b"=\n")),
        (b"\n\n", b"\n"),
    ]
    for old, new in changes:
        assert old in file
        with pytest.raises(ProofError):
            parse_proof(file.replace(old, new))


def test_parse_proof_bounds_its_input(own: Any) -> None:
    with pytest.raises(ProofError, match="at most"):
        parse_proof(make_file(own) + b"x" * PROOF_BYTES_MAX)
    with pytest.raises(ProofError, match="too long"):
        parse_proof(make_proof(own, extra=b"x" * (EXTRA_BYTES_MAX + 1)).encode())


@pytest.mark.parametrize(
    "garbage", [b"", b"\n\n", b"\xff\n\n", b"c2sp.org/tlog-proof@v1"]
)
def test_parse_proof_refuses_garbage(garbage: bytes) -> None:
    with pytest.raises(ProofError):
        parse_proof(garbage)
