"""What a log and a witness say to each other, byte for byte.

A log posts a checkpoint with the proof that it extends the one which the witness
has cosigned last. The witness answers with signature lines, or with the size of
that one. Pure: nothing here sends, stores or believes anything.

Source: C2SP tlog-witness.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.encoding import decode_base64, encode_base64
from ledger.errors import EncodingError, NoteError
from ledger.limits import NOTE_BYTES_MAX, PROOF_HASHES_MAX
from ledger.log.checkpoint import parse_decimal
from ledger.log.errors import WitnessProtocolError
from ledger.log.merkle import HASH_BYTES
from ledger.log.note import Note, NoteSignature, Verifier, open_note

ADD_CHECKPOINT_PATH = "add-checkpoint"
"""Where checkpoints are posted, under the submission prefix of a witness."""

SIZE_MEDIA_TYPE = "text/x.tlog.size"
"""Of an answer that tells the size of the last cosigned checkpoint."""

SIZE_BYTES_MAX = 20
"""The decimal digits of a size below 2**63, and the newline."""

REQUEST_BYTES_MAX = NOTE_BYTES_MAX + 45 * PROOF_HASHES_MAX + len("old ") + 21
"""The longest note after the longest proof and size."""

_OLD = "old "
_BLANK_LINE = b"\n\n"


@dataclass(frozen=True)
class AddCheckpoint:
    """A request to cosign. Nothing in it is checked, beyond its form.

    `proof` holds 32-byte hashes, at most 63: they prove consistency of the log of
    `old_size` entries with the log of the checkpoint. `note` is the signed
    checkpoint, byte for byte.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    @property
    def origin(self) -> str:
        """The name of the log, as the note's first line claims.

        Raises:
            WitnessProtocolError: That line is not text.
        """
        line, _, _ = self.note.partition(b"\n")
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WitnessProtocolError("The origin of a log is UTF-8.") from error

    def encode(self) -> bytes:
        """Return the body of the request."""
        hashes = [encode_base64(item) for item in self.proof]
        lines = [f"{_OLD}{self.old_size}", *hashes, "", ""]
        return "\n".join(lines).encode("ascii") + self.note


def parse_add_checkpoint(data: bytes) -> AddCheckpoint:
    """Parse the body of a request to cosign.

    Args:
        data: The body, at most `REQUEST_BYTES_MAX` bytes.

    Raises:
        WitnessProtocolError: Not in the one allowed form. The note itself is not
            parsed. No other error leaves this function.
    """
    if len(data) > REQUEST_BYTES_MAX:
        raise WitnessProtocolError(f"A request has at most {REQUEST_BYTES_MAX} bytes.")
    head, blank, note = data.partition(_BLANK_LINE)
    if not blank or not 0 < len(note) <= NOTE_BYTES_MAX:
        raise WitnessProtocolError("A request is a size, a proof, and a checkpoint.")
    try:
        first, *lines = head.decode("ascii").split("\n")
        if not first.startswith(_OLD):
            raise WitnessProtocolError("A request begins with the old size.")
        old_size = parse_decimal(first.removeprefix(_OLD))
        if len(lines) > PROOF_HASHES_MAX:
            raise WitnessProtocolError(f"A proof has at most {PROOF_HASHES_MAX} lines.")
        proof = tuple(decode_base64(line, size=HASH_BYTES) for line in lines)
    except (UnicodeDecodeError, EncodingError, NoteError) as error:
        raise WitnessProtocolError(f"A request out of form: {error}") from error
    return AddCheckpoint(old_size, proof, note)


def parse_cosignatures(
    data: bytes, note: bytes, verifiers: Sequence[Verifier]
) -> tuple[NoteSignature, ...]:
    """Take from a witness's answer what it has signed.

    Args:
        data: The body of the answer, at most 65,536 bytes: one or more signature
            lines. Those of unknown keys are passed over.
        note: The note that it was sent.
        verifiers: The keys of this witness.

    Returns:
        The lines to append to the note; at least one, each checked over its text.

    Raises:
        WitnessProtocolError: Malformed, a known key's line is wrong, or there is
            none of a known key. No other error leaves this function.
    """
    text, _, _ = note.rpartition(_BLANK_LINE)
    try:
        opened: Note = open_note(text + _BLANK_LINE + data, verifiers)
    except NoteError as error:
        raise WitnessProtocolError(f"The answer does not cosign: {error}") from error
    if opened.text.encode() != text + b"\n":
        # A blank line in the answer would move the end of the text into it.
        raise WitnessProtocolError("The answer is not made of signature lines.")
    return opened.signatures


def encode_size(size: int) -> bytes:
    """Return the body that tells the size of the last cosigned checkpoint."""
    return f"{size}\n".encode("ascii")


def parse_size(data: bytes) -> int:
    """Parse the body that tells the size of the last cosigned checkpoint.

    Raises:
        WitnessProtocolError: Not in the one allowed form.
    """
    try:
        text = data[: SIZE_BYTES_MAX + 1].decode("ascii")
        if not text.endswith("\n"):
            raise WitnessProtocolError("A size is one line.")
        return parse_decimal(text.removesuffix("\n"))
    except (UnicodeDecodeError, NoteError) as error:
        raise WitnessProtocolError(f"Not a size: {error}") from error


def checkpoint_path(origin: str) -> str:
    """Return where a witness shows what it last cosigned for a log.

    It lies under the monitoring prefix of the witness.
    """
    return f"{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"
