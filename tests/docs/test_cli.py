"""Every command and option stands in the reference, and nothing else does."""

import re

import pytest
from command_line import load_commands, options_of
from document_tables import REFERENCE, read_section

HEADING = re.compile(r"^## `sixfold ([a-z -]+)`$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


@pytest.fixture(scope="module")
def commands():
    return load_commands()


def test_all_commands_are_listed(commands) -> None:
    listed = HEADING.findall((REFERENCE / "cli.md").read_text())
    assert sorted(listed) == sorted(commands)


def test_all_options_are_listed(commands) -> None:
    for name, command in commands.items():
        section = read_section("cli.md", f"`sixfold {name}`")
        assert set(OPTION.findall(section)) == options_of(command), name


def test_all_arguments_are_listed(commands) -> None:
    for name, command in commands.items():
        section = read_section("cli.md", f"`sixfold {name}`")
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                word = parameter.metavar or parameter.name.upper()
                assert word.strip("[]") in section, name
