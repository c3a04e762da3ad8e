import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
