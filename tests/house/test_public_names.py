"""What the packages show to the outside, and what showing it costs."""

import ast
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("enclave_sim", "ledger", "market", "sdk")
HEAVY = ("_sealapi_cpp", "fastapi", "sqlalchemy", "tenseal", "wasmtime")
LIGHT = (
    "sdk",
    "ledger.audit.cli",
    "ledger.audit.receipt",
    "enclave_sim.attestation",
    "enclave_sim.sealed_result",
)


def faces() -> list[str]:
    """Packages whose `__init__` says what it offers."""
    return [
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("__init__.py"))
        if "__all__" in path.read_text()
    ]


def has_docstring(value: object, name: str) -> bool:
    if not inspect.isclass(value) and not inspect.isroutine(value):
        # A constant has none of its own; it is described where it is defined.
        return True
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    # A dataclass without one is given its signature.
    return bool(text) and not text.startswith(f"{name}(")


@pytest.mark.parametrize("package", faces())
def test_public_names_are_sorted_and_described(package) -> None:
    module = importlib.import_module(package)
    # As the linter sorts: constants, classes, functions.
    assert list(module.__all__) == sorted(module.__all__, key=rank)
    assert len(set(module.__all__)) == len(module.__all__)
    offered = [(name, getattr(module, name)) for name in module.__all__]
    bare = [name for name, value in offered if not has_docstring(value, name)]
    assert bare == []


def rank(name: str) -> tuple[int, str]:
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


def test_every_module_says_what_it_is() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


@pytest.mark.parametrize("module", LIGHT)
def test_light_import_loads_nothing_heavy(module) -> None:
    """An auditor installs neither a server nor native code, and a consumer neither."""
    program = (
        f"import json, sys, {module}\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == []
