"""Why an offer cannot take an order: every rule is asked, every reason is told.

A rule is a function of the request and one candidate that returns a sentence, or
None if it is content. Rules never look at each other, so the list of refusals is
complete and does not depend on their order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ledger.statements.kinds import OfferStatement
from ledger.statements.order_terms import OrderTerms
from market.policy.classes import ASSURANCE_RANK, category_refusal, class_refusal


@dataclass(frozen=True)
class Request:
    """What is to be placed."""

    consumer: str
    terms: OrderTerms
    runner: str
    """SHA-384 of the Python runner that this market uses."""
    homomorphic_operations: int
    """Operations on ciphertexts that the job will cost."""
    excluded_nodes: frozenset[str]
    """Nodes that lost an earlier attempt of this job."""
    now_ms: int


@dataclass(frozen=True)
class Candidate:
    """One live offer, as the market sees its node at this moment."""

    offer: OfferStatement
    digest: str
    silent_ms: int
    """Time since the node was last heard of."""
    jobs: int
    """Jobs that it holds already."""
    hold_microcredits: int | None
    """The price of the order's limits under this offer, all payees together; None if
    it is more than the books can hold."""


@dataclass(frozen=True)
class Refusal:
    """One reason why one offer cannot take the order."""

    rule: str
    message: str


NODE_SILENT_MS_MAX = 10_000
"""Agents call at least every two seconds; after five missed calls a node is gone."""
JOBS_PER_WORKER_MAX = 1024
"""A queue longer than this is back-pressure, not placement."""

Rule = Callable[[Request, Candidate], str | None]


def _protection(request: Request, candidate: Candidate) -> str | None:
    wanted = request.terms.data_policy.protection
    if wanted in candidate.offer.protections:
        return None
    return f"The node offers {', '.join(candidate.offer.protections)}, not {wanted}."


def _sensitivity_floor(request: Request, candidate: Candidate) -> str | None:
    return class_refusal(request.terms.data_policy, candidate.offer)


def _category(request: Request, candidate: Candidate) -> str | None:
    return category_refusal(request.terms.data_policy, candidate.offer)


def _assurance(request: Request, candidate: Candidate) -> str | None:
    wanted = request.terms.data_policy.assurance_min
    offered = candidate.offer.assurance
    if ASSURANCE_RANK.get(offered, -1) >= ASSURANCE_RANK[wanted]:
        return None
    return f"The consumer asks for {wanted} assurance; the node's is {offered}."


def _tier(request: Request, candidate: Candidate) -> str | None:
    return _allowed("tiers", request.terms.data_policy.tiers, candidate.offer.tier)


def _jurisdiction(request: Request, candidate: Candidate) -> str | None:
    policy, offer = request.terms.data_policy, candidate.offer
    return _allowed("jurisdictions", policy.jurisdictions, offer.jurisdiction)


def _ownership_domain(request: Request, candidate: Candidate) -> str | None:
    policy, offer = request.terms.data_policy, candidate.offer
    return _allowed("domains", policy.ownership_domains, offer.ownership_domain)


def _allowed(what: str, allowed: tuple[str, ...], offered: str) -> str | None:
    if not allowed or offered in allowed:
        return None
    return f"The consumer allows the {what} {', '.join(allowed)}; this is {offered}."


def _provider_class(request: Request, candidate: Candidate) -> str | None:
    sensitivity = request.terms.data_policy.sensitivity
    if sensitivity in candidate.offer.policy.sensitivity_classes:
        return None
    return f"The provider does not take {sensitivity} data."


def _provider_category(request: Request, candidate: Candidate) -> str | None:
    refused = set(candidate.offer.policy.categories_refused)
    met = sorted(refused & set(request.terms.data_policy.categories))
    return f"The provider refuses {', '.join(met)} data." if met else None


def _provider_consumer(request: Request, candidate: Candidate) -> str | None:
    if request.consumer in candidate.offer.policy.consumers_refused:
        return "The provider does not serve this consumer."
    return None


def _runner(request: Request, candidate: Candidate) -> str | None:
    if request.terms.workload.kind != "python_source":
        return None
    if candidate.offer.runner == request.runner:
        return None
    return "The node runs another version of the Python runner."


def _memory(request: Request, candidate: Candidate) -> str | None:
    needed = request.terms.limits.memory_bytes
    if needed <= candidate.offer.capacity.memory_bytes:
        return None
    return (
        f"The job may use {needed} bytes of memory; the node lends "
        f"{candidate.offer.capacity.memory_bytes}."
    )


def _price(request: Request, candidate: Candidate) -> str | None:
    hold, price_max = candidate.hold_microcredits, request.terms.price_max
    if hold is not None and hold <= price_max:
        return None
    price = "more than can be held" if hold is None else f"{hold} micro-credits"
    return f"The limits could cost {price}; the consumer pays at most {price_max}."


def _liveness(_request: Request, candidate: Candidate) -> str | None:
    if candidate.silent_ms <= NODE_SILENT_MS_MAX:
        return None
    return f"The node has been silent for {candidate.silent_ms // 1000} s."


def _validity(request: Request, candidate: Candidate) -> str | None:
    if request.now_ms < candidate.offer.valid_until_ms:
        return None
    return "The offer has expired."


def _earlier_attempt(request: Request, candidate: Candidate) -> str | None:
    if candidate.offer.node in request.excluded_nodes:
        return "The node lost an earlier attempt of this job."
    return None


def _queue(_request: Request, candidate: Candidate) -> str | None:
    if candidate.jobs < candidate.offer.capacity.workers * JOBS_PER_WORKER_MAX:
        return None
    return f"The node holds {candidate.jobs} jobs already."


RULES: Mapping[str, Rule] = {
    "protection": _protection,
    "sensitivity_floor": _sensitivity_floor,
    "category": _category,
    "assurance": _assurance,
    "tier": _tier,
    "jurisdiction": _jurisdiction,
    "ownership_domain": _ownership_domain,
    "provider_class": _provider_class,
    "provider_category": _provider_category,
    "provider_consumer": _provider_consumer,
    "runner": _runner,
    "memory": _memory,
    "price": _price,
    "liveness": _liveness,
    "validity": _validity,
    "earlier_attempt": _earlier_attempt,
    "queue": _queue,
}
"""All rules by their stable ids."""


def refusals(request: Request, candidate: Candidate) -> tuple[Refusal, ...]:
    """Every reason why the candidate cannot take the request; empty if it can."""
    return tuple(
        Refusal(name, message)
        for name, rule in RULES.items()
        if (message := rule(request, candidate)) is not None
    )
