"""A copied log in a folder: where each file lies, and how it is read.

DIR/log/checkpoint, DIR/log/tile/...   the log, as C2SP tlog-tiles has it
DIR/log.vkey                           its verifier keys, one a line
DIR/checkpoint.earlier                 the checkpoint of an earlier copy
DIR/openings.jsonl                     openings that were disclosed, if any
DIR/receipts/*.tlog-proof              receipts, if any
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import AuditError, NoteError, TileError
from ledger.log.log_keys import LOG_KEYS_CHARACTERS_MAX, LogKeys
from ledger.log.tiles import (
    CHECKPOINT_PATH,
    TILE_WIDTH,
    FolderTiles,
    TilePath,
    parse_path,
)
from ledger.regular_file import read_regular_file

ENTRIES_MAX = 2**27
"""A log of that many statements is a copy of 100 GB; a larger size is no accident."""

RECEIPT_SUFFIX = ".tlog-proof"
"""How the names of receipt files end."""


@dataclass(frozen=True)
class LogCopy:
    """The folder of a copy. Nothing in it is trusted."""

    folder: Path
    log: Path
    """The folder of checkpoint and tiles."""

    @classmethod
    def at(cls, folder: Path) -> "LogCopy":
        """The copy that a folder holds, or that is to be made there."""
        return cls(folder, folder / "log")

    @classmethod
    def find(cls, path: Path) -> "LogCopy":
        """Take the folder of a copy, or the folder of tiles inside it.

        Raises:
            AuditError: There is no log at this place.
        """
        if (path / "log" / CHECKPOINT_PATH).is_file():
            return cls.at(path)
        if (path / CHECKPOINT_PATH).is_file():
            return cls(path.resolve().parent, path)
        raise AuditError(
            f"There is no log in {path}: log/{CHECKPOINT_PATH} is missing."
        )

    @property
    def tiles(self) -> FolderTiles:
        """The log's files, for reading."""
        return FolderTiles(self.log)

    @property
    def key(self) -> Path:
        """The log's verifier key."""
        return self.folder / "log.vkey"

    @property
    def earlier(self) -> Path:
        """The checkpoint of an earlier copy."""
        return self.folder / "checkpoint.earlier"

    @property
    def openings(self) -> Path:
        """What opens private fields."""
        return self.folder / "openings.jsonl"

    @property
    def receipts(self) -> Path:
        """The folder of receipts."""
        return self.folder / "receipts"

    def receipt_names(self) -> list[str]:
        """The names of all receipts, sorted; none if there is no such folder.

        Raises:
            AuditError: The folder cannot be read.
        """
        try:
            names = [path.name for path in self.receipts.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise AuditError(f"{self.receipts} cannot be read.") from error
        return sorted(name for name in names if name.endswith(RECEIPT_SUFFIX))

    def files(self) -> Iterator[str]:
        """Yield the path of all in the log's folder but folders, with slashes.

        Links are not followed, wherever they lead.

        Raises:
            AuditError: A folder cannot be read.
        """
        folders = [self.log]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as found:
                    for item in found:
                        path = folder / item.name
                        if item.is_dir(follow_symlinks=False):
                            folders.append(path)
                        else:
                            yield path.relative_to(self.log).as_posix()
            except OSError as error:
                raise AuditError(f"{folder} cannot be read.") from error

    def is_plain(self, name: str) -> bool:
        """Whether one of `files` is a file: no link, no pipe, no device."""
        try:
            return stat.S_ISREG((self.log / name).lstat().st_mode)
        except OSError:
            return False


def is_needed(path: str, size: int) -> bool:
    """Whether a file of a log's folder belongs to the log at this size."""
    if path == CHECKPOINT_PATH:
        return True
    try:
        tile = parse_path(path)
    except TileError:
        return False
    return tile.width == tile_width(tile.level or 0, tile.index, size)


def tile_width(level: int, index: int, size: int) -> int:
    """How many hashes or entries a tile has in a log of this size; 0 to 256."""
    return max(0, min(TILE_WIDTH, (size >> 8 * level) - index * TILE_WIDTH))


def tile_paths(level: int | None, size: int) -> Iterator[TilePath]:
    """Yield all tiles of a level, or all bundles, of a log of this size."""
    hashes = size >> 8 * (level or 0)
    for index in range(-(-hashes // TILE_WIDTH)):
        yield TilePath(level, index, tile_width(level or 0, index, size))


def read_verifier(path: Path) -> LogKeys:
    """Read the verifier keys of a log, one a line.

    Raises:
        AuditError: The file cannot be read.
        NoteError: It does not hold the verifier keys of one log.
    """
    data = read_bounded(path, bytes_max=LOG_KEYS_CHARACTERS_MAX)
    try:
        return LogKeys.parse(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NoteError("A verifier key is text.") from error


def read_bounded(path: Path, *, bytes_max: int) -> bytes:
    """Read a whole file that must not be larger than stated.

    Raises:
        AuditError: It is larger, or cannot be read.
    """
    try:
        data = read_regular_file(path, bytes_max=bytes_max + 1)
    except OSError as error:
        raise AuditError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > bytes_max:
        raise AuditError(f"{path} is larger than the {bytes_max} bytes it may have.")
    return data
