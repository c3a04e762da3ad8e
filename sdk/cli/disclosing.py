"""What `disclose` is to consumers, providers and owners alike: options and the file."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ledger.console import print_json, print_line
from sdk.disclosure import JOB_RECORDS, JobRecord, TotalOf
from sdk.errors import InputError
from sdk.market import Market

OutputOption = Annotated[
    Path, typer.Option("--output", "-o", dir_okay=False, help="The disclosure file.")
]
JobsOption = Annotated[
    list[str] | None,
    typer.Option("--job", metavar="JOB", help="Open its records; repeat for more."),
]
RecordsOption = Annotated[
    list[JobRecord] | None,
    typer.Option(
        "--record",
        metavar="KIND",
        help="Of those jobs only: order, agreement, slice or charge; repeat for more.",
    ),
]
TotalOption = Annotated[
    bool, typer.Option("--total", help="Open the sum of all charges, and none of them.")
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Open every record of the account.")
]


def write_disclosure(
    market: Market,
    output: Path,
    *,
    jobs: list[str] | None,
    records: list[JobRecord] | None,
    total: TotalOf | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Write what was chosen to a file that only its owner can read, whole or not.

    Raises:
        InputError: Nothing was chosen, there is no such record, or the file cannot be
            written.
    """
    lines = market.disclose(
        jobs=jobs or (),
        records=records or JOB_RECORDS,
        total=total,
        everything=everything,
    )
    try:
        count = _write(output, lines)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}."
        raise InputError(message) from error
    if as_json:
        print_json({"file": str(output), "lines": count})
    else:
        print_line(f"{count} lines in {output}; whoever has it sees what they open.")


def _write(output: Path, lines: Iterator[bytes]) -> int:
    """Returns how many lines there are; on an error nothing is left behind."""
    descriptor, name = tempfile.mkstemp(dir=output.parent, prefix=output.name)
    count = 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            for line in lines:
                file.write(line)
                count += 1
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count
