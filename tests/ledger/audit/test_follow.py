"""A follower over real HTTP: what it believes, keeps, and never forgives."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from grown_log import GrownLog
from served_log import ServedLog, files_in, serve_log, tiles_of
from served_witness import serve_bytes

from ledger.audit.bounded_transport import BoundedTransport
from ledger.audit.errors import ForkError, UnprovenError
from ledger.audit.follow import (
    FUTURE_S_MAX,
    UNWITNESSED_S_MAX,
    AlarmError,
    LogFollower,
    Sighting,
    Step,
)
from ledger.audit.follow_state import EVIDENCE_MAX, FollowState
from ledger.audit.growth import verify_growth
from ledger.audit.remote_log import RemoteLog
from ledger.errors import AuditError, LedgerError, LockedError, NoteError, TileError
from ledger.log import FolderTiles, LogKeys, Signer, open_checkpoint
from ledger.log.cosignature import CosignatureSigner, TimedSigner
from ledger.log.witness_policy import NO_WITNESSES, WitnessPolicy
from ledger.signing import PrivateKey

NOW_S = 1_800_000_000
WITNESSES = [
    CosignatureSigner(f"w{at}.example", PrivateKey(bytes([at]) * 32)) for at in range(3)
]
POLICY = WitnessPolicy.parse(
    "\n".join(
        [
            *(
                f"witness w{at} {item.verifier.vkey}"
                for at, item in enumerate(WITNESSES)
            ),
            "group two 2 w0 w1 w2",
            "quorum two",
            "",
        ]
    ).encode()
)


@pytest.fixture
def log() -> GrownLog:
    return GrownLog().grow(300)


@pytest.fixture
def served(log) -> Iterator[ServedLog]:
    with serve_log() as served:
        served.show(log)
        yield served


class Followed:
    """A follower in a folder, which can be started again."""

    def __init__(self, folder: Path, served: ServedLog) -> None:
        self.folder = folder
        self.served = served
        self.keys: LogKeys | None = None
        self.policy = NO_WITNESSES
        self._state: FollowState | None = None
        self._follower: LogFollower | None = None

    def start(self) -> LogFollower:
        self.stop()
        self._state = FollowState(self.folder)
        self._follower = LogFollower(
            self._state, self.served.remote, keys=self.keys, policy=self.policy
        )
        return self._follower

    def stop(self) -> None:
        if self._state is not None:
            self._state.close()
        self._state = self._follower = None

    def look(self, now_s: int = NOW_S) -> Sighting:
        follower = self._follower or self.start()
        return follower.look(now_s=now_s)

    def alarm(self) -> AlarmError:
        with pytest.raises(AlarmError) as caught:
            self.look()
        return caught.value

    @property
    def kept(self) -> int:
        """The size of the checkpoint in the folder."""
        key = self.served.files["log.vkey"].decode()
        note = (self.folder / "checkpoint").read_bytes()
        return open_checkpoint(note, LogKeys.parse(key)).size


@pytest.fixture
def followed(tmp_path, served) -> Iterator[Followed]:
    followed = Followed(tmp_path / "state", served)
    yield followed
    followed.stop()


def test_log_is_followed_as_it_grows(followed, served, log) -> None:
    first = followed.look()
    assert (first.step, first.previous, first.is_first_use) == (Step.FIRST, None, True)
    assert first.checkpoint == log.checkpoint()
    assert followed.look().step is Step.UNCHANGED
    for count in (1, 211, 1, 300):
        before = log.checkpoint()
        served.show(log.grow(count))
        sighting = followed.look()
        assert sighting.step is Step.GROWN
        assert (sighting.previous, sighting.checkpoint) == (before, log.checkpoint())
        assert not sighting.is_first_use
    assert followed.kept == len(log.entries)


def test_follower_goes_on_after_a_restart(followed, served, log) -> None:
    followed.look()
    followed.stop()
    served.show(log.grow(5))
    sighting = followed.look()
    assert sighting.step is Step.GROWN
    assert sighting.previous is not None
    assert sighting.previous.size == 300
    # The key is not asked for again.
    assert served.asked.count("log.vkey") == 1


def test_growth_costs_few_tiles(followed, served, log) -> None:
    followed.look()
    served.asked.clear()
    served.show(log.grow(500))
    followed.look()
    assert len(served.asked) < 12


def test_empty_log_is_followed(followed, served) -> None:
    log = GrownLog()
    served.files.clear()
    served.show(log)
    assert followed.look().checkpoint.size == 0
    served.show(log.grow(3))
    assert followed.look().step is Step.GROWN


def test_older_checkpoint_of_the_log_is_no_fork(followed, served, log) -> None:
    followed.look()
    served.show(log, 200)
    sighting = followed.look()
    assert sighting.step is Step.OLDER
    assert sighting.checkpoint.size == 200
    assert followed.kept == 300


Change = Callable[[ServedLog, GrownLog], None]


def smaller_with_another_root(served: ServedLog, log: GrownLog) -> None:
    served.files["checkpoint"] = log.fork(199).grow(1, "other").note()


def same_size_with_another_root(served: ServedLog, log: GrownLog) -> None:
    served.show(log.fork(299).grow(1, "other"))


def larger_with_another_beginning(served: ServedLog, log: GrownLog) -> None:
    served.files.clear()
    served.show(log.fork(299).grow(50, "other"))


def larger_with_tiles_of_the_other_history(served: ServedLog, log: GrownLog) -> None:
    served.files["checkpoint"] = log.fork(299).grow(50, "other").note()
    served.files.update(tiles_of(log.fork(300).grow(49).entries))


def size_of_the_far_future(served: ServedLog, log: GrownLog) -> None:
    """It claims entries that nobody has, over tiles that are full of nothing."""
    served.files["checkpoint"] = log.fork(299).grow(900, "other").note()
    served.files |= tiles_of([b"x"] * 1_199)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (smaller_with_another_root, ForkError),
        (same_size_with_another_root, ForkError),
        (larger_with_another_beginning, ForkError),
        (larger_with_tiles_of_the_other_history, UnprovenError),
        (size_of_the_far_future, UnprovenError),
    ],
)
def test_fork_is_kept_as_evidence(followed, served, log, change, kind) -> None:
    first = followed.look()
    change(served, log)
    alarm = followed.alarm()
    assert isinstance(alarm.error, kind)
    assert followed.kept == 300
    assert alarm.evidence is not None
    # Whoever has the key can judge it again from the folder alone.
    keys = LogKeys.parse((alarm.evidence / "log.vkey").read_text())
    notes = [
        (alarm.evidence / f"checkpoint.{name}").read_bytes()
        for name in ("first", "second")
    ]
    assert notes[1] == served.files["checkpoint"]
    checkpoints = [open_checkpoint(note, keys) for note in notes]
    assert checkpoints[0] == first.checkpoint
    with pytest.raises(kind):
        verify_growth(*checkpoints, FolderTiles(alarm.evidence / "log"))
    readme = (alarm.evidence / "README").read_text()
    assert str(alarm.error) in " ".join(readme.split())
    # It is found again after a restart, and kept once.
    before = files_in(followed.folder / "evidence")
    followed.stop()
    assert isinstance(followed.alarm().error, kind)
    assert files_in(followed.folder / "evidence") == before


def test_log_that_returns_to_its_history_is_followed_on(followed, served, log) -> None:
    followed.look()
    same_size_with_another_root(served, log)
    followed.alarm()
    served.show(log.grow(10))
    assert followed.look().step is Step.GROWN
    assert len(FollowState.evidence.fget(followed._state)) == 1


def test_first_checkpoint_needs_its_tiles_too(followed, served, log) -> None:
    served.files.update(tiles_of(GrownLog().grow(300, "other").entries))
    assert isinstance(followed.alarm().error, UnprovenError)
    assert not (followed.folder / "checkpoint").exists()


def test_damaged_tile_is_read_again(followed, served, log, monkeypatch) -> None:
    """Once is an accident of the way."""
    followed.look()
    served.show(log.grow(10))
    good, looks = dict(served.files), []

    def open_remote() -> RemoteLog:
        looks.append(1)
        is_first = len(looks) == 1
        served.files = good | ({"tile/1/000.p/1": bytes(32)} if is_first else {})
        return served.remote()

    monkeypatch.setattr(followed._follower, "_open_remote", open_remote)
    assert followed.look().step is Step.GROWN
    assert len(looks) == 2
    assert not (followed.folder / "evidence").exists()


def test_tiles_may_be_missing_once(followed, served, log) -> None:
    """A checkpoint from the future of its tiles: a cache may be behind, for a while."""
    followed.look()
    served.files["checkpoint"] = log.grow(200).note()
    with pytest.raises(TileError):
        followed.look()
    assert followed.kept == 300
    # Also if the follower was started again in between.
    followed.stop()
    alarm = followed.alarm()
    assert isinstance(alarm.error, UnprovenError)
    assert alarm.evidence is not None
    served.show(log)
    assert followed.look().step is Step.GROWN
    assert not (followed.folder / "checkpoint.unproven").exists()


def other_log(served: ServedLog, _log: GrownLog) -> None:
    served.show(GrownLog(origin="other.example").grow(400))


def other_key(served: ServedLog, log: GrownLog) -> None:
    served.files["checkpoint"] = GrownLog(log.entries, seed=b"x" * 32).grow(9).note()


def other_origin_with_our_key(served: ServedLog, log: GrownLog) -> None:
    other = GrownLog(origin="other.example").grow(400)
    other.signers = [log.signer]
    served.files["checkpoint"] = other.note()


def changed_text(served: ServedLog, _log: GrownLog) -> None:
    note = served.files["checkpoint"]
    served.files["checkpoint"] = note.replace(b"\n300\n", b"\n301\n")


def page_of_a_portal(served: ServedLog, _log: GrownLog) -> None:
    served.files["checkpoint"] = b"<html>Please sign in.</html>\n"


@pytest.mark.parametrize(
    "change",
    [other_log, other_key, other_origin_with_our_key, changed_text, page_of_a_portal],
)
def test_what_the_log_has_not_signed_is_no_evidence(
    followed, served, log, change
) -> None:
    followed.look()
    change(served, log)
    with pytest.raises(NoteError):
        followed.look()
    assert not (followed.folder / "evidence").exists()
    served.show(log.grow(1))
    assert followed.look().step is Step.GROWN


def test_server_that_fails_is_told(followed, served, log) -> None:
    followed.look()
    for status in (500, 503, 302):
        served.status = status
        with pytest.raises(AuditError):
            followed.look()
    served.status = 200
    del served.files["checkpoint"]
    with pytest.raises(AuditError, match="no log at this address"):
        followed.look()
    served.show(log.grow(1))
    assert followed.look().step is Step.GROWN


def test_dripping_server_is_given_up(tmp_path) -> None:
    done = threading.Event()

    def speak(connection) -> None:
        while not done.wait(0.01):
            connection.sendall(b"H")

    with serve_bytes(speak) as url:

        def open_remote() -> RemoteLog:
            http = BoundedTransport(exchange_s=0.1)
            return RemoteLog(url, http=http, pause=lambda _: None)

        state = FollowState(tmp_path)
        with pytest.raises(AuditError, match="no answer within"):
            LogFollower(state, open_remote).look(now_s=NOW_S)
        done.set()
        state.close()


def test_given_keys_are_not_asked_for(followed, served, log) -> None:
    followed.keys = LogKeys((log.signer.verifier,))
    assert not followed.look().is_first_use
    assert "log.vkey" not in served.asked
    followed.keys = LogKeys((Signer("x.example", PrivateKey(b"x" * 32)).verifier,))
    with pytest.raises(AuditError, match="another log"):
        followed.start()


def test_policy_says_which_log_is_meant(followed, served, log) -> None:
    text = f"log {log.signer.verifier.vkey}\nquorum none\n"
    followed.policy = WitnessPolicy.parse(text.encode())
    assert not followed.look().is_first_use
    other_log(served, log)
    other = Followed(followed.folder.with_name("other"), served)
    other.policy = followed.policy
    with pytest.raises(NoteError, match="does not accept"):
        other.look()
    other.stop()


def cosigned(log: GrownLog, times_s: dict[int, int]) -> GrownLog:
    """The same log, cosigned by some witnesses at some times."""
    result = log.fork(len(log.entries))
    result.signers = [
        log.signer,
        *(
            TimedSigner(WITNESSES[at], lambda time_s=time_s: time_s)
            for at, time_s in times_s.items()
        ),
    ]
    return result


def test_witnesses_are_counted(followed, served, log) -> None:
    followed.policy = POLICY
    assert not followed.look().is_witnessed
    served.show(cosigned(log, {0: NOW_S}))
    sighting = followed.look()
    assert (sighting.step, sighting.is_witnessed) == (Step.UNCHANGED, False)
    assert sighting.witnessing.times_s == {"w0": NOW_S}
    served.show(cosigned(log, {0: NOW_S, 2: NOW_S}))
    assert followed.look().is_witnessed
    # The note with the most cosignatures is the one that is kept.
    served.show(log)
    followed.look()
    kept = (followed.folder / "checkpoint").read_bytes()
    assert POLICY.verify(kept, log.signer.verifier).witnessing.is_quorum_met


def test_cosignature_from_the_future_does_not_count(followed, served, log) -> None:
    followed.policy = POLICY
    served.show(cosigned(log, {0: NOW_S, 1: NOW_S + FUTURE_S_MAX + 1}))
    sighting = followed.look()
    assert sighting.ahead == ("w1",)
    assert not sighting.is_witnessed
    served.show(cosigned(log, {0: NOW_S, 1: NOW_S + FUTURE_S_MAX}))
    assert followed.look().is_witnessed


def test_wrong_cosignature_makes_the_note_wrong(followed, served, log) -> None:
    followed.policy = POLICY
    lines = cosigned(log.fork(200), {0: NOW_S}).note().split(b"\n\n")[1]
    served.files["checkpoint"] += lines.split(b"\n")[1] + b"\n"
    with pytest.raises(NoteError):
        followed.look()


def test_log_may_be_a_moment_ahead_of_its_witnesses(followed, served, log) -> None:
    followed.policy = POLICY
    served.files["checkpoint.witnessed"] = cosigned(log, {0: NOW_S, 1: NOW_S}).note()
    served.show(log.grow(7))
    assert followed.look(NOW_S + UNWITNESSED_S_MAX).is_witnessed
    assert not followed.look(NOW_S + UNWITNESSED_S_MAX + 1).is_witnessed
    served.files["checkpoint.witnessed"] = b"nothing"
    assert not followed.look().is_witnessed


def test_witnessed_checkpoint_of_another_history_is_a_fork(
    followed, served, log
) -> None:
    """Witnesses are shown one log, and everybody else another."""
    followed.policy = POLICY
    other = log.fork(250).grow(20, "other")
    served.files["checkpoint.witnessed"] = cosigned(other, {0: NOW_S, 1: NOW_S}).note()
    assert isinstance(followed.alarm().error, ForkError)


def test_one_folder_has_one_follower(followed) -> None:
    followed.start()
    with pytest.raises(LockedError):
        FollowState(followed.folder)


def test_damaged_folder_is_told(followed, served, log) -> None:
    followed.look()
    for name, data in (("checkpoint", b"nothing"), ("log.vkey", b"nothing")):
        kept = (followed.folder / name).read_bytes()
        (followed.folder / name).write_bytes(data)
        followed.stop()
        with pytest.raises(LedgerError):
            followed.start()
        (followed.folder / name).write_bytes(kept)
    assert followed.look().step is Step.UNCHANGED


def test_folder_that_cannot_be_is_told(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuditError, match="cannot be written"):
        FollowState(tmp_path / "file")


def test_alarm_does_not_depend_on_room_for_evidence(
    followed, served, log, monkeypatch
) -> None:
    followed.look()
    same_size_with_another_root(served, log)
    for number in range(EVIDENCE_MAX):
        (followed.folder / "evidence" / f"{number}").mkdir(parents=True)
    alarm = followed.alarm()
    assert isinstance(alarm.error, ForkError)
    assert alarm.evidence is None
