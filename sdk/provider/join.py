"""Step 1: a provider joins. Keys, runner, measurement, signed offer.

Everything of one node lies in its folder: the provider's key, the node's key, and
what was measured. A provider with several nodes copies its key into each folder. The
folder belongs to one running agent at a time.
"""

import fcntl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from enclave_sim.errors import RunnerError
from enclave_sim.sandbox.compiler import load_code
from enclave_sim.sandbox.engine_identity import ENGINE_ID
from enclave_sim.sandbox.pool import SandboxWorker
from enclave_sim.sandbox.runner import (
    RUNNER_BYTES_MAX,
    load_runner_artefact,
    store_runner,
)
from ledger.document import describe_validation
from ledger.identifiers import new_identifier
from ledger.key_files import load_or_create_key
from ledger.signing import PrivateKey
from ledger.statements.kinds import NodeCapacity, OfferPolicy, OfferStatement
from ledger.statements.statement import make_statement
from sdk.errors import InputError, MarketAnswerError
from sdk.order import statement_json
from sdk.pins import PinStore, pin_path
from sdk.provider.probe import (
    Lent,
    Step,
    default_memory_bytes,
    default_workers,
    probe_node,
)
from sdk.provider.tiers import find_tier, set_prices
from sdk.session import Session, open_session
from sdk.transport import Transport

OFFER_LIFE_MS = 30 * 24 * 3600 * 1000
"""A month; a node that is restarted publishes a new offer anyway."""
TIMEOUT_S = 15.0
"""For each step of a request: three times the longest that the market takes to answer
on purpose, so that a market that hangs is noticed."""
PROVIDER_KEY = "provider.key"
NODE_KEY = "node.key"
LOCK_FILE = "agent.lock"


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """What a provider says of a node; the rest is measured or suggested."""

    name: str
    tier: str
    jurisdiction: str
    ownership_domain: str
    protections: tuple[str, ...]
    workers: int | None
    memory_bytes: int | None
    prices: Mapping[str, int]
    """Micro-credits per unit, by rating group, that replace the suggested ones."""
    sensitivity_classes: tuple[str, ...]
    categories_refused: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class JoinedNode:
    """A node with everything it needs to take jobs; its offer is to be published."""

    offer: OfferStatement
    market: str
    lease_ms: int
    provider_key: PrivateKey
    provider: Transport
    """To the market, signed by the provider."""
    node: Transport
    """To the market, signed by the node."""
    node_key: PrivateKey
    runner_sha384: bytes
    cache: Path
    lock: IO[bytes]
    """Held open as long as the folder is in use."""

    def publish(self) -> None:
        """Put the offer on the market, in place of the node's last one.

        Raises:
            SdkError: The market cannot be reached, or refuses.
        """
        statement = make_statement(self.offer).signed_by("provider", self.provider_key)
        statement = statement.signed_by("node", self.node_key)
        self.provider.post_json(
            "/catalog/v0.1/offers", {"statement": statement_json(statement)}
        )

    def withdraw(self) -> None:
        """Take the offer off the market.

        Raises:
            SdkError: The market cannot be reached, or the offer was replaced.
        """
        self.provider.delete(f"/catalog/v0.1/offers/{self.offer.offer_id}")

    def close(self) -> None:
        """End the connections and free the folder."""
        self.provider.close()
        self.node.close()
        self.lock.close()


