"""Sensitivity classes: the least protection under which data may be computed on.

| class | may run as |
| --- | --- |
| public | anything |
| internal | sandbox in contracted domains; else enclave or homomorphic |
| confidential | enclave or homomorphic (or locally) |
| restricted | homomorphic, enclave on attested hardware (or locally) |

An enclave that can show no evidence keeps nothing from its host, so it counts as one
for `public` data only.

Categories add rules: `sensing` data stays on the device or the semi-private site.
An unknown class or category is never on a list, so it is denied.

Source: the design's decision "Sensitivity classes set the floor".
"""

from ledger.statements.kinds import OfferStatement
from ledger.statements.order_terms import DataPolicy

CATEGORIES = frozenset(
    {"health", "biometric", "location", "payment", "sensing", "personal", "industrial"}
)
"""Categories that policies may name."""
SENSING_TIERS = frozenset({"device", "semi_private_site"})
ASSURANCE_RANK = {"none": 0, "simulated": 1, "hardware": 2}
FLOOR = {
    "public": {"sandbox", "enclave", "homomorphic"},
    "internal": {"sandbox", "enclave", "homomorphic"},
    "confidential": {"enclave", "homomorphic"},
    "restricted": {"enclave", "homomorphic"},
}
"""Protections that a class may run under; some only where a rule below agrees."""


def class_refusal(policy: DataPolicy, offer: OfferStatement) -> str | None:
    """Why this class of data may not run under this protection on this offer.

    Returns:
        A sentence for the consumer, or None if it may.
    """
    if policy.protection not in FLOOR.get(policy.sensitivity, set()):
        return (
            f"{policy.sensitivity.capitalize()} data may not run in a plain "
            f"{policy.protection}, whose host can see it."
        )
    match (policy.sensitivity, policy.protection):
        case ("internal", "sandbox"):
            if offer.ownership_domain not in policy.contracted_domains:
                return (
                    "Internal data runs in a plain sandbox only inside contracted "
                    f"domains; {offer.ownership_domain} is none."
                )
        case ("restricted", "enclave"):
            if offer.assurance != "hardware":
                return (
                    "Restricted data runs in an enclave only on attested hardware; "
                    f"this enclave's assurance is {offer.assurance}."
                )
        case ("internal" | "confidential", "enclave"):
            if ASSURANCE_RANK.get(offer.assurance, 0) == 0:
                return (
                    f"{policy.sensitivity.capitalize()} data runs in an enclave only "
                    "if it can show evidence; this one has none."
                )
    return None


def category_refusal(policy: DataPolicy, offer: OfferStatement) -> str | None:
    """Why a category of the data keeps it from this offer, or None."""
    unknown = sorted(set(policy.categories) - CATEGORIES)
    if unknown:
        return f"Unknown data categories are denied: {', '.join(unknown)}."
    if "sensing" in policy.categories and offer.tier not in SENSING_TIERS:
        return (
            "Raw sensing data stays on the device or the semi-private site; "
            f"this node is a {offer.tier}."
        )
    return None
