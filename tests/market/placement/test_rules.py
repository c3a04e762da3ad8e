"""Each rule alone: what it refuses, what it lets pass, and that none hides another."""

import pytest
from candidates import CAPACITY, NODE_KEY, NOW_MS, POLICY, make_candidate, make_request
from parties import LIMITS, digest

from ledger.statements.order_terms import WorkloadReference
from market.placement.rules import (
    JOBS_PER_WORKER_MAX,
    NODE_SILENT_MS_MAX,
    RULES,
    refusals,
)

CIRCUIT = WorkloadReference(kind="linear_circuit", content=digest(b"circuit"))
CASES = [
    # Rule, what spoils the request, what spoils the candidate, what mends either.
    ("protection", {}, {"protections": ("enclave",)}, {"protections": ("sandbox",)}),
    (
        "sensitivity_floor",
        {"sensitivity": "internal"},
        {},
        {"sensitivity": "internal", "contracted_domains": ("example",)},
    ),
    (
        "category",
        {"categories": ("sensing",)},
        {},
        {"tier": "device"},
    ),
    ("category", {"categories": ("gossip",)}, {}, {"categories": ("health",)}),
    (
        "assurance",
        {"assurance_min": "hardware"},
        {},
        {"assurance_min": "simulated"},
    ),
    (
        "assurance",
        {"assurance_min": "simulated"},
        {"assurance": "none"},
        {"assurance": "simulated"},
    ),
    ("tier", {"tiers": ("device",)}, {}, {"tiers": ("device", "edge_site")}),
    ("jurisdiction", {"jurisdictions": ("fr",)}, {}, {"jurisdictions": ("fr", "de")}),
    (
        "ownership_domain",
        {"ownership_domains": ("ours",)},
        {},
        {"ownership_domains": ("example",)},
    ),
    (
        "provider_class",
        {},
        {"policy": POLICY.model_copy(update={"sensitivity_classes": ("internal",)})},
        {"policy": POLICY},
    ),
    (
        "provider_category",
        {"categories": ("health", "payment")},
        {"policy": POLICY.model_copy(update={"categories_refused": ("payment",)})},
        {"categories": ("health",)},
    ),
    (
        "provider_consumer",
        {},
        {
            "policy": POLICY.model_copy(
                update={"consumers_refused": ("acc_" + "a" * 26,)}
            )
        },
        {"consumer": "acc_" + "b" * 26},
    ),
    ("runner", {"runner": "cd" * 48}, {}, {"workload": CIRCUIT}),
    (
        "memory",
        {"limits": LIMITS.model_copy(update={"memory_bytes": 2**30 + 1})},
        {},
        {"limits": LIMITS.model_copy(update={"memory_bytes": 2**30})},
    ),
    ("price", {}, {"hold_microcredits": 101}, {"price_max": 101}),
    ("price", {"price_max": 2**53 - 1}, {"hold_microcredits": None}, None),
    (
        "liveness",
        {},
        {"silent_ms": NODE_SILENT_MS_MAX + 1},
        {"silent_ms": NODE_SILENT_MS_MAX},
    ),
    ("validity", {}, {"valid_until_ms": NOW_MS}, {"valid_until_ms": NOW_MS + 1}),
    (
        "earlier_attempt",
        {"excluded_nodes": frozenset({NODE_KEY.node_id})},
        {},
        {"excluded_nodes": frozenset({"node_" + "a" * 26})},
    ),
    (
        "queue",
        {},
        {"jobs": 2 * JOBS_PER_WORKER_MAX},
        {"capacity": CAPACITY.model_copy(update={"workers": 3})},
    ),
]
REQUEST_NAMES = {
    "sensitivity",
    "contracted_domains",
    "categories",
    "assurance_min",
    "tiers",
    "jurisdictions",
    "ownership_domains",
    "consumer",
    "workload",
    "limits",
    "price_max",
    "excluded_nodes",
}


def refused(request: dict, candidate: dict) -> list[str]:
    found = refusals(make_request(**request), make_candidate(**candidate))
    assert all(item.message.endswith(".") for item in found)
    return [item.rule for item in found]


def test_what_fits_is_refused_by_no_rule() -> None:
    assert refused({}, {}) == []


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, *_ in CASES} == set(RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_rule_refuses_alone(case) -> None:
    rule, request, candidate, mended = case
    assert refused(request, candidate) == [rule]
    if mended is not None:
        of_request = {name: mended[name] for name in mended.keys() & REQUEST_NAMES}
        of_candidate = {name: mended[name] for name in mended.keys() - REQUEST_NAMES}
        assert refused(request | of_request, candidate | of_candidate) == []


def test_all_refusals_are_listed_together() -> None:
    request = {
        "sensitivity": "internal",
        "categories": ("gossip", "payment", "sensing"),
        "assurance_min": "hardware",
        "tiers": ("device",),
        "jurisdictions": ("fr",),
        "ownership_domains": ("ours",),
        "runner": "cd" * 48,
        "limits": LIMITS.model_copy(update={"memory_bytes": 2**30 + 1}),
        "excluded_nodes": frozenset({NODE_KEY.node_id}),
    }
    against = {
        "sensitivity_classes": ("public",),
        "categories_refused": ("payment",),
        "consumers_refused": ("acc_" + "a" * 26,),
    }
    candidate = {
        "protections": ("enclave",),
        "policy": POLICY.model_copy(update=against),
        "hold_microcredits": 101,
        "silent_ms": NODE_SILENT_MS_MAX + 1,
        "valid_until_ms": NOW_MS,
        "jobs": 2 * JOBS_PER_WORKER_MAX,
    }
    assert refused(request, candidate) == list(RULES)
