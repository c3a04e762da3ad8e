"""`sixfold market`: run a market."""

import gc
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from enclave_sim.sandbox.cache import default_cache
from enclave_sim.sandbox.runner import build_runner, load_runner_artefact
from ledger.console import (
    ExitCode,
    exit_with_error,
    print_json,
    print_line,
    print_notice,
)
from ledger.document import describe_validation
from ledger.errors import KeyFileError, LedgerError, LockedError, LogError
from ledger.log.export import export_log
from ledger.log.log import Log
from market.app import Runner, create_app
from market.clock import SystemClock
from market.database import Database
from market.errors import DatabaseError, InvalidError, MarketError, SchemaError
from market.log_site.key_folder import LOG_FOLDER, FolderSigners, KeyFolder
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
    database_url: Annotated[
        str | None, typer.Option(help="A PostgreSQL database instead of a file.")
    ] = None,
    witness_policy: Annotated[
        Path | None, typer.Option(help="Who cosigns the log, and how many must.")
    ] = None,
    *,
    require_quorum: Annotated[
        bool, typer.Option("--require-quorum", help="No receipts below the quorum.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say where it listens as one JSON line.")
    ] = False,
) -> None:
    """Serve a market until stopped.

    Money is development credit, and the enclaves of its nodes are simulated.
    """
    settings = _read_settings(
        folder=folder,
        host=host,
        port=port,
        lease_ms=lease_ms,
        database_url=database_url,
        witness_policy=witness_policy,
        require_quorum=require_quorum or None,
    )
    _serve(settings, as_json=as_json)


@app.command()
def migrate(
    folder: Annotated[
        Path | None, typer.Option(help="Database, keys, blobs and log.")
    ] = None,
    database_url: Annotated[
        str | None, typer.Option(help="A PostgreSQL database instead of a file.")
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Answer as one JSON document.")
    ] = False,
) -> None:
    """Move the tables of a market that does not run to this program's version."""
    settings = _read_settings(folder=folder, database_url=database_url)
    with _opened(settings, as_json=as_json) as database:
        moved = database.migrate()
    if as_json:
        print_json({"from": moved.old, "to": moved.new})
    elif moved.old == moved.new:
        print_line(f"The tables have version {moved.new} already.")
    else:
        print_line(f"Moved the tables from {moved.old or 'none'} to {moved.new}.")


@app.command("rotate-log-key")
def rotate_log_key(
    folder: Annotated[
        Path | None, typer.Option(help="Database, keys, blobs and log.")
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Answer as one JSON document.")
    ] = False,
) -> None:
    """Make new keys for the log; a market takes them up at once, or when it starts."""
    settings = _read_settings(folder=folder)
    clock = SystemClock()
    keys = KeyFolder(settings.folder, settings.origin, lambda: clock.now_ms() // 1000)
    try:
        generation = keys.create_next()
        vkeys = keys.keys(generation).vkeys
    except KeyFileError as error:
        exit_with_error(
            str(error),
            next_step="Name the market's folder with --folder, and start the market.",
            error_code=error.code,
            exit_code=ExitCode.FAILED,
            as_json=as_json,
        )
    if as_json:
        print_json({"generation": generation, "logKeys": list(vkeys)})
        return
    for vkey in vkeys:
        print_line(vkey)
    print_notice(
        f"These are keys {generation} of {settings.origin}. The market records the "
        "change in its log; the keys before go on signing for the time that is set."
    )


@app.command("export-log")
def write_log_export(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="The folder to serve; the log goes below `log`."
        ),
    ],
    folder: Annotated[
        Path | None, typer.Option(help="Database, keys, blobs and log.")
    ] = None,
    database_url: Annotated[
        str | None, typer.Option(help="A PostgreSQL database instead of a file.")
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Answer as one JSON document.")
    ] = False,
) -> None:
    """Write the log, or what is new of it, for any static host or object store.

    Works beside a running market and without one, and from the database alone.
    """
    settings = _read_settings(folder=folder, database_url=database_url)
    with _opened(settings, as_json=as_json) as database:
        try:
            log = _open_log(settings)
            with database.reading() as session:
                export = export_log(log, session, target / LOG_FOLDER)
        except (LedgerError, OSError) as error:
            exit_with_error(
                str(error),
                next_step="What was exported before is as it was.",
                error_code=error.code if isinstance(error, LedgerError) else "OS",
                exit_code=ExitCode.FAILED,
                as_json=as_json,
            )
    size = export.checkpoint.size
    if as_json:
        print_json({"size": size, "filesWritten": export.files})
        return
    print_line(f"{target / LOG_FOLDER} has {size} entries; {export.files} files new.")


