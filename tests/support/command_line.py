"""The commands of `sixfold`, loaded from the entry points that are declared."""

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).parents[2]


def load_commands() -> dict[str, Any]:
    """Every command that can be typed, by its words after `sixfold`."""
    return dict(_commands())


def _commands() -> Iterator[tuple[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, place in project["entry-points"]["sixfold.commands"].items():
        module, _, attribute = place.partition(":")
        app = getattr(importlib.import_module(module), attribute)
        group = typer.main.get_group(app)
        if group.invoke_without_command:
            yield name, group
        for child, command in group.commands.items():
            yield f"{name} {child}", command


def options_of(command: Any) -> set[str]:
    """All long options that a command takes, `--help` apart."""
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and option != "--help"
    }
