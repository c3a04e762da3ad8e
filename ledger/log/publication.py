"""The folder of a log, as its writer sees it: tiles first, then the checkpoint.

Each file appears whole or not at all, and is on the disk before the next step
relies on it. So a crash leaves either the old checkpoint, and tiles that go
further than it says, or the new one. Both are logs that verify.

Source: C2SP tlog-tiles.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger.log.merkle import Frontier, leaf_hash
from ledger.log.tiles import (
    CHECKPOINT_PATH,
    KEY_CHANGE_PATH,
    LEVEL_MAX,
    TILE_WIDTH,
    WITNESSED_PATH,
    FolderTiles,
    TilePath,
    encode_bundle,
    parse_tile,
)

KEYS_PATH = "log.vkey"
"""The verifier keys. Readers pin them; a market serves them from its key files."""


class Publication:
    """Writes the folder of one log. Files are written only inside `locked`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files_written = 0
        """How many files were written by this object."""
        self._unsynced: set[Path] = set()
        self._outdated: list[Path] = []

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other writers out, in this process and others, and wait for them."""
        self._make_folder(self.folder)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def write_tiles(self, first: int, bundles: Iterable[Sequence[bytes]]) -> None:
        """Write the tiles over entries that follow each other.

        Args:
            first: Index of the first entry, a multiple of 256. The tiles over all
                entries before it are in the folder.
            bundles: Entries, 256 at a time; only the last may be fewer.

        Raises:
            TileError: A tile that these ones build upon is missing.
        """
        edge = self._read_edge(first)
        end = first
        for index, entries in enumerate(bundles, start=first // TILE_WIDTH):
            end += len(entries)
            hashes = [leaf_hash(entry) for entry in entries]
            self._write(TilePath(None, index, len(entries)), encode_bundle(entries))
            self._write(TilePath(0, index, len(entries)), b"".join(hashes))
            if len(hashes) == TILE_WIDTH:
                self._carry(edge, 1, end, hashes)
        for level, hashes in edge.items():
            index, width = divmod(end >> 8 * level, TILE_WIDTH)
            if width and end >> 8 * level > first >> 8 * level:
                self._write(TilePath(level, index, width), b"".join(hashes))
        self._settle()

    def write_partial_tiles(self, size: int) -> None:
        """Write those partial tiles of a tree that are not there under their own name.

        A host of plain files does not cut a wider tile down for a reader who wants
        the tile of a checkpoint that is not the newest.

        Args:
            size: Of the tree, all of whose tiles are there, at least as wide.

        Raises:
            TileError: One of them is missing.
        """
        tiles = FolderTiles(self.folder)
        for level in (None, *range(LEVEL_MAX + 1)):
            index, width = divmod(size >> 8 * (level or 0), TILE_WIDTH)
            path = TilePath(level, index, width)
            if width and not (self.folder / str(path)).exists():
                self._write(path, tiles.read(str(path)))
        self._settle()

    def write_keys(self, text: str) -> None:
        """Keep the log's verifier keys, one a line, for who serves the folder."""
        if self._read(KEYS_PATH) != text.encode():
            self._write_file(self.folder / KEYS_PATH, text.encode())
            self._settle()

    def read_checkpoint(self) -> bytes | None:
        """Return the checkpoint that the folder has now, if any."""
        return self._read(CHECKPOINT_PATH)

    def read_witnessed(self) -> bytes | None:
        """Return the newest checkpoint that enough witnesses cosigned, if any."""
        return self._read(WITNESSED_PATH)

    def write_witnessed(self, note: bytes) -> None:
        """Replace the newest checkpoint that enough witnesses cosigned."""
        self._write_file(self.folder / WITNESSED_PATH, note)
        self._settle()

    def read_key_change(self, generation: int) -> bytes | None:
        """Return the proof of the change to a set of keys, if there is one."""
        return self._read(KEY_CHANGE_PATH.format(generation))

    def write_key_change(self, generation: int, proof: bytes) -> None:
        """Keep the proof of the change to a set of keys, counted from 2."""
        self._write_file(self.folder / KEY_CHANGE_PATH.format(generation), proof)
        self._settle()

    def write_checkpoint(self, note: bytes) -> None:
        """Replace the checkpoint. All tiles that it needs are in the folder."""
        self._write_file(self.folder / CHECKPOINT_PATH, note)
        self._settle()

    def _read(self, path: str) -> bytes | None:
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def _read_edge(self, first: int) -> dict[int, list[bytes]]:
        """Read, for each level above 0, the hashes of its last, unfinished tile."""
        tiles = FolderTiles(self.folder)
        edge: dict[int, list[bytes]] = {}
        for level in range(1, LEVEL_MAX + 1):
            index, width = divmod(first >> 8 * level, TILE_WIDTH)
            path = str(TilePath(level, index, width))
            edge[level] = parse_tile(tiles.read(path), width=width) if width else []
        return edge

    def _carry(
        self, edge: dict[int, list[bytes]], level: int, end: int, below: list[bytes]
    ) -> None:
        """Hand the root of a full tile to the level above, which may fill in turn."""
        frontier = Frontier()
        frontier.extend(below)
        hashes = edge[level]
        hashes.append(frontier.root())
        if len(hashes) == TILE_WIDTH:
            index = (end >> 8 * level) // TILE_WIDTH - 1
            self._write(TilePath(level, index), b"".join(hashes))
            edge[level] = []
            self._carry(edge, level + 1, end, hashes)

    def _write(self, path: TilePath, data: bytes) -> None:
        target = self.folder / str(path)
        self._write_file(target, data)
        partials = target.with_name(f"{target.name}.p")
        if path.width == TILE_WIDTH and partials.is_dir():
            self._outdated.append(partials)

    def _write_file(self, path: Path, data: bytes) -> None:
        self._make_folder(path.parent)
        # A crash may leave this behind; the next try takes the same name.
        unfinished = path.with_name(f"{path.name}.new")
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        self._unsynced.add(path.parent)
        self.files_written += 1

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            self._unsynced.add(folder.parent)

    def _settle(self) -> None:
        """Make new names durable, which syncing the files themselves does not."""
        while self._unsynced:
            descriptor = os.open(self._unsynced.pop(), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        # Whoever still wants a partial tile finds it at the front of the full one.
        while self._outdated:
            shutil.rmtree(self._outdated.pop(), ignore_errors=True)
