"""Runs `sixfold audit` in this process, as a person or a script would."""

from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from ledger.audit.cli import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
