"""Offers, requests and candidates that fit each other, to be spoiled one by one."""

from typing import Any

from parties import LIMITS, PRICES, RUNNER, SOURCE, digest

from ledger.signing import PrivateKey
from ledger.statements.kinds import NodeCapacity, OfferPolicy, OfferStatement
from ledger.statements.order_terms import DataPolicy, OrderTerms, WorkloadReference
from ledger.statements.pseudonyms import Authorisation
from market.placement.rules import Candidate, Request

NODE_KEY = PrivateKey(bytes(32))
CAPACITY = NodeCapacity(
    workers=2,
    memory_bytes=2**30,
    fuel_per_s=10**9,
    homomorphic_operations_per_s=10**4,
    link_bytes_per_s=10**8,
    round_trip_ms=1,
)
POLICY = OfferPolicy(
    sensitivity_classes=("public", "internal", "confidential", "restricted"),
    categories_refused=(),
    consumers_refused=(),
)
NOW_MS = 10**12


def make_offer(**changes: Any) -> OfferStatement:
    values: dict[str, Any] = {
        "offer_id": "offer_" + "a" * 20,
        "provider": NODE_KEY.account_id,
        "node": NODE_KEY.node_id,
        "node_key": NODE_KEY.public.text,
        "name": "node",
        "tier": "edge_site",
        "jurisdiction": "de",
        "ownership_domain": "example",
        "protections": ("sandbox", "enclave", "homomorphic"),
        "assurance": "simulated",
        "runner": RUNNER,
        "engine": "engine",
        "capacity": CAPACITY,
        "prices": PRICES,
        "policy": POLICY,
        "published_at_ms": 1,
        "valid_until_ms": NOW_MS + 1,
    }
    return OfferStatement(**(values | changes))


def make_candidate(**changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "digest": digest(b"offer"),
        "silent_ms": 0,
        "jobs": 0,
        "hold_microcredits": 100,
    }
    offer = {name: changes.pop(name) for name in list(changes) if name not in values}
    return Candidate(offer=make_offer(**offer), **(values | changes))


def make_request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "consumer": "acc_" + "a" * 26,
        "runner": RUNNER,
        "homomorphic_operations": 0,
        "excluded_nodes": frozenset(),
        "now_ms": NOW_MS,
    }
    request = {name: changes.pop(name, value) for name, value in values.items()}
    terms = OrderTerms(
        account=Authorisation(key="A" * 43 + "=", signature=""),
        workload=changes.pop("workload", None)
        or WorkloadReference(
            kind="python_source", content=digest(SOURCE.encode()), entry="double"
        ),
        limits=changes.pop("limits", LIMITS),
        input=digest(b"input"),
        price_max=changes.pop("price_max", 100),
        recipient=None,
        data_policy=DataPolicy(
            **({"sensitivity": "public", "protection": "sandbox"} | changes)
        ),
    )
    return Request(terms=terms, **request)
