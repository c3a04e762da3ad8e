"""Copies a log into a folder, so that it can be checked offline.

From the top down: first the signed checkpoint, then that it extends the copy that is
there, then each tile against the one above it, last the entries. So nothing is
written that does not lead to the signed root, and a copy that was interrupted is
gone on with. The checkpoint is written last; until then the older copy stands.

Source: C2SP tlog-tiles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ledger.audit.errors import ForkError
from ledger.audit.log_copy import (
    ENTRIES_MAX,
    LogCopy,
    is_needed,
    read_bounded,
    read_verifier,
    tile_paths,
    tile_width,
)
from ledger.audit.remote_log import RemoteLog
from ledger.audit.report import Progress
from ledger.errors import AuditError, ProofError, TileError
from ledger.limits import NOTE_BYTES_MAX
from ledger.log.checkpoint import Checkpoint
from ledger.log.log_keys import LogKeys, open_checkpoint
from ledger.log.merkle import Frontier, leaf_hash, verify_consistency
from ledger.log.tiles import (
    CHECKPOINT_PATH,
    LEVEL_MAX,
    TILE_WIDTH,
    TilePath,
    parse_bundle,
    parse_path,
    parse_tile,
)
from ledger.log.tree import TileTree

_Check = Callable[[bytes], bool]
_UNFINISHED = ".new"


@dataclass(frozen=True)
class FetchResult:
    """What was copied."""

    key: LogKeys
    is_first_use: bool
    """The key came from the server itself, so it is only as good as this fetch."""
    checkpoint: Checkpoint
    earlier: Checkpoint | None
    """The older checkpoint that this one was proven to extend."""
    files_fetched: int
    files_kept: int
    bytes_fetched: int


def fetch_log(
    remote: RemoteLog,
    folder: Path,
    *,
    verifier: LogKeys | None = None,
    progress: Progress = lambda _done, _total: None,
) -> FetchResult:
    """Copy a log, or bring a copy up to date.

    Args:
        remote: The log.
        folder: Of the copy; made if it is not there. An earlier copy of the same log
            is extended.
        verifier: The log's key. If None, the one in the folder; if there is none
            either, the one that the server tells, on faith.
        progress: Told after each file.

    Raises:
        AuditError: The server cannot be reached, or the folder holds another log.
        NoteError: A key or checkpoint is malformed, or not signed by the log.
        TileError: A file does not fit the signed tree.
        ForkError: The log does not extend the copy that is there.
    """
    copy = LogCopy.at(folder)
    key, is_first_use = _choose_key(remote, copy, verifier)
    note = _read_checkpoint(remote)
    checkpoint = open_checkpoint(note, key)
    if checkpoint.size > ENTRIES_MAX:
        raise AuditError(f"The log claims {checkpoint.size} entries; that is too many.")
    earlier = _verify_growth(remote, copy, key, checkpoint)
    fetching = _Fetching(remote, copy, checkpoint, progress)
    fetching.run()
    _write(copy.key, key.text.encode())
    if earlier is not None and earlier.size < checkpoint.size:
        _write(copy.earlier, (copy.log / CHECKPOINT_PATH).read_bytes())
    _write(copy.log / CHECKPOINT_PATH, note)
    _remove_outdated(copy, checkpoint.size)
    return FetchResult(
        key,
        is_first_use,
        checkpoint,
        earlier,
        fetching.files_fetched,
        fetching.files_kept,
        fetching.bytes_fetched,
    )


class _Fetching:
    """One walk down the tree, with what was counted on the way."""

    def __init__(
        self,
        remote: RemoteLog,
        copy: LogCopy,
        checkpoint: Checkpoint,
        progress: Progress,
    ) -> None:
        self.files_fetched = 0
        self.files_kept = 0
        self.bytes_fetched = 0
        self._remote = remote
        self._copy = copy
        self._size = checkpoint.size
        self._root = checkpoint.root
        self._progress = progress
        self._total = sum(
            -(-(self._size >> 8 * level) // TILE_WIDTH)
            for level in (0, *range(LEVEL_MAX + 1))
        )
        # Tiles of one level are visited from left to right, so one above is enough.
        self._hashes = lru_cache(maxsize=2)(self._read_hashes)

    def run(self) -> None:
        # The root is made of the partial tiles, so this vouches for all of them.
        if TileTree(self._remote, self._size).root() != self._root:
            raise TileError("The tiles do not lead to the root that the log signed.")
        for level in range(LEVEL_MAX, -1, -1):
            for path in tile_paths(level, self._size):
                self._bring(path, self._check_of(level, path))
        for path in tile_paths(None, self._size):
            self._bring(path, self._check_of_bundle(path))

    def _check_of(self, level: int, path: TilePath) -> _Check:
        if path.width < TILE_WIDTH:
            return self._remote.read(str(path)).__eq__
        index, offset = divmod(path.index, TILE_WIDTH)
        above = self._hashes(level + 1, index)[offset]
        return lambda data: len(data) == path.bytes_max and _root_of(data) == above

    def _check_of_bundle(self, path: TilePath) -> _Check:
        hashes = self._hashes(0, path.index)

        def fits(data: bytes) -> bool:
            try:
                entries = parse_bundle(data, width=path.width)
            except TileError:
                return False
            return [leaf_hash(entry) for entry in entries] == hashes

        return fits

    def _bring(self, path: TilePath, fits: _Check) -> None:
        target = self._copy.log / str(path)
        if _is_there(target, path, fits):
            self.files_kept += 1
        else:
            data = self._remote.read(str(path))
            if not fits(data):
                raise TileError(f"{path} does not fit the tree that the log signed.")
            _write(target, data)
            self.files_fetched += 1
            self.bytes_fetched += len(data)
        self._progress(self.files_fetched + self.files_kept, self._total)

    def _read_hashes(self, level: int, index: int) -> list[bytes]:
        width = tile_width(level, index, self._size)
        data = self._copy.tiles.read(str(TilePath(level, index, width)))
        return parse_tile(data, width=width)


def _choose_key(
    remote: RemoteLog, copy: LogCopy, verifier: LogKeys | None
) -> tuple[LogKeys, bool]:
    kept = read_verifier(copy.key) if copy.key.exists() else None
    if verifier is not None and kept is not None and kept != verifier:
        raise AuditError(f"{copy.folder} holds a copy of another log, {kept.origin}.")
    known = verifier or kept
    if known is not None:
        return known, False
    return LogKeys.parse(remote.read_key()), True


def _read_checkpoint(remote: RemoteLog) -> bytes:
    try:
        return remote.read(CHECKPOINT_PATH)
    except TileError as error:
        raise AuditError(f"There is no log at this address: {error}") from error


def _verify_growth(
    remote: RemoteLog, copy: LogCopy, key: LogKeys, checkpoint: Checkpoint
) -> Checkpoint | None:
    path = copy.log / CHECKPOINT_PATH
    if not path.exists():
        return None
    earlier = open_checkpoint(read_bounded(path, bytes_max=NOTE_BYTES_MAX), key)
    if earlier.size > checkpoint.size:
        raise ForkError(
            f"The log now claims {checkpoint.size} entries, and {earlier.size} before."
        )
    try:
        verify_consistency(
            old_size=earlier.size,
            new_size=checkpoint.size,
            path=TileTree(remote, checkpoint.size).consistency_path(earlier.size),
            old_root=earlier.root,
            new_root=checkpoint.root,
        )
    except ProofError as error:
        raise ForkError(
            f"The log does not extend the copy of its first {earlier.size} entries."
        ) from error
    return earlier


def _is_there(target: Path, path: TilePath, fits: _Check) -> bool:
    try:
        return fits(read_bounded(target, bytes_max=path.bytes_max))
    except AuditError:
        return False


def _remove_outdated(copy: LogCopy, size: int) -> None:
    """Remove partial tiles of earlier sizes, and what an interrupted copy left."""
    for name in list(copy.files()):
        if is_needed(name, size) or not _is_tile(name.removesuffix(_UNFINISHED)):
            continue
        path = copy.log / name
        path.unlink()
        if path.parent.name.endswith(".p") and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _is_tile(name: str) -> bool:
    try:
        parse_path(name)
    except TileError:
        return False
    return True


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + _UNFINISHED)
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _root_of(tile: bytes) -> bytes:
    frontier = Frontier()
    frontier.extend(parse_tile(tile, width=TILE_WIDTH))
    return frontier.root()
