from collections.abc import Iterator
from pathlib import Path

import pytest
from parties import Cast, Consumer, Provider, RunningMarket
from serving import serve_in_thread


@pytest.fixture
def market(tmp_path: Path) -> Iterator[RunningMarket]:
    with serve_in_thread(tmp_path / "market") as market:
        yield market


@pytest.fixture
def hasty_market(tmp_path: Path) -> Iterator[RunningMarket]:
    """Leases run out after half a second, acceptance after a second."""
    folder = tmp_path / "market"
    with serve_in_thread(folder, lease_ms=500, acceptance_timeout_ms=1_000) as market:
        yield market


@pytest.fixture(scope="module")
def shared_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMarket]:
    """One market for all tests of a module, each of which brings its own parties."""
    with serve_in_thread(tmp_path_factory.mktemp("market")) as market:
        yield market


@pytest.fixture
def cast(market: RunningMarket) -> Iterator[Cast]:
    with Cast(market) as cast:
        yield cast


@pytest.fixture
def shared_cast(shared_market: RunningMarket) -> Iterator[Cast]:
    with Cast(shared_market) as cast:
        yield cast


@pytest.fixture
def consumer(cast: Cast) -> Consumer:
    return cast.consumer(funds=10**9)


@pytest.fixture
def provider(cast: Cast) -> Provider:
    return cast.provider()
