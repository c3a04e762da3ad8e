"""Tells the story: to a person as it happens, to a machine as one JSON document."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from ledger.encoding import Json


class Narrator:
    """Prints scenes for a person, or keeps their facts for `--json`."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(quiet=as_json, highlight=False)
        self._scenes: list[Json] = []
        self._facts: dict[str, Json] = {}

    def scene(self, title: str) -> None:
        """Begin a scene; what follows belongs to it."""
        self._facts = {"title": title}
        self._scenes.append(self._facts)
        self._console.print(f"\n[bold]{len(self._scenes)}. {title}[/bold]")

    def say(self, text: str) -> None:
        """One line for a person."""
        self._console.print(f"   {text}")

    def fact(self, name: str, value: Json, text: str | None = None) -> None:
        """Something measured: for machines by name, for a person as text."""
        self._facts[name] = value
        if text is not None:
            self.say(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table for a person; machines get the facts it was made from."""
        table = Table(*columns, box=None, padding=(0, 2, 0, 0))
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self._console.print(table, new_line_start=True)

    def last_line(self, text: str) -> None:
        """The verdict, as a line of its own."""
        self._console.print(f"\n{text}")

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner while something takes time."""
        with self._console.status(text):
            yield

    def finish(self) -> None:
        """Print the story for machines, if that was asked for."""
        if self._as_json:
            print(json.dumps({"scenes": self._scenes}, indent=2))  # noqa: T201 - the command's output
