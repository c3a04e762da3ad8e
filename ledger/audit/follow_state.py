"""What a follower keeps of one log, in a folder, through restarts.

DIR/log.vkey                the log's verifier keys at the first look
DIR/keys/*.tlog-proof       the changes of keys since, in their order
DIR/checkpoint              the largest checkpoint that was proven, as received
DIR/checkpoint.unproven     one that was signed and could not be proven yet
DIR/evidence/...            what contradicts: two notes, and the tiles shown with them
DIR/follow.lock             held while a follower runs
"""

import os
from collections.abc import Sequence
from pathlib import Path

from ledger.audit.log_copy import read_bounded, read_verifier
from ledger.errors import AuditError
from ledger.limits import NOTE_BYTES_MAX
from ledger.log.evidence import ForkEvidence, list_evidence
from ledger.log.log_keys import LogKeys
from ledger.log.proof import PROOF_BYTES_MAX
from ledger.process_lock import ProcessLock

EVIDENCE_MAX = 64
"""Each is proof by itself; a hostile server could make up new ones without end."""

_UNFINISHED = ".new"


class FollowState:
    """The folder of one follower. Written files appear whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, or make it, and keep other followers out.

        Raises:
            LockedError: Another follower is at work here.
            AuditError: The folder cannot be made or written.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = ProcessLock(folder / "follow.lock")
            self._lock.acquire()
        except OSError as error:
            raise _unwritable(folder, error) from error

    def close(self) -> None:
        """Let another follower in."""
        self._lock.release()

    @property
    def keys(self) -> LogKeys | None:
        """The keys that the log had at the first look; None before it.

        Raises:
            AuditError: The file cannot be read.
            NoteError: It holds no keys.
        """
        path = self.folder / "log.vkey"
        return read_verifier(path) if path.exists() else None

    @property
    def key_changes(self) -> list[bytes]:
        """The proofs of all changes of keys since, oldest first.

        Raises:
            AuditError: A file cannot be read.
        """
        proofs: list[bytes] = []
        while (path := self._key_change(len(proofs))).exists():
            proofs.append(read_bounded(path, bytes_max=PROOF_BYTES_MAX))
        return proofs

    @property
    def note(self) -> bytes | None:
        """The last checkpoint that was proven.

        Raises:
            AuditError: The file cannot be read.
        """
        return self._read("checkpoint")

    @property
    def unproven(self) -> bytes | None:
        """A checkpoint that an earlier look could not prove.

        Raises:
            AuditError: The file cannot be read.
        """
        return self._read("checkpoint.unproven")

    @property
    def evidence(self) -> list[Path]:
        """What was kept of forks.

        Raises:
            AuditError: The folder cannot be read.
        """
        try:
            return list_evidence(self.folder / "evidence")
        except OSError as error:
            raise AuditError(f"The evidence in {self.folder} is unreadable.") from error

    def keep(self, note: bytes, keys: LogKeys, key_changes: Sequence[bytes]) -> None:
        """Keep a checkpoint that was proven, and how its keys are known.

        Args:
            note: The checkpoint as it was received.
            keys: The keys that the log had at the first look.
            key_changes: The proofs of all changes since, oldest first.

        Raises:
            AuditError: The folder cannot be written.
        """
        self._write(self.folder / "log.vkey", keys.text.encode())
        for place, proof in enumerate(key_changes):
            self._write(self._key_change(place), proof)
        self._write(self.folder / "checkpoint", note)
        self._remove("checkpoint.unproven")

    def keep_unproven(self, note: bytes) -> None:
        """Remember that a checkpoint could not be proven.

        Raises:
            AuditError: The folder cannot be written.
        """
        self._write(self.folder / "checkpoint.unproven", note)

    def keep_evidence(self, evidence: ForkEvidence) -> Path:
        """Keep evidence, and return its folder.

        Raises:
            AuditError: The folder cannot be written, or has very much of it.
        """
        folder = self.folder / "evidence"
        known = {path.name for path in self.evidence}
        if evidence.name not in known and len(known) >= EVIDENCE_MAX:
            raise AuditError(f"{folder} holds {EVIDENCE_MAX} forks; that is enough.")
        try:
            return evidence.write(folder)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def _read(self, name: str) -> bytes | None:
        path = self.folder / name
        return read_bounded(path, bytes_max=NOTE_BYTES_MAX) if path.exists() else None

    def _key_change(self, place: int) -> Path:
        return self.folder / "keys" / f"{place:04}.tlog-proof"

    def _write(self, path: Path, data: bytes) -> None:
        unfinished = path.with_name(path.name + _UNFINISHED)
        try:
            path.parent.mkdir(exist_ok=True)
            if path.exists() and path.read_bytes() == data:
                return
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from error

    def _remove(self, name: str) -> None:
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.folder / name, error) from error


def _unwritable(path: Path, error: OSError) -> AuditError:
    return AuditError(f"{path} cannot be written: {error.strerror}.")