def _serve(settings: Settings, *, as_json: bool) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    with _opened(settings, as_json=as_json) as database:
        database.prepare()
    listener = _listen(settings.host, settings.port)
    bound_host, bound_port = listener.getsockname()[:2]
    url = settings.public_url or f"http://{bound_host}:{bound_port}"
    try:
        application = create_app(
            settings,
            runner=_prepare_runner(settings),
            public_url=url,
            clock=SystemClock(),
        )
    except InvalidError as error:
        raise typer.BadParameter(error.message) from error
    # What is loaded by now stays; most of what requests make is gone with them.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    _run(
        application,
        listener,
        started=lambda: _announce(url, settings, bound_port, as_json=as_json),
        as_json=as_json,
    )


def _read_settings(**given: object) -> Settings:
    """The settings of the environment, and before them what the command was given."""
    try:
        return Settings.from_environment(
            os.environ,
            **{name: value for name, value in given.items() if value is not None},
        )
    except ValidationError as error:
        raise typer.BadParameter(describe_validation(error)) from error


@contextmanager
def _opened(settings: Settings, *, as_json: bool) -> Iterator[Database]:
    """The market's database; what is wrong with it ends the command."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_address)
    try:
        yield database
    except SchemaError as error:
        _exit(error, "Read docs/guides/operate.md on versions.", as_json=as_json)
    except DatabaseError as error:
        _exit(error, "See whether the database server runs.", as_json=as_json)
    finally:
        database.close()


def _open_log(settings: Settings) -> Log:
    """The log of a market that was served from this folder before.

    Raises:
        KeyFileError: There are no keys, or they cannot be used.
        LogError: There is no database.
    """
    clock = SystemClock()
    keys = KeyFolder(settings.folder, settings.origin, lambda: clock.now_ms() // 1000)
    if keys.newest() == 0:
        raise KeyFileError(f"There are no keys of a log in {settings.folder}.")
    address = settings.database_address
    if isinstance(address, Path) and not address.exists():
        raise LogError(f"There is no database at {address}.")
    return Log(settings.folder / LOG_FOLDER, FolderSigners(keys))


def _exit(error: MarketError, next_step: str, *, as_json: bool) -> NoReturn:
    exit_with_error(
        error.message,
        next_step=next_step,
        error_code=error.code,
        exit_code=ExitCode.FAILED,
        as_json=as_json,
    )


def _create_app(settings: Settings, url: str) -> FastAPI:
    runner = _prepare_runner(settings)
    try:
        return create_app(settings, runner=runner, public_url=url, clock=SystemClock())
    except InvalidError as error:
        raise typer.BadParameter(error.message) from error


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
    # Whole or not at all: another process may be serving it.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(load_runner_artefact(cache, digest))
    unfinished.replace(path)
    return Runner(sha384=digest.hex(), path=str(path))


class _Server(uvicorn.Server):
    """Says that it listens once it does, which is after the market has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen."""
        await super().startup(sockets=sockets)
        if self.started:
            self._say_started()


def _run(
    application: FastAPI,
    listener: socket.socket,
    *,
    started: Callable[[], None],
    as_json: bool,
) -> None:
    """Serve until stopped. A market that cannot start says why, and how to go on."""
    config = uvicorn.Config(
        application,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=STOP_S,
    )
    expected = (LedgerError, MarketError)
    # Its trace would hide what is said below.
    logging.getLogger("uvicorn.error").addFilter(
        lambda _: not isinstance(application.state.failure, expected)
    )
    try:
        _Server(config, started).run(sockets=[listener])
    except SystemExit:
        failure = application.state.failure
        if not isinstance(failure, expected):
            raise
        exit_with_error(
            str(failure),
            next_step="Stop that process first, or serve another folder."
            if isinstance(failure, LockedError)
            else "Read docs/guides/operate.md before you try again.",
            error_code=failure.code,
            exit_code=ExitCode.FAILED,
            as_json=as_json,
        )


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
