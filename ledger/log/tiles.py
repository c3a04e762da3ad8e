"""Tiles and entry bundles: how a log lies in a folder or behind a URL.

A tile is 256 consecutive hashes of one level of the tree, a bundle the 256
entries under a tile of level 0. Only the last of each level is partial, and what
it holds never changes, so a wider one answers for every narrower one.

Source: C2SP tlog-tiles.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ledger.errors import TileError
from ledger.limits import NOTE_BYTES_MAX, STATEMENT_BYTES_MAX
from ledger.log.merkle import HASH_BYTES
from ledger.regular_file import read_regular_file

TILE_WIDTH = 256
"""Hashes in a full tile, and entries in a full bundle."""

LEVEL_MAX = 7
"""Each level covers 8 bits of an index, and sizes stay below 2**63."""

CHECKPOINT_PATH = "checkpoint"
"""Where the newest signed checkpoint lies, beside the tiles."""

WITNESSED_PATH = "checkpoint.witnessed"
"""Beside the checkpoint, which may be a moment newer. The name is ours."""

KEY_CHANGE_PATH = "keys/{}.tlog-proof"
"""The statement that made a set of keys known, with its proof. The name is ours."""

_LENGTH_BYTES = 2
_PATH = re.compile(
    r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?"
)


@dataclass(frozen=True)
class TilePath:
    """The place of one tile or bundle.

    `level` is None for a bundle of entries. `index` counts tiles of one level
    from the left, `width` what is inside: 1 to 256.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __str__(self) -> str:
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        kind = "entries" if self.level is None else str(self.level)
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{kind}/{'/'.join(reversed(groups))}{partial}"

    @property
    def bytes_max(self) -> int:
        """The most bytes that can be there; for a tile of hashes also the least."""
        if self.level is None:
            return self.width * (_LENGTH_BYTES + STATEMENT_BYTES_MAX)
        return self.width * HASH_BYTES


def parse_path(path: str) -> TilePath:
    """Parse the path of a tile or bundle, as in a request.

    Raises:
        TileError: Not the one spelling of a path that a log can have.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise TileError("No such path in a log.")
    kind, groups, partial = found.groups()
    result = TilePath(
        level=None if kind == "entries" else int(kind),
        index=int(groups.replace("x", "").replace("/", "")),
        width=TILE_WIDTH if partial is None else int(partial),
    )
    level = result.level or 0
    if str(result) != path or level > LEVEL_MAX or not 0 < result.width <= TILE_WIDTH:
        raise TileError("No such path in a log.")
    return result


def parse_tile(data: bytes, *, width: int) -> list[bytes]:
    """Take a tile of hashes apart.

    Args:
        data: The tile.
        width: How many hashes of 32 bytes it must hold, 1 to 256.

    Raises:
        TileError: It holds fewer or more.
    """
    check_tile(data, width=width)
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def check_tile(data: bytes, *, width: int) -> None:
    """As `parse_tile`, for who takes the hashes side by side.

    Raises:
        TileError: It holds fewer or more.
    """
    if len(data) != width * HASH_BYTES:
        raise TileError(f"{len(data)} bytes in a tile of {width} hashes.")


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Frame up to 256 entries, of at most 65,535 bytes each, into one bundle."""
    return b"".join(
        part
        for entry in entries
        for part in (len(entry).to_bytes(_LENGTH_BYTES, "big"), entry)
    )


def parse_bundle(data: bytes, *, width: int) -> tuple[bytes, ...]:
    """Take a bundle apart.

    Args:
        data: The bundle.
        width: How many entries it must hold, 1 to 256.

    Raises:
        TileError: It holds fewer or more, or ends inside an entry.
    """
    entries = []
    stop = 0
    # Hot in an audit, so one plain loop; lengths that overrun are found at its end.
    for _ in range(width):
        start = stop + _LENGTH_BYTES
        stop = start + int.from_bytes(data[stop:start], "big")
        entries.append(data[start:stop])
    if stop != len(data):
        few_or_many = "fewer" if stop > len(data) else "more"
        raise TileError(f"A bundle with {few_or_many} than {width} entries.")
    return tuple(entries)


def truncate_tile(data: bytes, path: TilePath) -> bytes:
    """Cut a tile or bundle that may be wider down to the width of a path.

    Raises:
        TileError: It is narrower than the path says.
    """
    if path.level is None:
        return data[: _end_of_entries(data, path.width)]
    if len(data) < path.bytes_max:
        raise TileError(f"A tile with fewer than {path.width} hashes.")
    return data[: path.bytes_max]


def _end_of_entries(data: bytes, width: int) -> int:
    stop = 0
    for _ in range(width):
        start = stop + _LENGTH_BYTES
        stop = start + int.from_bytes(data[stop:start], "big")
    if stop > len(data):
        raise TileError(f"A bundle with fewer than {width} entries.")
    return stop


class TileSource(Protocol):
    """Where tiles come from: a folder, or a log behind a URL.

    A source is not trusted: what it answers counts only when it leads to a signed
    root. All methods may be called from several threads at once.
    """

    def read(self, path: str) -> bytes:
        """Return the content of a path of the log.

        Args:
            path: `checkpoint`, or a `TilePath` as text. A log may have dropped a
                partial tile for its full one; the source then cuts that one down
                with `truncate_tile`.

        Raises:
            TileError: There is nothing of that path or width, or it is too large.
        """


class FolderTiles:
    """A log in a folder: what `Log.publish` wrote, or a copy of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, path: str) -> bytes:
        """Return the content of a path, cut down from a wider tile if need be.

        Args:
            path: From outside or not; nothing but a path of a log is opened.

        Raises:
            TileError: Not a path of a log, nothing of that width is here, or the
                file is larger than such a file can be.
        """
        if path == CHECKPOINT_PATH:
            checkpoint = self._read_file(path, bytes_max=NOTE_BYTES_MAX)
            if checkpoint is None:
                raise TileError("This log has no checkpoint yet.")
            return checkpoint
        wanted = parse_path(path)
        # A full tile is there before its partial ones go, so it is tried last.
        for width in range(wanted.width, TILE_WIDTH + 1):
            candidate = TilePath(wanted.level, wanted.index, width)
            data = self._read_file(str(candidate), bytes_max=candidate.bytes_max)
            if data is not None:
                # What it should not hold is for the reader to find, who parses it.
                is_same = width == wanted.width
                return data if is_same else truncate_tile(data, wanted)
        raise TileError(f"There is no {path} in this log.")

    def _read_file(self, path: str, *, bytes_max: int) -> bytes | None:
        try:
            data = read_regular_file(self.folder / path, bytes_max=bytes_max + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TileError(f"{path} cannot be read.") from error
        if len(data) > bytes_max:
            raise TileError(f"{path} is larger than it can be.")
        return data
