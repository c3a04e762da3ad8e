"""Offline proofs that an entry is in the log: the `.tlog-proof` file.

It holds all that a reader needs beside the entry itself and the log's keys: the
place of the entry, its path, and the signed checkpoint that the path leads to, with
the cosignatures that it had by then.

Source: C2SP tlog-proof.
"""

from dataclasses import dataclass

from ledger.encoding import decode_base64, encode_base64
from ledger.errors import EncodingError, NoteError, ProofError
from ledger.limits import NOTE_BYTES_MAX, PROOF_HASHES_MAX
from ledger.log.checkpoint import parse_decimal
from ledger.log.log_keys import LogKeys
from ledger.log.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from ledger.log.note import Verifier
from ledger.log.witness_policy import NO_WITNESSES, WitnessedCheckpoint, WitnessPolicy

EXTRA_BYTES_MAX = 65_535
"""As much as one entry of the log, which is what one may want to send along."""

PROOF_BYTES_MAX = NOTE_BYTES_MAX + 45 * PROOF_HASHES_MAX + 2 * EXTRA_BYTES_MAX
"""The longest note and path, and `extra` in base64 with room for the other lines."""

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class TlogProof:
    """The place of one entry in one log, not checked yet.

    `path` holds 32-byte hashes, the leaf's sibling first. `checkpoint_note` is the
    signed checkpoint, byte for byte. `extra` is covered by no signature.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint_note: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """Return the bytes of the `.tlog-proof` file."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(encode_base64(item) for item in self.path)
        return "\n".join([*lines, "", ""]).encode() + self.checkpoint_note


def parse_proof(data: bytes) -> TlogProof:
    """Parse a `.tlog-proof` file; `verify_proof` then says if it is true.

    Args:
        data: The file, at most `PROOF_BYTES_MAX` bytes.

    Raises:
        ProofError: Not a proof in the one allowed form.
    """
    if len(data) > PROOF_BYTES_MAX:
        raise ProofError(f"A proof has at most {PROOF_BYTES_MAX} bytes.")
    head, blank, checkpoint_note = data.partition(b"\n\n")
    if not blank:
        raise ProofError("A proof has a blank line before its checkpoint.")
    try:
        header, *lines = head.decode("ascii").split("\n")
        if header != _HEADER:
            raise ProofError(f"A proof begins with {_HEADER}.")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise ProofError("A proof names the index of its entry.")
        index = parse_decimal(lines.pop(0).removeprefix("index "))
        path = tuple(decode_base64(line, size=HASH_BYTES) for line in lines)
    except (UnicodeDecodeError, EncodingError, NoteError) as error:
        raise ProofError(f"A proof that is malformed: {error}") from error
    if len(path) > PROOF_HASHES_MAX or len(extra or b"") > EXTRA_BYTES_MAX:
        raise ProofError("A proof whose path or extra data is too long.")
    return TlogProof(index, path, checkpoint_note, extra)


def verify_proof(
    proof: TlogProof,
    entry: bytes,
    keys: LogKeys | Verifier,
    policy: WitnessPolicy = NO_WITNESSES,
) -> WitnessedCheckpoint:
    """Check that a log has signed, and witnesses cosigned, a tree with this entry.

    Args:
        proof: From `parse_proof`.
        entry: The exact bytes of the entry.
        keys: Of the log. Each must have signed.
        policy: Whose cosignatures count, and how many are asked for.

    Returns:
        The log's checkpoint that the proof leads to, and who cosigned it.

    Raises:
        NoteError: The checkpoint is malformed or this log did not sign it.
        QuorumError: Too few of the policy's witnesses cosigned it.
        ProofError: The path does not lead from the entry to the checkpoint.
    """
    opened = policy.verify(proof.checkpoint_note, keys)
    verify_inclusion(
        leaf_hash(entry),
        index=proof.index,
        tree_size=opened.checkpoint.size,
        path=proof.path,
        root=opened.checkpoint.root,
    )
    return opened
