"""A follower learns the new keys of a log from the old ones, and forgets neither."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from grown_log import GrownLog
from served_log import ServedLog, serve_log, tiles_of

from ledger.audit.errors import ForkError, RuleError
from ledger.audit.follow import AlarmError, LogFollower, Sighting, Step
from ledger.audit.follow_state import FollowState
from ledger.audit.followed_keys import FollowedKeys
from ledger.errors import AuditError, NoteError
from ledger.log import LogKeys, Signer, TileTree, TlogProof
from ledger.log.tiles import FolderTiles
from ledger.signing import PrivateKey
from ledger.statements.kinds import LogKeyStatement
from ledger.statements.statement import make_statement

MARKET = PrivateKey(b"m" * 32)
NOW_S = 1_800_000_000


def key_of(generation: int) -> Signer:
    return Signer("log.example/main", PrivateKey(bytes([generation]) * 32))


class RotatingLog:
    """A log that changes its keys, and publishes each change."""

    def __init__(self, served: ServedLog, folder: Path) -> None:
        self.log = GrownLog().grow(5)
        self.log.signer = key_of(1)
        self.log.signers = [self.log.signer]
        self.generation = 1
        self._served = served
        self._folder = folder
        served.show(self.log)

    def rotate(self) -> bytes:
        """Record a change, sign with both keys, publish the proof; returns it."""
        before, after = key_of(self.generation), key_of(self.generation + 1)
        self.generation += 1
        index = len(self.log.entries)
        body = LogKeyStatement(
            market=MARKET.account_id,
            origin=self.log.origin,
            generation=self.generation,
            before=(before.verifier.vkey,),
            after=(after.verifier.vkey,),
            changed_at_ms=NOW_S * 1_000,
            before_until_ms=NOW_S * 1_000,
        )
        statement = make_statement(body).signed_by("market", MARKET)
        self.log.entries.append(statement.entry)
        self.log.signer, self.log.signers = after, [before, after]
        proof = self.prove(index).encode()
        self._served.files[f"keys/{self.generation}.tlog-proof"] = proof
        self._served.show(self.log)
        return proof

    def retire(self, count: int = 1) -> None:
        """Sign with the newest key alone, and grow."""
        self.log.signers = [self.log.signer]
        self._served.show(self.log.grow(count))

    def prove(self, index: int) -> TlogProof:
        for path, data in tiles_of(self.log.entries).items():
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / path).write_bytes(data)
        tree = TileTree(FolderTiles(self._folder), len(self.log.entries))
        path = tree.inclusion_path(index)
        return TlogProof(index, path, self.log.note(), self.log.entries[index])


@pytest.fixture
def served() -> Iterator[ServedLog]:
    with serve_log() as served:
        yield served


@pytest.fixture
def rotating(served, tmp_path) -> RotatingLog:
    return RotatingLog(served, tmp_path / "tiles")


def look(served: ServedLog, folder: Path, keys: Signer | None = None) -> Sighting:
    """Start a follower anew and look once."""
    state = FollowState(folder)
    try:
        given = LogKeys((keys.verifier,)) if keys else None
        return LogFollower(state, served.remote, keys=given).look(now_s=NOW_S)
    finally:
        state.close()


def test_change_of_keys_is_followed(served, rotating, tmp_path) -> None:
    folder = tmp_path / "state"
    look(served, folder)
    for generation in (2, 3):
        rotating.rotate()
        assert look(served, folder).step is Step.GROWN
        rotating.retire()
        sighting = look(served, folder)
        assert sighting.step is Step.GROWN
        assert sighting.keys == LogKeys((key_of(generation).verifier,))
        assert not sighting.is_first_use
    # What was pinned stays pinned; the rest follows from it at each start.
    assert (folder / "log.vkey").read_text() == f"{key_of(1).verifier.vkey}\n"
    assert len(list((folder / "keys").iterdir())) == 2
    assert look(served, folder).step is Step.UNCHANGED
    for known in (1, 3):
        assert look(served, folder, key_of(known)).step is Step.UNCHANGED
    with pytest.raises(AuditError, match="another log"):
        look(served, folder, key_of(4))


def test_changes_that_were_slept_through_are_learned(
    served, rotating, tmp_path
) -> None:
    look(served, tmp_path / "state")
    for _ in range(3):
        rotating.rotate()
        rotating.retire()
    sighting = look(served, tmp_path / "state")
    assert sighting.keys == LogKeys((key_of(4).verifier,))
    # Who came between two changes begins there.
    assert look(served, tmp_path / "late", key_of(2)).keys == sighting.keys


def test_new_keys_without_proof_are_not_believed(served, rotating, tmp_path) -> None:
    look(served, tmp_path / "state")
    rotating.rotate()
    rotating.retire()
    for proof in (b"", b"garbage", rotating.prove(0).encode()):
        served.files["keys/2.tlog-proof"] = proof
        with pytest.raises(NoteError):
            look(served, tmp_path / "state")
    assert not (tmp_path / "state" / "keys").exists()


def test_thief_of_old_keys_cannot_change_history(served, rotating, tmp_path) -> None:
    """Keys that the follower still trusts hand over to others, over another log."""
    look(served, tmp_path / "state")
    thief = RotatingLog(served, tmp_path / "theft")
    thief.log = thief.log.fork(3).grow(2, "other")
    thief.rotate()
    thief.retire()
    with pytest.raises(AlarmError) as caught:
        look(served, tmp_path / "state")
    assert isinstance(caught.value.error, ForkError)
    assert caught.value.evidence is not None
    keys = (caught.value.evidence / "log.vkey").read_text().splitlines()
    assert keys == [key_of(1).verifier.vkey, key_of(2).verifier.vkey]


def test_change_must_stand_in_the_log_itself(served, rotating, tmp_path) -> None:
    """A change of keys that is shown to one reader only, beside the log."""
    look(served, tmp_path / "state")
    honest = list(rotating.log.entries)
    rotating.rotate()
    rotating.log.entries = honest
    rotating.retire(3)
    with pytest.raises(AlarmError) as caught:
        look(served, tmp_path / "state")
    assert isinstance(caught.value.error, ForkError)


def test_kept_changes_are_checked_again(served, rotating, tmp_path) -> None:
    folder = tmp_path / "state"
    look(served, folder)
    rotating.rotate()
    rotating.retire()
    look(served, folder)
    (folder / "keys" / "0000.tlog-proof").write_bytes(b"damaged")
    with pytest.raises(RuleError):
        look(served, folder)


def test_learning_asks_no_further_than_there_is(served, rotating) -> None:
    pinned = FollowedKeys(LogKeys((key_of(1).verifier,)))
    served.asked.clear()
    with served.remote() as remote:
        assert pinned.learn(remote).proofs == ()
    assert served.asked == ["keys/2.tlog-proof"]
    for generation in range(2, 200):
        served.files[f"keys/{generation}.tlog-proof"] = b"garbage"
    served.asked.clear()
    with served.remote() as remote:
        assert pinned.learn(remote).proofs == ()
    assert len(served.asked) == 64
