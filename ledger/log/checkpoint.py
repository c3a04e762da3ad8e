"""Checkpoints: what a log says of itself at one moment, in three lines.

A checkpoint names the log, counts its entries and gives the root over them. It
travels as the text of a signed note, which `ledger.log.log_keys` opens.

Source: C2SP tlog-checkpoint.
"""

import re
from dataclasses import dataclass

from ledger.encoding import decode_base64, encode_base64
from ledger.errors import EncodingError, NoteError
from ledger.log.merkle import EMPTY_ROOT, HASH_BYTES, TREE_SIZE_MAX

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: `size` entries lie under `root`, a hash of 32 bytes.

    Raises:
        NoteError: No log can have this origin, size and root.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise NoteError("The origin of a checkpoint is one line.")
        if not 0 <= self.size <= TREE_SIZE_MAX or len(self.root) != HASH_BYTES:
            raise NoteError("A checkpoint has a size below 2**63 and a 32-byte root.")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise NoteError("A checkpoint of an empty log with another log's root.")

    @property
    def text(self) -> str:
        """The text to sign: three lines, each with its newline."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse the text of a note whose signature was checked.

    Extension lines are refused: the standard advises against them, and witnesses
    may not sign them.

    Raises:
        NoteError: Not the text of a checkpoint.
    """
    match text.split("\n"):
        case [origin, size_text, root_text, ""]:
            pass
        case _:
            raise NoteError("A checkpoint is origin, size and root, a line each.")
    try:
        root = decode_base64(root_text, size=HASH_BYTES)
    except EncodingError as error:
        raise NoteError("The root of a checkpoint is 32 bytes in base64.") from error
    return Checkpoint(origin, parse_decimal(size_text), root)


def parse_decimal(text: str) -> int:
    """Parse a size or an index: ASCII digits, no sign, no leading zeros.

    Raises:
        NoteError: Not in that form, or above 2**63 - 1.
    """
    if _DECIMAL.fullmatch(text) is None or int(text) > TREE_SIZE_MAX:
        raise NoteError("A size or index is a decimal number below 2**63.")
    return int(text)
