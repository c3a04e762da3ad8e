"""The transparency log, for those who check it.

Everything here is pure or reads tiles; it imports no database, no server and no
key store. Read in this order: `merkle` (hashes and proofs), `note` (signatures),
`checkpoint` (a head), `log_keys` (who signs it), `cosignature` (who else does),
`tiles` (the layout), `tree` (paths out of tiles),
`proof` (the file one keeps). The writer is apart: `ledger.log.log`, with its
tables in `models` and its folder in `publication`.
"""

from ledger.log.checkpoint import Checkpoint, parse_checkpoint
from ledger.log.cosignature import (
    CosignatureSigner,
    Cosigner,
    MlDsaSigner,
    TimedSigner,
    parse_signature_lines,
    verify_cosignature,
)
from ledger.log.log_keys import (
    LogKeys,
    SignedCheckpoint,
    open_checkpoint,
    open_signed_checkpoint,
)
from ledger.log.merkle import (
    EMPTY_ROOT,
    Frontier,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from ledger.log.note import Note, NoteSignature, Signer, Verifier, open_note, sign_note
from ledger.log.proof import TlogProof, parse_proof, verify_proof
from ledger.log.tiles import FolderTiles, TilePath, TileSource, parse_path
from ledger.log.tree import TileTree
from ledger.log.witness_policy import (
    NO_WITNESSES,
    WitnessedCheckpoint,
    Witnessing,
    WitnessPolicy,
)

__all__ = [
    "EMPTY_ROOT",
    "NO_WITNESSES",
    "Checkpoint",
    "CosignatureSigner",
    "Cosigner",
    "FolderTiles",
    "Frontier",
    "LogKeys",
    "MlDsaSigner",
    "Note",
    "NoteSignature",
    "SignedCheckpoint",
    "Signer",
    "TilePath",
    "TileSource",
    "TileTree",
    "TimedSigner",
    "TlogProof",
    "Verifier",
    "WitnessPolicy",
    "WitnessedCheckpoint",
    "Witnessing",
    "leaf_hash",
    "node_hash",
    "open_checkpoint",
    "open_note",
    "open_signed_checkpoint",
    "parse_checkpoint",
    "parse_path",
    "parse_proof",
    "parse_signature_lines",
    "sign_note",
    "verify_consistency",
    "verify_cosignature",
    "verify_inclusion",
    "verify_proof",
]
