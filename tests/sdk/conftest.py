"""A real market on loopback, scripted nodes, and a consumer with money."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from parties import Provider, RunningMarket
from scripted_node import Cheats, ScriptedNode
from serving import RUNNER, serve_in_thread

from enclave_sim.attestation.vendor import (
    DevelopmentVendor,
    SimulatedChip,
    simulated_chip_id,
)
from sdk import Market


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMarket]:
    """One market for all tests of a module; leases are short."""
    folder = tmp_path_factory.mktemp("market")
    with serve_in_thread(folder, lease_ms=1_000) as running:
        yield running


@pytest.fixture(scope="session")
def chip(pytestconfig: pytest.Config) -> SimulatedChip:
    """A simulated chip; the vendor's keys take seconds, so they outlive the run."""
    folder = Path(pytestconfig.cache.mkdir("development-vendor"))
    return DevelopmentVendor(folder).issue_chip(simulated_chip_id("test chip"))


NodeMaker = Callable[..., ScriptedNode]


@pytest.fixture(scope="module")
def make_node(running: RunningMarket, chip: SimulatedChip) -> Iterator[NodeMaker]:
    nodes: list[ScriptedNode] = []

    def make(**offer: object) -> ScriptedNode:
        provider = Provider(running.url, runner=RUNNER)
        nodes.append(ScriptedNode(provider, chip, **offer))
        return nodes[-1]

    yield make
    for node in nodes:
        node.close()


@pytest.fixture(scope="module")
def one_node(make_node: NodeMaker) -> ScriptedNode:
    return make_node()


@pytest.fixture
def node(one_node: ScriptedNode) -> ScriptedNode:
    """The module's node, honest at the beginning of each test."""
    one_node.cheats = Cheats()
    return one_node


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    return tmp_path / "alice.key"


@pytest.fixture
def alice(running: RunningMarket, key_path: Path) -> Iterator[Market]:
    with Market.open(running.url, key=key_path, create_key=True) as market:
        market.top_up(100)
        yield market
