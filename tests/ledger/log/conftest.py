"""A log in a fresh database and folder, and the frozen vectors."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import Address
from sqlalchemy import Engine, create_engine, event
from sqlmodel import Session, SQLModel

from ledger.log import (
    Checkpoint,
    Frontier,
    Signer,
    TileTree,
    leaf_hash,
    open_checkpoint,
)
from ledger.log.log import Log
from ledger.signing import PrivateKey


class WrittenLog:
    """A log that is written to, and the things that it lives in."""

    def __init__(self, folder: Path, engine: Engine, signer: Signer) -> None:
        self.folder = folder
        self.engine = engine
        self.signer = signer
        self.start()

    def start(self) -> None:
        """Begin, or begin again after a crash."""
        self.log = Log(self.folder, self.signer)
        with Session(self.engine) as session:
            self.log.recover(session)
            session.commit()

    def append(self, entries: Iterable[bytes]) -> None:
        """Append in one transaction, and do not publish."""
        with Session(self.engine) as session:
            batch = self.log.begin(session)
            for entry in entries:
                batch.add(entry)
            batch.finish(session)
            session.commit()

    def publish(self) -> Checkpoint:
        with Session(self.engine) as session:
            return self.log.publish(session)

    def check(self) -> Checkpoint:
        """Read the folder as an auditor does: all entries lead to the signed root."""
        note = self.log.tiles.read("checkpoint")
        checkpoint = open_checkpoint(note, self.signer.verifier)
        tree = TileTree(self.log.tiles, checkpoint.size)
        assert tree.root() == checkpoint.root
        frontier = Frontier()
        frontier.extend(map(leaf_hash, tree.entries()))
        assert frontier.root() == checkpoint.root
        return checkpoint


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    path = Path(__file__).parents[2] / "vectors" / "log.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def signer(vectors: dict[str, Any]) -> Signer:
    own = vectors["own_log"]
    return Signer(own["origin"], PrivateKey(bytes.fromhex(own["seed"])))


@pytest.fixture
def engine(address: Address) -> Iterator[Engine]:
    """A database of the one kind or the other, with empty tables."""
    if isinstance(address, Path):
        engine = create_engine(f"sqlite:///{address}")

        @event.listens_for(engine, "connect")
        def use_wal(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA journal_mode = WAL")

        SQLModel.metadata.create_all(engine)
    else:
        engine = create_engine(address)
    yield engine
    engine.dispose()


@pytest.fixture
def written(tmp_path: Path, engine: Engine, signer: Signer) -> WrittenLog:
    return WrittenLog(tmp_path / "log", engine, signer)
