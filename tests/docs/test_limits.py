"""Every bound of an input stands in the reference, with its value and a reason."""

import ast
import importlib
from pathlib import Path

import pytest
from document_tables import REFERENCE, ROOT, plain, read_rows

PACKAGES = ("enclave_sim", "ledger", "market", "sdk")


def bounds_in(path: Path) -> list[str]:
    """Public constants of a module that have MAX or MIN as one of their words."""
    names = [
        target.id
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return [
        name
        for name in names
        if not name.startswith("_") and {"MAX", "MIN"} & set(name.split("_"))
    ]


def bounds() -> dict[tuple[str, str], str]:
    """Values as the reference writes them, by module and name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for name in bounds_in(path):
                value = getattr(importlib.import_module(module), name)
                is_whole = isinstance(value, int)
                found[module, name] = f"{value:,}" if is_whole else str(value)
    return found


@pytest.fixture(scope="module")
def documented() -> dict[tuple[str, str], list[str]]:
    rows = read_rows((REFERENCE / "limits.md").read_text())
    return {(plain(cells[1]), plain(cells[0])): cells for cells in rows}


def test_all_limits_are_listed_with_their_values(documented) -> None:
    listed = {place: cells[2] for place, cells in documented.items()}
    assert listed == bounds()


def test_each_limit_has_a_reason(documented) -> None:
    assert [cells[0] for cells in documented.values() if not cells[3]] == []
