"""Two publishers on one folder: they sign one history, or one of them signs nothing."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlmodel import Session

from ledger.errors import LogError
from ledger.log.log import Log
from ledger.log.tiles import TILE_WIDTH

# A copy of a file is the simplest way to two databases that know nothing of each other.
pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
COUNTS = (1, 30, TILE_WIDTH - 40, TILE_WIDTH)


def make_entries(start: int, count: int, word: str = "entry") -> list[bytes]:
    return [b"%s-%d" % (word.encode(), start + place) for place in range(count)]


@pytest.fixture
def twin(written, tmp_path):
    """A second writer with a copy of the database, and the same folder and keys."""
    written.append(make_entries(0, 40))
    written.publish()
    written.engine.dispose()
    shutil.copy(tmp_path / "market.sqlite", tmp_path / "twin.db")
    engine = create_engine(f"sqlite:///{tmp_path}/twin.db")
    yield type(written)(written.folder, engine, written.signer)
    engine.dispose()


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("more", COUNTS)
def test_fork_of_the_database_signs_and_spoils_nothing(
    written, twin, count, more
) -> None:
    written.append(make_entries(40, count))
    written.publish()
    twin.append(make_entries(40, more, "fork"))
    before = files_of(written.folder)
    with pytest.raises(LogError):
        twin.publish()
    # It may have begun a tile of its own; no file that others rely on has changed.
    assert files_of(written.folder).items() >= before.items()
    assert written.check().size == 40 + count
    written.append(make_entries(40 + count, 300))
    assert written.publish().size == written.check().size == 340 + count


def test_old_copy_of_the_database_signs_nothing(written, twin) -> None:
    written.append(make_entries(40, 5))
    written.publish()
    before = files_of(written.folder)
    with pytest.raises(LogError):
        twin.publish()
    assert files_of(written.folder) == before


def test_second_publisher_sees_what_the_first_has_signed(written) -> None:
    other = Log(written.folder, written.signer)
    for size in range(100, 700, 100):
        written.append(make_entries(size - 100, 100))
        publisher = (written.log, other)[size // 100 % 2]
        with Session(written.engine) as session:
            assert publisher.publish(session).size == size
        assert written.check().size == size
    assert written.log.published() == other.published()
