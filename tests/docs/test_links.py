"""Links in the documents lead somewhere, and each document has one title."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINE_CHARACTERS_MAX = 130
"""Prose is wrapped at 110 to 120; tables, links and examples cannot be."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """A document without its examples."""
    return FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """What a link may name after the `#`, as common renderers make it."""
    found = set()
    for _, title in HEADING.findall(prose(path)):
        words = re.sub(r"[^\w\- ]", "", title.strip().lower())
        found.add(words.replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_local_links_lead_somewhere(path) -> None:
    broken = []
    for target in LINK.findall(CODE.sub("", prose(path))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        document = (path.parent / file).resolve() if file else path
        if not document.exists() or (anchor and anchor not in anchors(document)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_document_has_one_title(path) -> None:
    headings = HEADING.findall(prose(path))
    assert [level for level, _ in headings].count("#") == 1
    assert headings[0][0] == "#"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_prose_is_wrapped(path) -> None:
    long = [
        line
        for line in prose(path).splitlines()
        if len(line) > LINE_CHARACTERS_MAX and not line.startswith(("|", "http"))
    ]
    assert long == []


def test_every_document_is_linked() -> None:
    """Whoever starts at the README reaches everything."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in seen:
            continue
        seen.add(document)
        for target in LINK.findall(prose(document)):
            path = (document.parent / target.partition("#")[0]).resolve()
            if path.is_dir():
                path /= "README.md"
            if path.suffix == ".md" and path.exists():
                waiting.append(path)
    assert [name_of(path) for path in DOCUMENTS if path not in seen] == []
