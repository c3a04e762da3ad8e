"""Examples in documents can be typed: commands, options, targets and Python parse."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from command_line import load_commands, options_of

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"^```\w*\n.*?^```$|^ {4}\S.*$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ *(?:\.venv/bin/)?(sixfold|make) +([^#\n]*)", re.MULTILINE)


def typed_lines(program: str) -> list[tuple[str, list[str]]]:
    """What follows a program's name in the examples of all documents."""
    return [
        (path.relative_to(ROOT).as_posix(), shlex.split(rest))
        for path in DOCUMENTS
        for example in EXAMPLE.findall(path.read_text())
        for name, rest in COMMAND.findall(example)
        if name == program
    ]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_examples_parse(path) -> None:
    for example in PYTHON.findall(path.read_text()):
        ast.parse(example)


def test_commands_in_examples_exist() -> None:
    commands = load_commands()
    lines = typed_lines("sixfold")
    assert lines
    for place, words in lines:
        name = " ".join(words[:2]) if " ".join(words[:2]) in commands else words[0]
        assert name in commands, (place, words)
        given = {word for word in words if word.startswith("--")}
        assert given <= options_of(commands[name]), (place, words)


def test_make_targets_in_examples_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    lines = typed_lines("make")
    assert lines
    for place, words in lines:
        assert words[0] in targets, (place, words)
