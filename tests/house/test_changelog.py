"""The newest version of the changelog is the one that is built."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADING = re.compile(
    r"^## \[([0-9]+\.[0-9]+\.[0-9]+)\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$", re.MULTILINE
)


def test_newest_version_is_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = HEADING.findall((ROOT / "CHANGELOG.md").read_text())
    assert versions[0] == project["version"]


def test_versions_fall() -> None:
    versions = HEADING.findall((ROOT / "CHANGELOG.md").read_text())
    numbers = [tuple(map(int, version.split("."))) for version in versions]
    assert numbers == sorted(set(numbers), reverse=True)
