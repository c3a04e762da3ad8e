from collections.abc import Iterator
from pathlib import Path

import pytest
from parties import Cast, Consumer, Provider, RunningMarket
from serving import serve_in_thread
from sqlalchemy import URL


@pytest.fixture
def market(tmp_path: Path, url: URL | None) -> Iterator[RunningMarket]:
    with serve_in_thread(tmp_path / "market", url=url) as market:
        yield market


@pytest.fixture
def hasty_market(tmp_path: Path, url: URL | None) -> Iterator[RunningMarket]:
    """Leases run out after half a second, acceptance after a second."""
    hasty = {"lease_ms": 500, "acceptance_timeout_ms": 1_000}
    with serve_in_thread(tmp_path / "market", url=url, **hasty) as market:
        yield market


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_market(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningMarket]:
    """One market for all tests of a module, each of which brings its own parties."""
    folder = tmp_path_factory.mktemp("market")
    if request.param == "sqlite":
        with serve_in_thread(folder) as market:
            yield market
        return
    server = request.getfixturevalue("postgresql")
    with server.database() as url, serve_in_thread(folder, url=url) as market:
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
