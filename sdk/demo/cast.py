"""Who takes part: four nodes of four owners, on four tiers, in four jurisdictions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeRole:
    """One provider's node, as `sixfold provider up` is told about it."""

    name: str
    tier: str
    jurisdiction: str
    domain: str
    protections: tuple[str, ...]
    price_fuel_microcredits: int

    def arguments(self) -> list[str]:
        """The command line after `sixfold provider up`."""
        arguments = ["--name", self.name, "--tier", self.tier]
        arguments += ["--jurisdiction", self.jurisdiction, "--domain", self.domain]
        arguments += ["--price", f"fuel={self.price_fuel_microcredits}"]
        for protection in self.protections:
            arguments += ["--protection", protection]
        return [*arguments, "--workers", "1"]


CAST = (
    NodeRole("phone", "device", "fi", "maria", ("sandbox",), 8),
    NodeRole(
        "cell-site", "cell_site", "de", "north-telecom", ("sandbox", "enclave"), 6
    ),
    NodeRole(
        "edge-site",
        "edge_site",
        "fr",
        "edge-works",
        ("sandbox", "enclave", "homomorphic"),
        4,
    ),
    NodeRole(
        "data-centre", "data_center", "us", "wide-cloud", ("sandbox", "homomorphic"), 2
    ),
)
"""A phone, a cell site, an edge site, and a data centre."""
