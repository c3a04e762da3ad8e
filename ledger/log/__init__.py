"""The transparency log, for those who check it.

Everything here is pure or reads tiles; it imports no database, no server and no
key store. Read in this order: `merkle` (hashes and proofs), `note` (signatures),
`checkpoint` (a signed head), `tiles` (the layout), `tree` (paths out of tiles),
`proof` (the file one keeps). The writer is apart: `ledger.log.log`, with its
tables in `models` and its folder in `publication`.
"""

from ledger.log.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
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

__all__ = [
    "EMPTY_ROOT",
    "Checkpoint",
    "FolderTiles",
    "Frontier",
    "Note",
    "NoteSignature",
    "Signer",
    "TilePath",
    "TileSource",
    "TileTree",
    "TlogProof",
    "Verifier",
    "leaf_hash",
    "node_hash",
    "open_checkpoint",
    "open_note",
    "parse_checkpoint",
    "parse_path",
    "parse_proof",
    "sign_note",
    "verify_consistency",
    "verify_inclusion",
    "verify_proof",
]
