"""What all commands of the project share: exit codes, tables, JSON, progress, errors.

Answers go to standard output, all else to standard error, so that `--json` can be
piped. Text is shown as it is, whoever wrote it: no markup is read in it, and control
characters are made visible instead of moving the cursor.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ledger.encoding import Json

ProgressReport = Callable[[int, int | None], None]
"""Called with how much is done, and how much there is in all if that is known."""


class ExitCode(IntEnum):
    """How every command of the project ends."""

    DONE = 0
    FAILED = 1
    """Refused, or could not be done; nothing was found to be false."""
    MISUSE = 2
    """Wrong arguments, or files that are not there."""
    VERIFICATION_FAILED = 3
    """A signature, a proof or a bill does not hold."""


def plain(text: str) -> str:
    """Make text from outside safe to show: each unprintable character as an escape."""
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii")
        for mark in text
    )


def print_line(text: str, *, style: str = "") -> None:
    """Print one line of an answer, never broken in two."""
    Console().print(Text(plain(text), style=style), soft_wrap=True)


def print_notice(text: str) -> None:
    """Print a line that is not part of the answer, such as a warning."""
    Console(stderr=True).print(Text(plain(text), style="yellow"), soft_wrap=True)


def print_json(value: Json) -> None:
    """Print a document for machines, as the only thing on standard output."""
    typer.echo(json.dumps(value, indent=2))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = ""
) -> None:
    """Print a table; a column whose cells are all numbers is aligned to the right."""
    table = Table(title=plain(title) or None, title_justify="left")
    for place, column in enumerate(columns):
        numeric = all(isinstance(row[place], int) for row in rows)
        table.add_column(plain(column), justify="right" if numeric else "left")
    for row in rows:
        cells = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        table.add_row(*(Text(plain(cell), overflow="fold") for cell in cells))
    Console().print(table)


def exit_with_error(
    message: str,
    *,
    next_step: str,
    error_code: str,
    exit_code: ExitCode,
    as_json: bool = False,
) -> NoReturn:
    """Say what went wrong and what to do next, and end the command.

    Args:
        message: A sentence about what went wrong.
        next_step: A sentence about what to do.
        error_code: The stable code of the error, such as `LEDGER.NOTE`.
        exit_code: How the command ends.
        as_json: Whether the answer is for a machine.
    """
    if as_json:
        print_json({"code": error_code, "message": message, "nextStep": next_step})
    else:
        console = Console(stderr=True)
        said = Text(f"{plain(message)} [{error_code}]", style="red")
        console.print(said, soft_wrap=True)
        console.print(Text(plain(next_step)), soft_wrap=True)
    raise typer.Exit(exit_code)


@contextmanager
def progress_reporter(description: str) -> Iterator[ProgressReport]:
    """Show a bar on standard error while something runs, if a person watches."""
    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(description, total=None)

        def report(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield report
