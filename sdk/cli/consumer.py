"""What all commands of a consumer share: market, key, and how answers are shown."""

from pathlib import Path
from typing import Annotated

import typer

from ledger.console import print_notice
from sdk.market import Market
from sdk.profile import MARKET_URL, Profile

MarketOption = Annotated[
    str | None,
    typer.Option(
        "--market", metavar="URL", help=f"$SIXFOLD_MARKET, else {MARKET_URL}."
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        help="$SIXFOLD_KEY, else ~/.config/sixfold/consumer.key, made when missing.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Answer as one JSON document.")
]


def open_market(url: str | None, key: Path | None) -> Market:
    """Open the market that a command is told, or the default one.

    Only the default key is made when it is missing: a file that somebody names is
    meant to be there.
    """
    profile = Profile.current()
    path = key or profile.key_path
    is_new = key is None and profile.is_default_key and not path.exists()
    market = Market.open(url or profile.market_url, key=path, create_key=is_new)
    if is_new:
        print_notice(f"New key for account {market.account_id} in {path}.")
    return market
