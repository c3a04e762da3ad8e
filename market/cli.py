"""`sixfold market`: run a market."""

import gc
import json
import logging
import os
import socket
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from enclave_sim.sandbox.cache import default_cache
from enclave_sim.sandbox.runner import build_runner, load_runner_artefact
from ledger.document import describe_validation
from market.app import Runner, create_app
from market.clock import SystemClock
from market.settings import Settings

app = typer.Typer(help="Run a market.", no_args_is_help=True)

CONNECTIONS_WAITING_MAX = 512
"""Connections that the kernel keeps waiting; agents reconnect in bursts."""
GC_THRESHOLDS = (100_000, 20, 100)
"""A batch of orders makes some ten thousand objects; with Python's defaults a tenth
of the market's time went into looking for cycles among them."""
STOP_S = 2
"""Long polls are cut off after this when the market is stopped."""


@app.callback()
def main() -> None:
    """Run a market."""


@app.command()
def serve(
    folder: Annotated[
        Path | None, typer.Option(help="Database, keys, blobs and log.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.")
    ] = None,
    lease_ms: Annotated[
        int | None, typer.Option(help="Silence after which a node loses its jobs.")
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say where it listens as one JSON line.")
    ] = False,
) -> None:
    """Serve a market until stopped.

    Money is development credit, and the enclaves of its nodes are simulated.
    """
    given = {"folder": folder, "host": host, "port": port, "lease_ms": lease_ms}
    try:
        settings = Settings.from_environment(
            os.environ,
            **{name: value for name, value in given.items() if value is not None},
        )
    except ValidationError as error:
        raise typer.BadParameter(describe_validation(error)) from error
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    listener = _listen(settings.host, settings.port)
    bound_host, bound_port = listener.getsockname()[:2]
    url = settings.public_url or f"http://{bound_host}:{bound_port}"
    application = create_app(
        settings, runner=_prepare_runner(settings), public_url=url, clock=SystemClock()
    )
    _announce(url, settings, bound_port, as_json=as_json)
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=STOP_S,
    )
    # What is loaded by now stays; most of what requests make is gone with them.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    uvicorn.Server(config).run(sockets=[listener])


def _prepare_runner(settings: Settings) -> Runner:
    cache = default_cache(os.environ)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Python runner", total=1.0)

        def show(step: str, part: float) -> None:
            bar.update(task, description=step, completed=part)

        digest = build_runner(cache, show)
    # The market publishes its own copy: the cache may be emptied at any time.
    path = settings.folder / f"runner-{digest.hex()[:16]}.wasm"
    settings.folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(load_runner_artefact(cache, digest))
    return Runner(sha384=digest.hex(), path=str(path))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms for each answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise typer.BadParameter(f"Cannot listen on {host}:{port}: {error}") from error
    listener.listen(CONNECTIONS_WAITING_MAX)
    return listener


def _announce(url: str, settings: Settings, port: int, *, as_json: bool) -> None:
    if as_json:
        ready = {"event": "ready", "url": url, "port": port}
        print(json.dumps(ready), flush=True)  # noqa: T201 - the command's output
        return
    console = Console()
    console.print(f"Market at [bold]{url}[/bold], data in {settings.folder}")
    console.print("Money is development credit; enclaves are simulated.", style="dim")
