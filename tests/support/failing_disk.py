"""A disk that fails where a test says, under SQLite and under what Python writes.

Every step that changes the disk is counted: each write, truncation and sync of
SQLite's own files, caught below SQLite in its file layer, and each file that Python
opens to write, writes, syncs or renames. At a chosen step the process is killed,
before the step or in the midst of it, or the power fails, or the step fails and the
program has to go on.

Syncs are not passed on. They only say what would survive a loss of power: of what
was not synced yet, each change is kept or lost by the throw of a seeded die.
"""

import _sqlite3
import ctypes
import errno
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated
from typing import Any, Self

FULL_STEPS = 8
"""Steps that a full disk refuses before there is room again."""


class Fault(StrEnum):
    """What happens at a step."""

    KILL = "kill"
    """The process is killed before the step."""
    TEAR = "tear"
    """The process is killed when half of the write is done."""
    POWER = "power"
    """The power fails: of what was not synced, some is lost."""
    ERROR = "error"
    """The disk reports an error, once."""
    FULL = "full"
    """The disk is full for a while."""


@dataclass(frozen=True)
class _Change:
    """A change that no sync has made durable yet."""

    name: str
    """What has to be synced: a file, or the folder in which one was renamed."""
    undo: Callable[[], object]
    redo: Callable[[], object]


