"""The catalogue: offers of nodes and published workloads."""
