"""A market that is killed again and again: what it promised holds, and once."""

import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random  # noqa: TID251 - seeded, so that a failure can be repeated

import pytest
from insistent_play import Play, check_play
from market_process import MarketProcess
from parties import Consumer, Provider

KILLS = 10
SEED = 7
LEASE_MS = 60_000
"""Longer than the test: no lease is lost here, only answers are."""

pytestmark = pytest.mark.slow


@pytest.fixture
def process(tmp_path: Path) -> Iterator[MarketProcess]:
    process = MarketProcess(tmp_path / "market", lease_ms=LEASE_MS)
    process.start()
    yield process
    process.kill()


def play_with_kills(process: MarketProcess, play: Play, dice: Random) -> list[bytes]:
    """Kill the market at random moments while the parties go on."""
    seen: list[bytes] = []
    moment = threading.Event()
    with play.going_on():
        for _ in range(KILLS):
            moment.wait(dice.uniform(0.05, 0.9))
            seen.append(process.checkpoint())
            moment.wait(dice.uniform(0.0, 0.05))
            process.kill()
            process.start()
    return seen


def test_killed_market_keeps_every_promise_once(process) -> None:
    play = Play(Consumer(process.url), Provider(process.url))
    play.begin()
    seen = play_with_kills(process, play, Random(SEED))  # noqa: S311
    assert len(play.accepted) > KILLS
    check_play(process, play, seen)
    play.close()
