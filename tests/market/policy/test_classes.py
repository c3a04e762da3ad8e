"""Every cell of class, protection and assurance, and what the categories add."""

import itertools

import pytest
from candidates import make_offer

from ledger.statements.order_terms import DataPolicy
from market.policy.classes import CATEGORIES, category_refusal, class_refusal

CLASSES = ("public", "internal", "confidential", "restricted")
PROTECTIONS = ("sandbox", "enclave", "homomorphic")
ASSURANCES = ("none", "simulated", "hardware")
ALLOWED = {
    *itertools.product(["public"], PROTECTIONS, ASSURANCES),
    *itertools.product(CLASSES, ["homomorphic"], ASSURANCES),
    *itertools.product(CLASSES, ["enclave"], ["hardware"]),
    ("internal", "enclave", "simulated"),
    ("confidential", "enclave", "simulated"),
}
"""The rest is refused; `internal` in a sandbox depends on the domain as well."""


@pytest.mark.parametrize(
    "cell", list(itertools.product(CLASSES, PROTECTIONS, ASSURANCES)), ids="-".join
)
def test_each_cell_is_as_the_design_says(cell) -> None:
    sensitivity, protection, assurance = cell
    policy = DataPolicy(sensitivity=sensitivity, protection=protection)
    refusal = class_refusal(policy, make_offer(assurance=assurance))
    assert (refusal is None) == (cell in ALLOWED), refusal


@pytest.mark.parametrize("assurance", ASSURANCES)
@pytest.mark.parametrize("sensitivity", CLASSES)
def test_contracted_domain_opens_the_sandbox_for_internal_data_alone(
    sensitivity, assurance
) -> None:
    policy = DataPolicy(
        sensitivity=sensitivity, protection="sandbox", contracted_domains=("ours",)
    )
    inside = make_offer(assurance=assurance, ownership_domain="ours")
    outside = make_offer(assurance=assurance, ownership_domain="theirs")
    open_inside = sensitivity in {"public", "internal"}
    assert (class_refusal(policy, inside) is None) == open_inside
    assert (class_refusal(policy, outside) is None) == (sensitivity == "public")


def test_unknown_class_or_protection_is_denied() -> None:
    known = {"sensitivity": "public", "protection": "sandbox"}
    for unknown in ({"sensitivity": "secret"}, {"protection": "prayer"}):
        policy = DataPolicy.model_construct(**(known | unknown))
        assert class_refusal(policy, make_offer()) is not None


@pytest.mark.parametrize("category", sorted(CATEGORIES))
@pytest.mark.parametrize(
    "tier", ["device", "cell_site", "semi_private_site", "edge_site", "data_center"]
)
def test_only_sensing_data_is_bound_to_a_tier(category, tier) -> None:
    policy = DataPolicy(
        sensitivity="public", protection="sandbox", categories=(category,)
    )
    refused = category == "sensing" and tier not in {"device", "semi_private_site"}
    assert (category_refusal(policy, make_offer(tier=tier)) is not None) == refused


def test_unknown_category_is_denied_whatever_else_is_named() -> None:
    policy = DataPolicy(
        sensitivity="public", protection="sandbox", categories=("health", "gossip")
    )
    assert "gossip" in (category_refusal(policy, make_offer()) or "")
