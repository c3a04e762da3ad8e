"""Law of publication: the folder depends on the entries, not on how it came to be."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import StaticPool, create_engine
from sqlmodel import Session, SQLModel

from ledger.log import Frontier, Signer, TileTree, leaf_hash
from ledger.log.log import Log
from ledger.signing import PrivateKey

SIGNER = Signer("ledger.example/main", PrivateKey(bytes(range(32))))
STEPS = st.lists(
    st.tuples(
        st.integers(0, 300),  # entries added
        st.integers(0, 40),  # entries added in a savepoint that is rolled back
        st.booleans(),  # rolled back as a whole
        st.booleans(),  # published after
        st.booleans(),  # restarted after
    ),
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_folder_holds_exactly_what_was_committed(
    steps: list[tuple[int, int, bool, bool, bool]],
) -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    SQLModel.metadata.create_all(engine)
    committed: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder, Session(engine) as session:
        log = Log(Path(folder), SIGNER)
        log.recover(session)
        session.commit()
        for added, dropped, lost, published, restarted in steps:
            batch = log.begin(session)
            entries = [b"entry-%d" % (len(committed) + at) for at in range(added)]
            for entry in entries[: added // 2]:
                batch.add(entry)
            mark = batch.mark()
            for _ in range(dropped):
                batch.add(b"dropped")
            batch.rollback_to(mark)
            for entry in entries[added // 2 :]:
                batch.add(entry)
            batch.finish(session)
            if lost:
                session.rollback()
            else:
                session.commit()
                committed += entries
            if published:
                log.publish(session)
            if restarted:
                log = Log(Path(folder), SIGNER)
                log.recover(session)
                session.commit()
        checkpoint = log.publish(session)
        assert list(TileTree(log.tiles, checkpoint.size).entries()) == committed
    frontier = Frontier()
    frontier.extend(map(leaf_hash, committed))
    assert (checkpoint.size, checkpoint.root) == (frontier.size, frontier.root())
    engine.dispose()
