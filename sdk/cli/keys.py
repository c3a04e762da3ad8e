"""`sixfold keys`: make and show keys. A key is an account; whoever reads it can pay."""

from pathlib import Path
from typing import Annotated

import typer

from ledger.console import print_json, print_table
from ledger.key_files import create_key, load_key
from ledger.signing import PublicKey
from sdk.cli.consumer import JsonOption

app = typer.Typer(help="Make and show keys.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False)]


@app.command()
def new(file: _File, *, as_json: JsonOption = False) -> None:
    """Make a new key in FILE, which must not exist yet."""
    _show(create_key(file).public, file, as_json=as_json)


@app.command()
def show(file: _File, *, as_json: JsonOption = False) -> None:
    """Show the public side of the key in FILE."""
    _show(load_key(file).public, file, as_json=as_json)


def _show(key: PublicKey, file: Path, *, as_json: bool) -> None:
    facts = {
        "file": str(file),
        "account": key.account_id,
        "node": key.node_id,
        "publicKey": key.text,
    }
    if as_json:
        print_json(dict(facts))
    else:
        print_table(("key", str(file)), list(facts.items())[1:])
