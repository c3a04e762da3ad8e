"""Parsers of the log's formats, fed with all that is not in their format."""

import pytest
from hostile_bytes import Parser, nearly
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NoteError, PolicyError, ProofError, TileError
from ledger.log import (
    Checkpoint,
    LogKeys,
    Signer,
    TilePath,
    TlogProof,
    Verifier,
    leaf_hash,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_path,
    parse_proof,
    sign_note,
    verify_proof,
)
from ledger.log.cosignature import (
    CosignatureSigner,
    MlDsaSigner,
    TimedSigner,
    encode_signature_lines,
    parse_signature_lines,
)
from ledger.log.errors import WitnessProtocolError
from ledger.log.tiles import encode_bundle, parse_bundle, parse_tile, truncate_tile
from ledger.log.witness_policy import WitnessPolicy
from ledger.log.witness_protocol import (
    AddCheckpoint,
    encode_size,
    parse_add_checkpoint,
    parse_cosignatures,
    parse_size,
)
from ledger.signing import PrivateKey

ORIGIN = "ledger.example/main"
SIGNER = Signer(ORIGIN, PrivateKey(bytes(range(32))))
ML_DSA = MlDsaSigner.from_seed(ORIGIN, bytes(range(32, 64)))
WITNESS = CosignatureSigner("witness.example/w1", PrivateKey(bytes(32)))
KEYS = LogKeys((SIGNER.verifier, ML_DSA.verifier))
ENTRY = b"an entry"
CHECKPOINT = Checkpoint(ORIGIN, 1, leaf_hash(ENTRY))
COSIGNATURE = WITNESS.cosign(CHECKPOINT.text, time_s=1_700_000_000)
NOTE = sign_note(CHECKPOINT.text, [SIGNER])
SIGNERS = [
    SIGNER,
    *(TimedSigner(it, lambda: 1_700_000_000) for it in (ML_DSA, WITNESS)),
]
FULL_NOTE = sign_note(CHECKPOINT.text, SIGNERS)
HASHES = tuple(bytes([count]) * 32 for count in range(3))
PROOF = TlogProof(0, (), NOTE, b"extra").encode()
LONG_PROOF = TlogProof(5, HASHES, FULL_NOTE).encode()
REQUEST = AddCheckpoint(1, HASHES, NOTE).encode()
BUNDLE = encode_bundle([b"one", b"", b"three"])
POLICY = f"""\
# Ours, and two witnesses.
log {SIGNER.verifier.vkey} https://ledger.example/log
log {ML_DSA.verifier.vkey}
witness w1 {WITNESS.verifier.vkey} https://witness.example
witness w2 {MlDsaSigner.from_seed("witness.example/w2", bytes(32)).verifier.vkey}
group g any w1 w2
quorum g
""".encode()


def text(data: bytes) -> str:
    """As a command line gives what is not UTF-8."""
    return data.decode(errors="surrogateescape")


def open_answer(data: bytes) -> None:
    parse_cosignatures(data, NOTE, [WITNESS.verifier])


PARSERS = [
    Parser(
        "note",
        lambda data: open_note(data, [SIGNER.verifier, WITNESS.verifier]),
        NoteError,
        (NOTE, FULL_NOTE),
    ),
    Parser(
        "signed checkpoint",
        lambda data: open_checkpoint(data, KEYS),
        NoteError,
        (FULL_NOTE,),
    ),
    Parser(
        "text of a checkpoint",
        lambda data: parse_checkpoint(data.decode("latin-1")),
        NoteError,
        (CHECKPOINT.text.encode(),),
        lambda checkpoint: checkpoint.text.encode("latin-1"),
    ),
    Parser(
        "verifier key",
        lambda data: Verifier.parse(text(data)),
        NoteError,
        tuple(it.verifier.vkey.encode() for it in (SIGNER, ML_DSA, WITNESS)),
        lambda verifier: verifier.vkey.encode(),
    ),
    Parser(
        "keys of a log",
        lambda data: LogKeys.parse(text(data)),
        NoteError,
        (KEYS.text.encode(),),
    ),
    Parser(
        "signature lines",
        parse_signature_lines,
        NoteError,
        (COSIGNATURE.line.encode(),),
        encode_signature_lines,
    ),
    Parser("proof", parse_proof, ProofError, (PROOF, LONG_PROOF), TlogProof.encode),
    Parser(
        "proof of an entry",
        lambda data: verify_proof(parse_proof(data), ENTRY, SIGNER.verifier),
        (NoteError, ProofError),
        (PROOF,),
    ),
    Parser(
        "tile", lambda data: parse_tile(data, width=3), TileError, (b"".join(HASHES),)
    ),
    Parser(
        "bundle",
        lambda data: parse_bundle(data, width=3),
        TileError,
        (BUNDLE,),
        encode_bundle,
    ),
    Parser(
        "bundle to be cut",
        lambda data: truncate_tile(data, TilePath(None, 0, 2)),
        TileError,
        (BUNDLE,),
    ),
    Parser(
        "tile to be cut",
        lambda data: truncate_tile(data, TilePath(0, 0, 2)),
        TileError,
        (b"".join(HASHES),),
    ),
    Parser(
        "path of a tile",
        lambda data: parse_path(text(data)),
        TileError,
        (b"tile/0/x001/x234/067.p/8", b"tile/entries/000"),
        lambda path: str(path).encode(),
    ),
    Parser("witness policy", WitnessPolicy.parse, PolicyError, (POLICY,)),
    Parser(
        "request to a witness",
        parse_add_checkpoint,
        WitnessProtocolError,
        (REQUEST,),
        AddCheckpoint.encode,
    ),
    Parser(
        "cosignatures",
        open_answer,
        WitnessProtocolError,
        (COSIGNATURE.line.encode(),),
    ),
    Parser("size", parse_size, WitnessProtocolError, (b"1234\n",), encode_size),
]


each_parser = pytest.mark.parametrize("parser", PARSERS, ids=str)


@each_parser
def test_samples_are_accepted(parser) -> None:
    for sample in parser.samples:
        parser.parse(sample)


@each_parser
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_accepted_or_refused(parser, data) -> None:
    parser.take(data)


@each_parser
@given(st.data())
@settings(deadline=None)
def test_nearly_right_bytes_are_accepted_or_refused(parser, data) -> None:
    parser.take(data.draw(nearly(data.draw(st.sampled_from(parser.samples)))))


@each_parser
def test_endless_bytes_are_refused_in_time(parser) -> None:
    parser.take_endless()
