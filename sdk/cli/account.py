"""`sixfold account`: money in, money held, money spent, and what proves it."""

from typing import Annotated

import typer

from ledger.console import print_json, print_line, print_table
from sdk.cli.consumer import JsonOption, KeyOption, MarketOption, open_market
from sdk.cli.disclosing import (
    AllOption,
    JobsOption,
    OutputOption,
    RecordsOption,
    TotalOption,
    write_disclosure,
)
from sdk.credits import format_credits
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
def disclose(
    output: OutputOption,
    *,
    job: JobsOption = None,
    record: RecordsOption = None,
    total: TotalOption = False,
    everything: AllOption = False,
    market: MarketOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show somebody any one record, what was paid in all, or everything.

    The file is for `sixfold audit log --disclosure`, which checks it against the
    public log. A total opens no charge, but names them all.
    """
    with open_market(market, key) as opened:
        write_disclosure(
            opened,
            output,
            jobs=job,
            records=record,
            total="paid" if total else None,
            everything=everything,
            as_json=as_json,
        )


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
