"""A log in a database of its own, appended to by an appender."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from databases import Address
from sqlalchemy import Engine, create_engine
from sqlmodel import Session, SQLModel, select

from ledger.log import Signer
from ledger.log.log import Log
from ledger.log.models import LogEntry
from ledger.signing import PrivateKey
from ledger.writing import Appender


class AppendedLog:
    """A log, and what can be seen of it. Its appender has not started."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.engine = engine
        self.commits: list[None] = []
        self.log = Log(folder, Signer("append.example/log", PrivateKey(b"a" * 32)))
        with self.writing() as session:
            self.log.recover(session)
        self.appender = Appender(
            self.log, self.writing, committed=lambda: self.commits.append(None)
        )

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with Session(self.engine) as session, session.begin():
            yield session

    def entries(self) -> list[bytes]:
        with Session(self.engine) as session:
            return list(session.exec(select(LogEntry.data).order_by(LogEntry.index)))

    def count(self, table: type[SQLModel]) -> int:
        with Session(self.engine) as session:
            return len(session.exec(select(table)).all())


@pytest.fixture
def engine(address: Address) -> Iterator[Engine]:
    """A database of the one kind or the other, with empty tables."""
    if isinstance(address, Path):
        engine = create_engine(f"sqlite:///{address}")
        SQLModel.metadata.create_all(engine)
    else:
        engine = create_engine(address)
    yield engine
    engine.dispose()


@pytest.fixture
def idle(tmp_path: Path, engine: Engine) -> AppendedLog:
    return AppendedLog(tmp_path / "log", engine)


@pytest.fixture
def appended(idle: AppendedLog) -> Iterator[AppendedLog]:
    idle.appender.start()
    yield idle
    idle.appender.stop()
