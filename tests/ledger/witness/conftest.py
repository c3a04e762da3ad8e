"""A witness in a folder of its own, and a log for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from grown_log import GrownLog
from held_witness import HeldWitness


@pytest.fixture
def log() -> GrownLog:
    return GrownLog().grow(8)


@pytest.fixture
def held(tmp_path: Path, log: GrownLog) -> Iterator[HeldWitness]:
    held = HeldWitness(tmp_path, log.signer.verifier)
    yield held
    held.store.close()