def join_market(
    url: str,
    folder: Path,
    plan: NodePlan,
    *,
    cache: Path,
    now_ms: Callable[[], int],
    pause: Callable[[float], None],
    step: Step,
) -> JoinedNode:
    """Make keys if there are none, get the market's runner, and measure the node.

    Args:
        url: The market's.
        folder: The node's; made if it is missing.
        plan: What the provider says of the node.
        cache: The folder of runner artefacts and compiled code.
        now_ms: The clock.
        pause: Waits for that many seconds between two attempts at a request.
        step: Told what is being done.

    Raises:
        SdkError: The market cannot be reached or refuses, the plan is no offer,
            or another agent uses the folder.
        KeyFileError: A key file is open to others, or damaged.
        EnclaveError: What is offered cannot run here.
    """
    with ExitStack() as opened:
        lock = opened.enter_context(_lock(folder))
        provider_key = load_or_create_key(folder / PROVIDER_KEY)
        node_key = load_or_create_key(folder / NODE_KEY)

        def connect(key: PrivateKey) -> Transport:
            line = Transport(url, key, now_ms=now_ms, pause=pause, timeout_s=TIMEOUT_S)
            opened.callback(line.close)
            return line

        provider, node = connect(provider_key), connect(node_key)
        session = open_session(
            url.rstrip("/"),
            transport=provider,
            key=provider_key,
            pins=PinStore(pin_path(folder / PROVIDER_KEY)),
            now_ms=now_ms,
        )
        capacity = _prepare(session, node, folder, cache, plan, step)
        joined = JoinedNode(
            offer=draft_offer(plan, session, node_key, capacity),
            market=session.market,
            lease_ms=session.lease_ms,
            provider_key=provider_key,
            provider=provider,
            node=node,
            node_key=node_key,
            runner_sha384=bytes.fromhex(session.runner),
            cache=cache,
            lock=lock,
        )
        opened.pop_all()
    return joined


def draft_offer(
    plan: NodePlan, session: Session, node_key: PrivateKey, capacity: NodeCapacity
) -> OfferStatement:
    """Write the offer of a node, from what was measured and what its provider says.

    Raises:
        InputError: The plan has no form in which an offer can carry it.
    """
    published_ms = session.now_ms()
    prices = set_prices(find_tier(plan.tier), plan.prices)
    try:
        return OfferStatement(
            offer_id=new_identifier("offer"),
            provider=session.key.account_id,
            node=node_key.node_id,
            node_key=node_key.public.text,
            name=plan.name,
            tier=plan.tier,
            jurisdiction=plan.jurisdiction,
            ownership_domain=plan.ownership_domain,
            protections=plan.protections,
            assurance="simulated" if "enclave" in plan.protections else "none",
            runner=session.runner,
            engine=ENGINE_ID,
            capacity=capacity,
            prices=prices,
            policy=OfferPolicy(
                sensitivity_classes=plan.sensitivity_classes,
                categories_refused=plan.categories_refused,
                consumers_refused=(),
            ),
            published_at_ms=published_ms,
            valid_until_ms=published_ms + OFFER_LIFE_MS,
        )
    except ValidationError as error:
        raise InputError(f"An offer: {describe_validation(error)}.") from error


def fetch_runner(session: Session, cache: Path, step: Step) -> None:
    """Have the market's runner on this machine: from the cache, or downloaded.

    Raises:
        MarketAnswerError: What the market sends is not the runner that it names.
        SandboxError: What it sends is no component.
        SdkError: The market cannot be reached.
    """
    runner = bytes.fromhex(session.runner)
    try:
        load_runner_artefact(cache, runner)
    except RunnerError:
        data = session.transport.get_bytes(
            f"/catalog/v0.1/runners/{session.runner}",
            size_max=RUNNER_BYTES_MAX,
            progress=lambda done, size: step(
                "fetching the runner", done / (size or RUNNER_BYTES_MAX)
            ),
        )
        if store_runner(cache, data) != runner:
            raise MarketAnswerError("The market sent another runner.") from None


def _prepare(
    session: Session,
    node: Transport,
    folder: Path,
    cache: Path,
    plan: NodePlan,
    step: Step,
) -> NodeCapacity:
    """Fetch and compile the runner, and measure what this machine does with it."""
    tier = find_tier(plan.tier)
    workers = plan.workers or default_workers(tier)
    runner = bytes.fromhex(session.runner)
    fetch_runner(session, cache, step)
    load_code(cache, runner, step)
    worker = SandboxWorker(runner, cache)
    try:
        return probe_node(
            folder,
            worker,
            node,
            market=session.url,
            runner=session.runner,
            lent=Lent(
                workers,
                plan.memory_bytes or default_memory_bytes(tier, workers),
                homomorphic="homomorphic" in plan.protections,
            ),
            now_ms=session.now_ms(),
            step=step,
        )
    finally:
        worker.close()


def _lock(folder: Path) -> IO[bytes]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / LOCK_FILE).open("wb")
    except OSError as error:
        raise InputError(f"{folder} cannot be used: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise InputError(f"Another agent runs the node in {folder}.") from error
    return lock
