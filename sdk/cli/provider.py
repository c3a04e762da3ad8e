"""`sixfold provider`: sell compute from this machine."""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.charging.tariff import RatingGroup
from ledger.console import print_json, print_line, print_notice, print_table
from ledger.limits import PRICE_MICROCREDITS_MAX
from sdk.cli.consumer import JsonOption, MarketOption
from sdk.credits import format_credits
from sdk.market import Market
from sdk.profile import Profile
from sdk.provider.agent import Agent
from sdk.provider.join import (
    PROVIDER_KEY,
    JoinedNode,
    NodePlan,
    join_market,
    system_now_ms,
)
from sdk.provider.tiers import TIERS

app = typer.Typer(help="Sell compute from this machine.", no_args_is_help=True)

PROTECTIONS = ("sandbox", "enclave", "homomorphic")
CLASSES = ("public", "internal", "confidential", "restricted")
FOLDER = Path("sixfold-node")

FolderOption = Annotated[
    Path, typer.Option(help="Keys and measurements of the node; made if missing.")
]


@app.callback()
def main() -> None:
    """Sell compute from this machine."""


@app.command()
def up(  # noqa: PLR0913, PLR0917 - one for each option
    market: MarketOption = None,
    folder: FolderOption = FOLDER,
    name: Annotated[str, typer.Option(help="For people.")] = socket.gethostname()[:64],
    tier: Annotated[
        str, typer.Option(help=f"One of {', '.join(TIERS)}.")
    ] = "edge_site",
    jurisdiction: Annotated[
        str, typer.Option(help="Country whose law applies, such as fr.")
    ] = "unknown",
    domain: Annotated[str, typer.Option(help="Who owns the machine.")] = "private",
    protection: Annotated[
        list[str] | None, typer.Option(help="Repeat it; all three by default.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Jobs at once.")] = 1,
    memory_mebibytes: Annotated[
        int | None, typer.Option(min=64, help="Lent to each job; by default measured.")
    ] = None,
    accept_class: Annotated[
        list[str] | None, typer.Option(help="Sensitivity classes to take; all.")
    ] = None,
    refuse_category: Annotated[
        list[str] | None, typer.Option(help="Data categories not to take.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(help="GROUP=MICROCREDITS instead of the suggested price."),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Make keys, measure this node, publish its offer, and take jobs until stopped."""
    profile = Profile.current()
    plan = NodePlan(
        name=name,
        tier=_one_of(tier, TIERS, "--tier"),
        jurisdiction=jurisdiction,
        ownership_domain=domain,
        protections=_all_of(protection, PROTECTIONS, "--protection"),
        workers=workers,
        memory_bytes=memory_mebibytes and memory_mebibytes * 2**20,
        prices=_parse_prices(price or []),
        sensitivity_classes=_all_of(accept_class, CLASSES, "--accept-class"),
        categories_refused=tuple(refuse_category or ()),
    )
    narrate = _Narrator(as_json=as_json)
    joined = join_market(
        market or profile.market_url,
        folder,
        plan,
        cache=profile.cache,
        now_ms=system_now_ms,
        step=narrate.step,
    )
    agent = Agent(joined, now_ms=system_now_ms, tell=narrate.event)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    agent.start()
    narrate.ready(joined)
    stopping.wait()
    narrate.step("stopping")
    agent.stop()
    # Threads that wait for the market would hold the process for seconds.
    sys.stdout.flush()
    os._exit(0)


@app.command()
def offers(
    market: MarketOption = None,
    folder: FolderOption = FOLDER,
    *,
    as_json: JsonOption = False,
) -> None:
    """List this provider's live offers."""
    with _open_market(market, folder) as session:
        mine = [
            offer
            for offer in session.offers()
            if offer["provider"] == session.account_id
        ]
    if as_json:
        print_json({"offers": list(mine)})
        return
    print_table(
        ("offer", "node", "tier", "protections", "jobs", "silent s"),
        [
            (
                offer["offerId"],
                offer["name"],
                offer["tier"],
                ", ".join(offer["protections"]),
                offer["jobs"],
                offer["silentMs"] // 1000,
            )
            for offer in mine
        ],
    )


@app.command()
def earnings(
    market: MarketOption = None,
    folder: FolderOption = FOLDER,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what this provider has earned, by node, and what is in its wallet."""
    with _open_market(market, folder) as session:
        earned, balance = session.earnings(), session.balance()
    if as_json:
        print_json({**earned, "freeMicrocredits": balance["freeMicrocredits"]})
        return
    print_table(
        ("node", "jobs", "credits"),
        [
            (node, row["jobs"], format_credits(row["earnedMicrocredits"]))
            for node, row in earned["byNode"].items()
        ],
    )
    print_line(f"In the wallet: {format_credits(balance['freeMicrocredits'])} credits.")


class _Narrator:
    """Tells a person, or a machine line by line, what the node does."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._lock = threading.Lock()

    def step(self, text: str) -> None:
        if not self._as_json:
            print_notice(f"{text} ...")

    def ready(self, joined: JoinedNode) -> None:
        offer = joined.offer
        if self._as_json:
            self._line(
                {"event": "ready", "offerId": offer.offer_id, "node": offer.node}
            )
            return
        print_line(f"{offer.name} takes jobs as {offer.node}.", style="bold")
        if offer.assurance == "simulated":
            print_line("Its enclave is simulated: it hides nothing from this machine.")

    def event(self, event: dict[str, Any]) -> None:
        if self._as_json:
            self._line(event)
        elif event["event"] == "warning":
            print_notice(event["message"])
        elif event["event"] == "job":
            print_line(
                f"{event['jobId']}  {event['protection']}  {event['outcome']}  "
                f"{event['fuel']:,} fuel"
            )
        else:
            reason = event.get("message") or event.get("code")
            print_notice(f"{event['jobId']}  {event['event']}: {reason}")

    def _line(self, event: dict[str, Any]) -> None:
        with self._lock:
            print(json.dumps(event), flush=True)  # noqa: T201 - the command's output


def _open_market(url: str | None, folder: Path) -> Market:
    profile = Profile.current()
    return Market.open(url or profile.market_url, key=folder / PROVIDER_KEY)


def _one_of(value: str, allowed: Collection[str], option: str) -> str:
    if value not in allowed:
        raise typer.BadParameter(f"One of {', '.join(allowed)}.", param_hint=option)
    return value


def _all_of(
    values: list[str] | None, allowed: Collection[str], option: str
) -> tuple[str, ...]:
    return tuple(_one_of(value, allowed, option) for value in values or allowed)


def _parse_prices(texts: list[str]) -> dict[RatingGroup, int]:
    prices = {}
    for text in texts:
        group, _, amount = text.partition("=")
        known = group in set(RatingGroup) - {RatingGroup.ROYALTY}
        if not known or not amount.isdecimal() or int(amount) > PRICE_MICROCREDITS_MAX:
            raise typer.BadParameter(
                f"{text} is no price; write fuel=4, in whole micro-credits.",
                param_hint="--price",
            )
        prices[RatingGroup(group)] = int(amount)
    return prices
