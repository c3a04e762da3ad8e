"""Reads the tables of the reference documents, which tests compare with the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def read_section(name: str, heading: str) -> str:
    """The text below one heading of a reference document, up to the next one."""
    text = (REFERENCE / name).read_text()
    found = re.search(
        rf"^#+ {re.escape(heading)}$\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"{name} has no heading {heading}"
    return found[1]


def read_rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, without their heads."""
    rows = []
    lines = text.splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        is_head = line == "" or not line.startswith("|")
        if is_head or re.fullmatch(r"[|\s:-]+", line) or not above.startswith("|"):
            continue
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def plain(cell: str) -> str:
    """A cell without the marks of code."""
    return cell.strip("`")
