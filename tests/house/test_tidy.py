"""What no linter knows about the code, kept from the first day."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("enclave_sim", "ledger", "market", "sdk")
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
TEST_LINES_MAX = 600
EMPTY_NAMES = {"utils", "helpers", "common", "base", "core", "misc"}
ENVIRONMENT_READERS = {
    "market/cli.py",  # the market's settings, and where the runner is kept
    "sdk/profile.py",  # which market and key a person means
}
CLOCK_READERS = {
    "ledger/clock.py",  # the clocks of witnesses and followers
    "market/clock.py",  # the market's clock
    "sdk/market.py",  # the consumer's clock
    "sdk/provider/clock.py",  # the node's clock
}
READS_ENVIRONMENT = re.compile(r"\bos\.(environ|getenv)\b")
READS_CLOCK = re.compile(r"\btime\.time(_ns)?\b|\b(datetime|date)\.(utc)?(now|today)\(")
UNFINISHED = re.compile(r"\bTODO\b(?!\(#[0-9]+\))|\bFIXME\b")

MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def readers(pattern: re.Pattern[str]) -> set[str]:
    return {name_of(path) for path in MODULES if pattern.search(path.read_text())}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_and_functions_are_short(path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES_MAX
    long = [
        node.name
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_test_files_are_short() -> None:
    long = [
        name_of(path)
        for path in TESTS
        if len(path.read_text().splitlines()) > TEST_LINES_MAX
    ]
    assert long == []


def test_file_names_say_something() -> None:
    names = {
        name_of(path)
        for path in (*MODULES, *TESTS)
        if path.stem.removeprefix("test_") in EMPTY_NAMES
    }
    assert names == set()


def test_nothing_is_left_unfinished() -> None:
    here = Path(__file__)
    unfinished = [
        name_of(path)
        for path in (*MODULES, *TESTS)
        if path != here and UNFINISHED.search(path.read_text())
    ]
    assert unfinished == []


def test_environment_is_read_in_few_places() -> None:
    assert readers(READS_ENVIRONMENT) <= ENVIRONMENT_READERS


def test_clock_is_read_in_few_places() -> None:
    # What runs inside the sandbox has neither clock nor environment to read.
    assert readers(READS_CLOCK) <= CLOCK_READERS


def test_allowed_readers_still_read() -> None:
    assert readers(READS_ENVIRONMENT) >= ENVIRONMENT_READERS
    assert readers(READS_CLOCK) >= CLOCK_READERS
