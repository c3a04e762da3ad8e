"""Evidence that a log has shown two histories, in a folder that speaks for itself.

DIR/<name>/log.vkey            the verifier keys of the log
DIR/<name>/checkpoint.first    what it had signed before, as it was received
DIR/<name>/checkpoint.second   what it signed then
DIR/<name>/log/tile/...        the tiles that it showed with them, if any
DIR/<name>/README              what happened, and how to check it

Whoever has the log's key from elsewhere can check it without trusting the finder.
"""

import hashlib
import os
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FIRST_NAME = "checkpoint.first"
"""The note that was seen before the other."""

SECOND_NAME = "checkpoint.second"
"""The note that contradicts it."""

_NAME_CHARACTERS = 16
_WIDTH = 80
_UNFINISHED = ".new"


@dataclass(frozen=True)
class ForkEvidence:
    """Two notes of one log, and what was shown to reconcile them.

    `keys` is the text of its `log.vkey`, `tiles` maps paths of tiles to their bytes,
    `account` says in sentences what happened.
    """

    keys: str
    first: bytes
    second: bytes
    account: str
    tiles: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its folder: the same for the same two texts, however signed."""
        texts = [note.rpartition(b"\n\n")[0] for note in (self.first, self.second)]
        digests = [hashlib.sha256(text).digest() for text in texts]
        return hashlib.sha256(b"".join(digests)).hexdigest()[:_NAME_CHARACTERS]

    def write(self, folder: Path) -> Path:
        """Keep the evidence, durably; what is there already stays as it is.

        Args:
            folder: Of all evidence; made if it is not there.

        Returns:
            The folder of this evidence.

        Raises:
            OSError: It cannot be written.
        """
        target = folder / self.name
        if target.is_dir():
            return target
        unfinished = folder / (self.name + _UNFINISHED)
        shutil.rmtree(unfinished, ignore_errors=True)
        for name, data in self._files():
            _write_file(unfinished / name, data)
        unfinished.rename(target)
        _sync(folder)
        return target

    def _files(self) -> Iterable[tuple[str, bytes]]:
        yield "log.vkey", self.keys.encode()
        yield FIRST_NAME, self.first
        yield SECOND_NAME, self.second
        for path, data in self.tiles.items():
            yield f"log/{path}", data
        yield (
            "README",
            _README.format(account=textwrap.fill(self.account, _WIDTH)).encode(),
        )


def list_evidence(folder: Path) -> list[Path]:
    """Return the folders of all evidence that was kept, sorted by name.

    Raises:
        OSError: The folder cannot be read.
    """
    if not folder.is_dir():
        return []
    names = (path for path in folder.iterdir() if path.is_dir())
    return sorted(path for path in names if path.suffix != _UNFINISHED)


def _write_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_README = """\
Evidence against a transparency log
===================================

{account}

To check it, with the log's verifier key from a source of your own:

1. Check that log.vkey is that key. Nothing below counts if it is not.
2. Check the log's signature on checkpoint.first and on checkpoint.second; both are
   signed notes (C2SP signed-note, tlog-checkpoint).
3. If their second lines, the sizes, are equal and their third lines, the roots,
   differ, the log has signed two histories. That is the proof; you are done.
4. Else build the root of the larger size from the tiles in log/ (C2SP tlog-tiles),
   and from the same tiles the root of the smaller size. If the first is the signed
   one and the second is not, the log has signed two histories.
5. If the tiles do not give the root of the larger size, the log has not proved that
   one checkpoint extends the other. Ask its operator for a consistency proof between
   the two sizes: an honest log always has it, a forked one never.
"""
