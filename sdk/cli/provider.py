"""`sixfold provider`: sell compute from this machine."""

import json
import re
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from ledger.console import print_json, print_line, print_notice, print_table
from ledger.encoding import Json
from ledger.limits import PRICE_MICROCREDITS_MAX
from ledger.statements.kinds import OfferStatement
from sdk.cli.consumer import JsonOption, MarketOption
from sdk.cli.disclosing import (
    AllOption,
    JobsOption,
    OutputOption,
    RecordsOption,
    TotalOption,
    write_disclosure,
)
from sdk.credits import format_credits
from sdk.market import Market
from sdk.profile import Profile
from sdk.provider.agent import Agent
from sdk.provider.clock import system_now_ms
from sdk.provider.events import Event
from sdk.provider.join import PROVIDER_KEY, NodePlan, join_market
from sdk.provider.probe import Step
from sdk.provider.tiers import TIERS, find_tier

app = typer.Typer(help="Sell compute from this machine.", no_args_is_help=True)

PROTECTIONS = ("sandbox", "enclave", "homomorphic")
CLASSES = ("public", "internal", "confidential", "restricted")
FOLDER = Path("sixfold-node")

FolderOption = Annotated[
    Path, typer.Option(help="Keys and measurements of the node; made if missing.")
]
ProtectionOption = Annotated[
    list[str] | None, typer.Option(help="Repeat it; all three by default.")
]
ClassOption = Annotated[
    list[str] | None, typer.Option(help="Sensitivity classes to take; all.")
]
CategoryOption = Annotated[
    list[str] | None, typer.Option(help="Data categories not to take.")
]
PriceOption = Annotated[
    list[str] | None,
    typer.Option(help="GROUP=MICROCREDITS instead of the suggested price."),
]


OwnerKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", help="Of an owner of workloads, not the provider's."
    ),
]


@app.callback()
def main() -> None:
    """Sell compute from this machine."""


@app.command()
def up(  # noqa: PLR0913, PLR0917 - one for each option
    market: MarketOption = None,
    folder: FolderOption = FOLDER,
    name: Annotated[
        str | None, typer.Option(help="For people, and public; the tier's by default.")
    ] = None,
    tier: Annotated[
        str, typer.Option(help=f"One of {', '.join(TIERS)}.")
    ] = "edge_site",
    jurisdiction: Annotated[
        str, typer.Option(help="Country whose law applies, such as fr.")
    ] = "unknown",
    domain: Annotated[str, typer.Option(help="Who owns the machine.")] = "private",
    protection: ProtectionOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Jobs at once; by tier.")
    ] = None,
    memory_mebibytes: Annotated[
        int | None, typer.Option(min=64, help="Lent to each job; by tier.")
    ] = None,
    accept_class: ClassOption = None,
    refuse_category: CategoryOption = None,
    price: PriceOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Make keys, measure this node, publish its offer, and take jobs until stopped."""
    profile = Profile.current()
    plan = NodePlan(
        name=name or tier.replace("_", "-"),
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
    stopping = Flag()
    with _progress() as step:
        joined = join_market(
            market or profile.market_url,
            folder,
            plan,
            cache=profile.cache,
            now_ms=system_now_ms,
            pause=lambda wait_s: _wait(stopping, wait_s),
            step=step,
        )
    with closing(joined):
        narrator = _Narrator(joined.offer, as_json=as_json)
        agent = Agent(
            joined, stopping=stopping, now_ms=system_now_ms, tell=narrator.tell
        )
        _stop_on_signal(stopping)
        agent.run()


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


@app.command()
def disclose(  # noqa: PLR0913 - one parameter for each option
    output: OutputOption,
    *,
    job: JobsOption = None,
    record: RecordsOption = None,
    total: TotalOption = False,
    everything: AllOption = False,
    market: MarketOption = None,
    folder: FolderOption = FOLDER,
    key: OwnerKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show somebody any one record, what was earned in all, or everything.

    For providers, and with --key for owners of workloads. The file is for
    `sixfold audit log --disclosure`. A total opens no charge, but names them all.
    """
    with _open_market(market, folder, key) as session:
        write_disclosure(
            session,
            output,
            jobs=job,
            records=record,
            total="earned" if total else None,
            everything=everything,
            as_json=as_json,
        )


