"""Follows a log: keeps its last checkpoint and checks for ever that it only grows.

A log that shows one history to a follower and another to somebody else is found out
as soon as the two compare. A log that changes the history of its follower is found
out at once: the two notes, both signed by it, are kept as evidence.

Nothing that a server says is believed. What nobody has signed is no evidence against
the log, so it is told and passed over; only the log's own keys can raise the alarm.

Source: C2SP tlog-checkpoint, tlog-tiles.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from ledger.audit.errors import ForkError, UnprovenError
from ledger.audit.follow_state import FollowState
from ledger.audit.followed_keys import FollowedKeys
from ledger.audit.growth import RecordedTiles, verify_growth
from ledger.audit.remote_log import RemoteLog
from ledger.errors import AuditError, NoteError, TileError
from ledger.log.checkpoint import Checkpoint
from ledger.log.evidence import ForkEvidence
from ledger.log.log_keys import LogKeys
from ledger.log.merkle import EMPTY_ROOT
from ledger.log.note import Note
from ledger.log.tiles import CHECKPOINT_PATH
from ledger.log.witness_policy import NO_WITNESSES, Witnessing, WitnessPolicy

PROOF_ATTEMPTS_MAX = 2
"""A tile may arrive damaged once; a second time it is what the server shows."""

FUTURE_S_MAX = 300
"""How far the clock of a witness may be ahead of ours."""

UNWITNESSED_S_MAX = 600
"""So long a log may grow beyond what its witnesses have cosigned: they may restart."""


class Step(StrEnum):
    """How a checkpoint stands to the one that was kept before."""

    FIRST = "first"
    GROWN = "grown"
    UNCHANGED = "unchanged"
    OLDER = "older"
    """Smaller, and the beginning of what is kept: an old copy, say."""


@dataclass(frozen=True)
class Sighting:
    """What one look has shown; it is proven to belong to the one history."""

    checkpoint: Checkpoint
    step: Step
    previous: Checkpoint | None
    witnessing: Witnessing
    """Of this checkpoint, without cosignatures from the future."""
    ahead: tuple[str, ...]
    """Witnesses whose cosignatures are from the future, and do not count."""
    is_witnessed: bool
    """The quorum is met, by this checkpoint or by one shortly before."""
    keys: LogKeys
    is_first_use: bool
    """The keys came from the server itself, so they are only as good as this look."""


class AlarmError(Exception):
    """A fork, or a log that does not prove that there is none."""

    def __init__(self, error: ForkError | UnprovenError, evidence: Path | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.evidence = evidence
        """The folder of the two notes and of the tiles that came with them.

        None if it could not be written; the alarm does not depend on it.
        """


@dataclass(frozen=True)
class _Received:
    """A checkpoint whose signatures were checked."""

    data: bytes
    checkpoint: Checkpoint
    note: Note
    keys: FollowedKeys


class LogFollower:
    """Looks at one log again and again. For one thread."""

    def __init__(
        self,
        state: FollowState,
        open_remote: Callable[[], RemoteLog],
        *,
        keys: LogKeys | None = None,
        policy: WitnessPolicy = NO_WITNESSES,
    ) -> None:
        """Go on from what was kept.

        Args:
            state: What earlier looks have kept.
            open_remote: Opens the log anew for each look.
            keys: The log's. If None, the kept ones; at the first look the ones that
                the server tells.
            policy: Whose cosignatures are counted, and which logs are accepted.

        Raises:
            AuditError: Another log is followed in this folder.
            NoteError: What was kept is damaged.
            RuleError: Kept changes of keys do not follow from the first keys.
        """
        self._state = state
        self._open_remote = open_remote
        self._accepted = policy.logs
        # It names the keys to begin with; later ones follow from them.
        self._policy = replace(policy, logs={})
        pinned = state.keys
        self._keys = None if pinned is None else FollowedKeys(pinned, state.key_changes)
        if keys is not None:
            self._keys = self._keys or self._accept(keys)
            if keys not in {self._keys.pinned, self._keys.current}:
                origin = self._keys.pinned.origin
                raise AuditError(f"{state.folder} follows another log, {origin}.")
        self._last = self._read_last()

    @property
    def last(self) -> Checkpoint | None:
        """The largest checkpoint that was proven so far."""
        return None if self._last is None else self._last.checkpoint

    def look(self, *, now_s: int) -> Sighting:
        """Look at the log once.

        Args:
            now_s: The time in seconds since 1970.

        Returns:
            What it shows. If it has grown, the new checkpoint is kept by now.

        Raises:
            AlarmError: The log has forked, or does not prove that it has not.
            AuditError: The log cannot be reached, or the folder not be written.
            TileError: A tile is missing, for the first time.
            NoteError: The server shows something that the log has not signed.
        """
        for _ in range(PROOF_ATTEMPTS_MAX - 1):
            with suppress(UnprovenError):
                return self._look(now_s, is_final=False)
        return self._look(now_s, is_final=True)

    def _look(self, now_s: int, *, is_final: bool) -> Sighting:
        with self._open_remote() as remote:
            received, is_first_use = self._receive(remote)
            self._compare(received, remote, is_final=is_final)
            step, previous = self._step_to(received.checkpoint), self.last
            self._take(received, step)
            witnessing, ahead = self._count(received.note, now_s)
            is_witnessed = witnessing.is_quorum_met or self._was_witnessed(
                remote, received, now_s, is_final=is_final
            )
        return Sighting(
            received.checkpoint,
            step,
            previous,
            witnessing,
            ahead,
            is_witnessed,
            received.keys.current,
            is_first_use and not self._accepted,
        )

    def _receive(self, remote: RemoteLog) -> tuple[_Received, bool]:
        """Read a checkpoint, with new keys of the log if the known ones do not fit."""
        is_first_use = self._keys is None
        try:
            keys = self._keys or self._accept(LogKeys.parse(remote.read_key()))
            data = remote.read(CHECKPOINT_PATH)
        except TileError as error:
            raise AuditError(f"There is no log at this address: {error}") from error
        try:
            return self._open(data, keys), is_first_use
        except NoteError:
            learned = keys.learn(remote)
            if learned.proofs == keys.proofs:
                raise
            return self._open(data, learned), is_first_use

    def _accept(self, keys: LogKeys) -> FollowedKeys:
        if self._accepted and keys not in self._accepted.values():
            raise NoteError(f"The policy does not accept these keys of {keys.origin}.")
        return FollowedKeys(keys)

    def _open(self, data: bytes, keys: FollowedKeys) -> _Received:
        opened = keys.open(data, self._policy)
        return _Received(data, opened.checkpoint, opened.note, keys)

    def _read_last(self) -> _Received | None:
        data = self._state.note
        if data is None or self._keys is None:
            return None
        # Whether its witnesses are trusted was settled when it was kept.
        opened = self._keys.open(data, NO_WITNESSES)
        return _Received(data, opened.checkpoint, opened.note, self._keys)

    def _compare(
        self, received: _Received, remote: RemoteLog, *, is_final: bool
    ) -> None:
        """Prove that a checkpoint and all that is known belong to one history."""
        known = [] if self._last is None else [self._last]
        if self._keys is not None:
            # The log's word for its new keys is a checkpoint as well.
            changes = received.keys.notes_since(self._keys)
            known += [self._open(note, received.keys) for note in changes]
        tiles = RecordedTiles(remote)
        new = received.checkpoint
        empty = Checkpoint(new.origin, 0, EMPTY_ROOT)
        for first in known or (None,):
            earlier = empty if first is None else first.checkpoint
            try:
                verify_growth(earlier, new, tiles)
            except UnprovenError as error:
                if not is_final:
                    raise
                self._raise_alarm(error, first, received, tiles)
            except ForkError as error:
                self._raise_alarm(error, first, received, tiles)
            except TileError as error:
                self._pass_over(error, first, received, tiles)

    def _step_to(self, new: Checkpoint) -> Step:
        last = self.last
        if last is None:
            return Step.FIRST
        if new.size == last.size:
            return Step.UNCHANGED
        return Step.GROWN if new.size > last.size else Step.OLDER

    def _take(self, received: _Received, step: Step) -> None:
        """Keep what is larger, and of the same size what has more cosignatures."""
        signatures = len(received.note.signatures)
        known = 0 if self._last is None else len(self._last.note.signatures)
        if step is Step.OLDER or (step is Step.UNCHANGED and signatures <= known):
            return
        keys = received.keys
        self._state.keep(received.data, keys.pinned, keys.proofs)
        self._keys, self._last = keys, received

    def _count(self, note: Note, now_s: int) -> tuple[Witnessing, tuple[str, ...]]:
        """Count cosignatures; one from the future says nothing about now."""
        claimed = self._policy.evaluate(note)
        latest_s = now_s + FUTURE_S_MAX
        ahead = tuple(
            name for name, time_s in claimed.times_s.items() if time_s > latest_s
        )
        keys = [self._policy.witnesses[name].verifier for name in ahead]
        refused = {(key.name, key.key_id) for key in keys}
        counted = tuple(
            item for item in note.signatures if (item.name, item.key_id) not in refused
        )
        return self._policy.evaluate(Note(note.text, counted)), ahead

    def _was_witnessed(
        self, remote: RemoteLog, received: _Received, now_s: int, *, is_final: bool
    ) -> bool:
        """Whether enough witnesses have cosigned a checkpoint shortly before."""
        data = remote.read_witnessed()
        if data is None:
            return False
        try:
            witnessed = self._open(data, received.keys)
        except NoteError:
            return False
        self._compare(witnessed, remote, is_final=is_final)
        witnessing, _ = self._count(witnessed.note, now_s)
        seen_s = max(witnessing.times_s.values(), default=0)
        return witnessing.is_quorum_met and seen_s >= now_s - UNWITNESSED_S_MAX

    def _pass_over(
        self,
        error: TileError,
        first: _Received | None,
        received: _Received,
        tiles: RecordedTiles,
    ) -> NoReturn:
        """Give the log until the next look to show its tiles, and no longer."""
        if self._state.unproven is None:
            self._state.keep_unproven(received.data)
            raise error
        unproven = UnprovenError(
            f"The log has signed {received.checkpoint.size} entries, and has not shown "
            f"the tiles that prove them since the last look: {error}"
        )
        self._raise_alarm(unproven, first, received, tiles)

    def _raise_alarm(
        self,
        error: ForkError | UnprovenError,
        first: _Received | None,
        received: _Received,
        tiles: RecordedTiles,
    ) -> NoReturn:
        new = received.checkpoint
        account = f"A follower was shown a checkpoint of {new.size} entries of the log "
        if first is None:
            account += f"{new.origin}, the first that it met. {error}"
        else:
            size = first.checkpoint.size
            account += f"{new.origin}, after it had seen one of {size}. {error}"
        evidence = ForkEvidence(
            keys=received.keys.text,
            first=(first or received).data,
            second=received.data,
            tiles=tiles.shown,
            account=account,
        )
        try:
            kept = self._state.keep_evidence(evidence)
        except AuditError:
            kept = None
        raise AlarmError(error, kept) from error
