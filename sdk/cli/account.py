"""`sixfold account`: money in, money held, money spent, and what proves it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ledger.console import (
    ExitCode,
    exit_with_error,
    print_json,
    print_line,
    print_table,
)
from ledger.encoding import canonical_json
from sdk.cli.consumer import JsonOption, KeyOption, MarketOption, open_market
from sdk.credits import format_credits
from sdk.errors import InputError
from sdk.market import Fields

app = typer.Typer(help="Top up, see the balance and the invoice.", no_args_is_help=True)


@app.command()
def topup(
    amount: Annotated[str, typer.Argument(metavar="CREDITS", help="Such as 25.")],
    market: MarketOption = None,
    key: KeyOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Add development credit. It stands for money; none moves."""
    with open_market(market, key) as opened:
        _show_balance(opened.top_up(amount), as_json=as_json)


@app.command()
def balance(
    market: MarketOption = None, key: KeyOption = None, *, as_json: JsonOption = False
) -> None:
    """Show what the account has, what is held for jobs, and what is free."""
    with open_market(market, key) as opened:
        _show_balance(opened.balance(), as_json=as_json)


@app.command()
def invoice(
    market: MarketOption = None, key: KeyOption = None, *, as_json: JsonOption = False
) -> None:
    """Show all charges, by what was used and by who was paid."""
    with open_market(market, key) as opened:
        document = opened.invoice()
    if as_json:
        print_json(document)
        return
    print_table(
        ("job", "outcome", "node", "credits"),
        [
            (
                line["jobId"],
                line["outcome"],
                line["node"],
                format_credits(line["totalMicrocredits"]),
            )
            for line in document["lines"]
        ],
        title=f"Invoice of {document['accountId']}",
    )
    print_table(("used", "credits"), _amounts(document["byGroup"]))
    print_table(("paid to", "credits"), _amounts(document["byPayee"]))
    total = format_credits(document["totalMicrocredits"])
    print_line(f"{document['jobs']} jobs, {total} credits")


@app.command()
def disclosures(
    output: Annotated[
        Path, typer.Option("--output", "-o", dir_okay=False, help="The openings file.")
    ],
    market: MarketOption = None,
    key: KeyOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Save what opens the private fields of the account's statements, for an audit.

    Whoever has the file sees what was used and paid. One JSON document a line.
    """
    count = 0
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file, open_market(market, key) as opened:
            for item in opened.disclosures():
                line = {"digest": item["digest"], "openings": item["openings"]}
                file.write(canonical_json(line) + b"\n")
                count += 1
    except OSError as error:
        exit_with_error(
            f"{output} cannot be written: {error.strerror}.",
            next_step="Choose another file, or make room.",
            error_code=InputError.code,
            exit_code=ExitCode.MISUSE,
            as_json=as_json,
        )
    if as_json:
        print_json({"file": str(output), "statements": count})
    else:
        print_line(f"Openings of {count} statements in {output}; keep them secret.")


def _show_balance(document: Fields, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    rows = [
        (name, format_credits(document[f"{name}Microcredits"]))
        for name in ("posted", "held", "free")
    ]
    print_table((str(document["accountId"]), "credits"), rows)


def _amounts(amounts: dict[str, int]) -> list[tuple[str, str]]:
    return [(name, format_credits(amount)) for name, amount in amounts.items()]