class _Narrator:
    """Tells a person, or a machine line by line, what the node does."""

    def __init__(self, offer: OfferStatement, *, as_json: bool) -> None:
        self._offer = offer
        self._as_json = as_json
        self._lock = Lock()
        self._notices: dict[str, Callable[[dict[str, Json]], str]] = {
            "given_up": lambda fields: f"{fields['jobId']}  given up: {fields['code']}",
            "fault": lambda fields: f"{fields['jobId']}  fault: {fields['code']}",
            "lost": lambda fields: f"{fields['jobId']}  lost: placed again elsewhere",
            "refused": lambda fields: f"The market refused: {fields['code']}",
            "market_away": lambda _: "The market cannot be reached. Trying on ...",
            "market_back": lambda _: "The market is back.",
            "stopping": lambda fields: f"Stopping; {fields['jobs']} jobs under way.",
        }

    def tell(self, event: Event) -> None:
        """Show one event; for any thread."""
        with self._lock:
            if self._as_json:
                typer.echo(json.dumps(event.to_json()))
            elif event.name == "ready":
                self._introduce()
            elif event.name == "job":
                typer.echo(self._describe(event.fields))
            else:
                print_notice(self._notices[event.name](event.fields))

    def _introduce(self) -> None:
        offer = self._offer
        print_line(f"{offer.name} takes jobs as {offer.node}.", style="bold")
        prices = ", ".join(
            f"{group} {price}" for group, price in sorted(offer.prices.items())
        )
        print_line(f"Prices in micro-credits for a unit: {prices}.")
        if offer.assurance == "simulated":
            print_line("Its enclave is simulated: it hides nothing from this machine.")

    def _describe(self, fields: dict[str, Json]) -> str:
        quantities = fields["quantities"]
        assert isinstance(quantities, dict)
        due = sum(
            price * count
            for group, price in self._offer.prices.items()
            if isinstance(count := quantities[group], int)
        )
        reason = f" ({fields['code']})" if fields["code"] else ""
        return (
            f"{fields['jobId']}  {fields['protection']}  {fields['outcome']}{reason}  "
            f"{fields['elapsedMs']:,} ms  {due:,} micro-credits due"
        )


@contextmanager
def _progress() -> Iterator[Step]:
    """Show a bar on standard error while the node is prepared, if a person watches."""
    console = Console(stderr=True)
    with Progress(
        console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("joining the market", total=1.0)
        yield lambda text, part: bar.update(task, description=text, completed=part)


def _wait(stopping: Flag, wait_s: float) -> None:
    stopping.wait(wait_s)


def _stop_on_signal(stopping: Flag) -> None:
    """Stop gracefully at the first signal, and at once at the second."""
    signals = (signal.SIGTERM, signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)
        stopping.set()

    for number in signals:
        signal.signal(number, stop)


def _open_market(url: str | None, folder: Path, key: Path | None = None) -> Market:
    profile = Profile.current()
    return Market.open(url or profile.market_url, key=key or folder / PROVIDER_KEY)


def _one_of(value: str, allowed: Collection[str], option: str) -> str:
    if value not in allowed:
        raise typer.BadParameter(f"One of {', '.join(allowed)}.", param_hint=option)
    return value


def _all_of(
    values: list[str] | None, allowed: Collection[str], option: str
) -> tuple[str, ...]:
    return tuple(_one_of(value, allowed, option) for value in values or allowed)


def _parse_prices(texts: list[str]) -> dict[str, int]:
    prices = {}
    priced = find_tier("device").prices()
    for text in texts:
        group, _, amount = text.partition("=")
        is_price = re.fullmatch("[0-9]{1,10}", amount) is not None
        if (
            group not in set(priced)
            or not is_price
            or (int(amount) > PRICE_MICROCREDITS_MAX)
        ):
            raise typer.BadParameter(
                f"{text} is no price; write fuel=4, in whole micro-credits.",
                param_hint="--price",
            )
        prices[group] = int(amount)
    return prices
