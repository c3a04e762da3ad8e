import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import Address, PostgresqlServer, run_postgresql
from sqlalchemy import URL

from enclave_sim.sandbox.cache import default_cache
from enclave_sim.sandbox.compiler import load_code
from enclave_sim.sandbox.pool import SandboxPool
from enclave_sim.sandbox.runner import build_runner


@pytest.fixture(scope="session")
def runner_cache() -> Path:
    """The folder of built artefacts, shared by all test runs of this machine."""
    return default_cache(os.environ)


@pytest.fixture(scope="session")
def runner_sha384(runner_cache: Path) -> bytes:
    """The digest of the Python runner, built and compiled."""
    digest = build_runner(runner_cache)
    load_code(runner_cache, digest)
    return digest


@pytest.fixture(scope="session")
def sandbox_pool(runner_cache: Path, runner_sha384: bytes) -> Iterator[SandboxPool]:
    """One worker process that runs Python functions."""
    with SandboxPool(1, runner_sha384, runner_cache) as pool:
        yield pool


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server that is started when the first test asks for it."""
    with run_postgresql() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> Iterator[URL]:
    """A PostgreSQL database for one test, with the tables of a market."""
    with postgresql.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> URL | None:
    """The test runs twice: with a PostgreSQL database, and without one."""
    if request.param == "sqlite":
        return None
    url: URL = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def address(url: URL | None, tmp_path: Path) -> Address:
    """Where a fresh database is: the test runs on both kinds."""
    return url or tmp_path / "market.sqlite"
