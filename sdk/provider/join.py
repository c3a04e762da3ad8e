"""Step 1: a provider joins. Keys, runner, measurement, signed offer.

Everything of one node lies in its folder: the provider's key, the node's key, and
what was measured. A provider with several nodes copies its key into each folder.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from enclave_sim.errors import RunnerError
from enclave_sim.sandbox.engine import ENGINE_ID
from enclave_sim.sandbox.pool import SandboxWorker
from enclave_sim.sandbox.runner import (
    RUNNER_BYTES_MAX,
    load_runner_artefact,
    store_runner,
)
from ledger.charging.tariff import RatingGroup
from ledger.identifiers import new_identifier
from ledger.key_files import load_or_create_key
from ledger.signing import PrivateKey
from ledger.statements.kinds import OfferPolicy, OfferStatement
from ledger.statements.statement import make_statement
from sdk.errors import MarketAnswerError
from sdk.order import statement_json
from sdk.pins import PinStore, pin_path
from sdk.provider.probe import Lent, Step, default_memory_bytes, probe_node
from sdk.provider.tiers import TIERS
from sdk.session import open_session
from sdk.transport import Transport

OFFER_LIFE_MS = 30 * 24 * 3600 * 1000
"""A month; a node that is restarted publishes a new offer anyway."""
PROVIDER_KEY = "provider.key"
NODE_KEY = "node.key"


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """What a provider says of a node; the rest is measured or suggested."""

    name: str
    tier: str
    jurisdiction: str
    ownership_domain: str
    protections: tuple[str, ...]
    workers: int
    memory_bytes: int | None
    prices: Mapping[RatingGroup, int]
    """Prices that replace the suggested ones."""
    sensitivity_classes: tuple[str, ...]
    categories_refused: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class JoinedNode:
    """A node with a published offer, ready to take jobs."""

    offer: OfferStatement
    market: str
    lease_ms: int
    provider: Transport
    """To the market, signed by the provider."""
    node: Transport
    """To the market, signed by the node."""
    node_key: PrivateKey
    runner_sha384: bytes
    cache: Path

    def withdraw(self) -> None:
        """Take the offer off the market.

        Raises:
            SdkError: The market cannot be reached, or the offer was replaced.
        """
        self.provider.delete(f"/catalog/v0.1/offers/{self.offer.offer_id}")

    def close(self) -> None:
        """End the connections."""
        self.provider.close()
        self.node.close()


def join_market(
    url: str,
    folder: Path,
    plan: NodePlan,
    *,
    cache: Path,
    now_ms: Callable[[], int],
    step: Step,
) -> JoinedNode:
    """Make keys if there are none, measure the node, and publish its offer.

    Args:
        url: The market's.
        folder: The node's; made if it is missing.
        plan: What the provider says of the node.
        cache: The folder of runner artefacts and compiled code.
        now_ms: The clock.
        step: Told what is being done.

    Raises:
        SdkError: The market cannot be reached or refuses, or the probe failed.
        KeyFileError: A key file is open to others, or damaged.
        SandboxError: The sandbox cannot run here.
    """
    provider_key = load_or_create_key(folder / PROVIDER_KEY)
    node_key = load_or_create_key(folder / NODE_KEY)
    provider = Transport(url, provider_key, now_ms=now_ms)
    node = Transport(url, node_key, now_ms=now_ms)
    session = open_session(
        url,
        transport=provider,
        key=provider_key,
        pins=PinStore(pin_path(folder / PROVIDER_KEY)),
        now_ms=now_ms,
    )
    runner = bytes.fromhex(session.runner)
    _fetch_runner(provider, runner, cache, step)
    worker = SandboxWorker(runner, cache)
    try:
        step("preparing the sandbox")
        worker.start()
        capacity = probe_node(
            folder,
            worker,
            node,
            runner=session.runner,
            lent=Lent(
                plan.workers,
                plan.memory_bytes or default_memory_bytes(plan.workers),
                homomorphic="homomorphic" in plan.protections,
            ),
            now_ms=now_ms(),
            step=step,
        )
    finally:
        worker.close()
    published_ms = now_ms()
    body = OfferStatement(
        offer_id=new_identifier("offer"),
        provider=provider_key.account_id,
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
        prices={**TIERS[plan.tier].prices(), **plan.prices},
        policy=OfferPolicy(
            sensitivity_classes=plan.sensitivity_classes,
            categories_refused=plan.categories_refused,
            consumers_refused=(),
        ),
        published_at_ms=published_ms,
        valid_until_ms=published_ms + OFFER_LIFE_MS,
    )
    statement = make_statement(body).signed_by("provider", provider_key)
    statement = statement.signed_by("node", node_key)
    step("publishing the offer")
    provider.post_json("/catalog/v0.1/offers", {"statement": statement_json(statement)})
    return JoinedNode(
        offer=body,
        market=session.market,
        lease_ms=session.lease_ms,
        provider=provider,
        node=node,
        node_key=node_key,
        runner_sha384=runner,
        cache=cache,
    )


def _fetch_runner(transport: Transport, runner: bytes, cache: Path, step: Step) -> None:
    try:
        load_runner_artefact(cache, runner)
    except RunnerError:
        step("fetching the runner")
        data = transport.get_bytes(
            f"/catalog/v0.1/runners/{runner.hex()}", size_max=RUNNER_BYTES_MAX
        )
        if store_runner(cache, data) != runner:
            raise MarketAnswerError("The market sent another runner.") from None


def system_now_ms() -> int:
    """The machine's clock, in Unix milliseconds."""
    return time.time_ns() // 1_000_000