class FailingDisk:
    """Counts steps from `install` on, in this process and until its end."""

    def __init__(self, faults: Mapping[int, Fault], *, dice: Random) -> None:
        self.steps = 0
        self._faults = faults
        self._dice = dice
        self._full_steps = 0
        self._unsynced: list[_Change] = []
        self._files: tuple[object, ...] = ()

    def install(self) -> None:
        """Come between this process and its disk."""
        # What C code points to must live as long as the process.
        self._files = (_SqliteFiles(self), _PythonFiles(self))

    def change(
        self,
        name: str,
        redo: Callable[[], object],
        undo: Callable[[], object],
        *,
        half: Callable[[], object] | None = None,
    ) -> int:
        """Make a change that is durable only after a sync.

        Returns:
            0, or the number of the error with which it failed.
        """
        failed = self._step(half or redo)
        if not failed:
            redo()
            self._unsynced.append(_Change(name, undo, redo))
        return failed

    def write(self, name: str, descriptor: int, data: bytes, offset: int) -> int:
        """Write to an open file; as `change`."""
        size = os.fstat(descriptor).st_size
        before = os.pread(descriptor, len(data), offset)

        def undo() -> None:
            os.pwrite(descriptor, before, offset)
            os.ftruncate(descriptor, size)

        return self.change(
            name,
            lambda: os.pwrite(descriptor, data, offset),
            undo,
            half=lambda: os.pwrite(descriptor, data[: len(data) // 2], offset),
        )

    def sync(self, name: str) -> int:
        """Make all changes under one name durable; returns as `change`."""
        failed = self._step(lambda: None)
        if not failed:
            self._unsynced = [item for item in self._unsynced if item.name != name]
        return failed

    def _step(self, half: Callable[[], object]) -> int:
        self.steps += 1
        fault = self._faults.get(self.steps)
        if fault is Fault.FULL:
            self._full_steps = FULL_STEPS
        if fault is Fault.TEAR:
            half()
        if fault is Fault.POWER:
            self._lose()
        if fault in {Fault.KILL, Fault.TEAR, Fault.POWER}:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._full_steps:
            self._full_steps -= 1
            return errno.ENOSPC
        return errno.EIO if fault is Fault.ERROR else 0

    def _lose(self) -> None:
        for change in reversed(self._unsynced):
            change.undo()
        for change in self._unsynced:
            if self._dice.random() < 0.5:
                change.redo()


def is_available() -> bool:
    """Whether this Python has SQLite as a library whose file layer can be reached."""
    return _find_library() is not None and Path("/proc/self/fd").exists()


def _find_library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_FileSystem)
    except (AttributeError, OSError):
        return None
    return library


_OK, _FULL, _WRITE_FAILED, _SYNC_FAILED, _TRUNCATE_FAILED = 0, 13, 778, 1034, 1546
_INT, _INT64, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
_WRITE = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _INT, _INT64)
_TRUNCATE = ctypes.CFUNCTYPE(_INT, _POINTER, _INT64)
_SYNC = ctypes.CFUNCTYPE(_INT, _POINTER, _INT)


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`: what can be done with an open file."""

    _fields_ = (
        ("version", _INT),
        ("close", _POINTER),
        ("read", _POINTER),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("others", _POINTER * 13),
    )


class _File(ctypes.Structure):
    """`sqlite3_file`: its methods come first, the rest is SQLite's."""

    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


_OPEN = ctypes.CFUNCTYPE(
    _INT, _POINTER, _POINTER, ctypes.POINTER(_File), _INT, _POINTER
)


class _FileSystem(ctypes.Structure):
    """`sqlite3_vfs`, as far as `xOpen`."""

    _fields_ = (
        ("version", _INT),
        ("file_size", _INT),
        ("path_max", _INT),
        ("next", _POINTER),
        ("name", ctypes.c_char_p),
        ("data", _POINTER),
        ("open", _OPEN),
    )


class _SqliteFiles:
    """Puts a disk under SQLite: the files that it opens write through us."""

    def __init__(self, disk: FailingDisk) -> None:
        library = _find_library()
        assert library is not None
        system = library.sqlite3_vfs_find(None).contents
        self._disk = disk
        self._paths: dict[int, str] = {}
        self._descriptors: dict[str, int] = {}
        self._methods: dict[int, _Methods] = {}
        address = ctypes.cast(system.open, _POINTER).value
        assert address is not None
        self._open_plainly = _OPEN(address)
        system.open = self._open_ours = _OPEN(self._open)

    def _open(self, system: int, name: int, file: Any, flags: int, found: int) -> int:
        result = int(self._open_plainly(system, name, file, flags, found))
        if result == _OK and name:
            path = ctypes.string_at(name).decode()
            self._paths[ctypes.addressof(file.contents)] = path
            file.contents.methods = ctypes.pointer(self._ours(file.contents.methods))
            # Never closed: to close any descriptor of a file ends SQLite's locks on it.
            self._descriptors.setdefault(path, os.open(path, os.O_RDWR))
        return result

    def _ours(self, plain: Any) -> _Methods:
        address = ctypes.addressof(plain.contents)
        if address not in self._methods:
            methods = _Methods.from_buffer_copy(plain.contents)
            methods.write = _WRITE(self._write)
            methods.truncate = _TRUNCATE(self._truncate)
            methods.sync = _SYNC(self._sync)
            self._methods[address] = methods
        return self._methods[address]

    def _write(self, file: int, data: int, size: int, offset: int) -> int:
        path = self._paths[file]
        failed = self._disk.write(
            path, self._descriptors[path], ctypes.string_at(data, size), offset
        )
        return {0: _OK, errno.ENOSPC: _FULL}.get(failed, _WRITE_FAILED)

    def _truncate(self, file: int, size: int) -> int:
        path = self._paths[file]
        descriptor = self._descriptors[path]
        before = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        failed = self._disk.change(
            path,
            lambda: os.ftruncate(descriptor, size),
            lambda: os.pwrite(descriptor, before, 0),
        )
        return _TRUNCATE_FAILED if failed else _OK

    def _sync(self, file: int, _flags: int) -> int:
        return _SYNC_FAILED if self._disk.sync(self._paths[file]) else _OK


class _PythonFiles:
    """Puts a disk under files that are written anew, synced and renamed."""

    def __init__(self, disk: FailingDisk) -> None:
        self._disk = disk
        self._open_plainly = Path.open
        self._remove_plainly = shutil.rmtree

        def open_file(path: Path, mode: str = "r", **how: Any) -> Any:
            return self._open(path, mode, **how)

        def replace(source: Path, target: Path) -> Path:
            return self._replace(source, target)

        Path.open = open_file  # type: ignore[assignment,method-assign]
        Path.replace = replace  # type: ignore[assignment,method-assign]
        os.fsync = self._sync  # type: ignore[assignment]
        shutil.rmtree = self._remove  # type: ignore[assignment]

    def _open(self, path: Path, mode: str, **how: Any) -> Any:
        if mode != "wb":
            return self._open_plainly(path, mode, **how)
        _raise(self._disk.change(str(path), _nothing, _nothing))
        return _WrittenFile(self._disk, path, self._open_plainly(path, "w+b", 0))

    def _replace(self, source: Path, target: Path) -> Path:
        before = target.read_bytes() if target.exists() else None

        def redo() -> None:
            if source.exists():
                os.rename(source, target)  # noqa: PTH104 - Path's own comes here

        def undo() -> None:
            os.rename(target, source)  # noqa: PTH104
            if before is not None:
                with self._open_plainly(target, "wb") as file:
                    file.write(before)

        _raise(self._disk.change(str(target.parent), redo, undo))
        return target

    def _sync(self, descriptor: int) -> None:
        _raise(self._disk.sync(os.readlink(f"/proc/self/fd/{descriptor}")))  # noqa: PTH115

    def _remove(self, path: Path, **how: Any) -> None:
        self._disk.change(str(path), _nothing, _nothing)
        self._remove_plainly(path, **how)


class _WrittenFile:
    """A file that Python writes from its start, without a buffer."""

    def __init__(self, disk: FailingDisk, path: Path, file: Any) -> None:
        self._disk = disk
        self._path = path
        self._file = file
        # Outlives the file, for the change to be undone.
        self._descriptor = os.dup(file.fileno())
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> int:
        _raise(self._disk.write(str(self._path), self._descriptor, data, self._at))
        self._at += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def fileno(self) -> int:
        return int(self._file.fileno())


def _nothing() -> None:
    """A step that may fail, and leaves nothing that could be lost."""


def _raise(failed: int) -> None:
    if failed:
        raise OSError(failed, os.strerror(failed))
