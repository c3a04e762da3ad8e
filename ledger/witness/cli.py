"""`sixfold witness`: run a witness for other people's logs."""

import json
import socket
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvicorn

from ledger.clock import system_now_ms
from ledger.console import (
    ExitCode,
    exit_with_error,
    print_json,
    print_line,
    print_table,
)
from ledger.encoding import encode_base64
from ledger.errors import KeyFileError, LedgerError, NoteError, PolicyError
from ledger.log.evidence import list_evidence
from ledger.log.note import Verifier
from ledger.log.witness_policy import POLICY_BYTES_MAX, WitnessPolicy
from ledger.regular_file import read_regular_file
from ledger.witness.errors import WitnessConfigError
from ledger.witness.folder import WitnessFolder, open_witness
from ledger.witness.site import Tell, create_site
from ledger.witness.witness import Witness, group_by_origin

CONNECTIONS_MAX = 256
"""At once; the rest is told to come back. A log opens one."""

HEAD_BYTES_MAX = 16_384
"""Of a request's first line and headers; a log's has some hundred."""

CONNECTIONS_WAITING_MAX = 128
"""Connections that the kernel keeps waiting."""

STOP_S = 2
"""Requests under way are cut off after this when the witness is stopped."""

FOLDER = Path("sixfold-witness")

app = typer.Typer(help="Run a witness for logs.", no_args_is_help=True)

_Folder = Annotated[Path, typer.Option(file_okay=False, help="Keys and memory.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Answer for machines.")]


@app.command()
def serve(
    folder: _Folder = FOLDER,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")
    ] = 8610,
    name: Annotated[
        str | None, typer.Option(help="Of a new witness, such as example.com/witness.")
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(metavar="VKEY", help="A log's verifier key; repeat it."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Logs of a policy file."),
    ] = None,
    *,
    as_json: _AsJson = False,
) -> None:
    """Cosign checkpoints of the given logs until stopped, never two that contradict."""
    try:
        logs = group_by_origin([*_parse_keys(log or []), *_read_logs(policy)])
        opened = open_witness(folder, name=name)
    except LedgerError as error:
        _fail(error, as_json=as_json)
    with closing(opened.store), _listen(host, port) as listener:
        shown_host = f"[{host}]" if ":" in host else host
        url = f"http://{shown_host}:{listener.getsockname()[1]}"
        _announce(url, opened, sorted(logs), as_json=as_json)
        witness = Witness(
            opened.store,
            opened.keys.cosigners,
            logs,
            evidence=opened.evidence,
            now_s=lambda: system_now_ms() // 1000,
        )
        _serve(witness, listener, tell=_teller(as_json=as_json))


@app.command()
def show(folder: _Folder = FOLDER, *, as_json: _AsJson = False) -> None:
    """Show a witness's keys, what it cosigned last of each log, and forks it met."""
    try:
        opened = open_witness(folder, name=None)
        with closing(opened.store):
            heads = opened.store.heads()
        forks = [str(path) for path in list_evidence(opened.evidence)]
    except LedgerError as error:
        _fail(error, as_json=as_json)
    if as_json:
        print_json(
            {
                "name": opened.keys.name,
                "vkeys": list(opened.keys.vkeys),
                "logs": [
                    {
                        "origin": head.checkpoint.origin,
                        "size": head.checkpoint.size,
                        "root": encode_base64(head.checkpoint.root),
                        "cosignedAtS": head.cosigned_at_s,
                    }
                    for head in heads
                ],
                "evidence": list(forks),
            }
        )
        return
    _introduce(opened)
    rows = [
        (head.checkpoint.origin, head.checkpoint.size, _time(head.cosigned_at_s))
        for head in heads
    ]
    print_table(("log", "entries", "cosigned at"), rows)
    for path in forks:
        print_line(f"FORK: evidence in {path}", style="bold red")


def _serve(witness: Witness, listener: socket.socket, *, tell: Tell) -> None:
    config = uvicorn.Config(
        create_site(witness, tell=tell),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_graceful_shutdown=STOP_S,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _parse_keys(vkeys: Sequence[str]) -> list[Verifier]:
    try:
        return [Verifier.parse(vkey) for vkey in vkeys]
    except NoteError as error:
        raise WitnessConfigError(f"--log takes a verifier key. {error}") from error


def _read_logs(policy: Path | None) -> list[Verifier]:
    """The keys of all logs in a policy; its witnesses do not matter to a witness."""
    if policy is None:
        return []
    try:
        data = read_regular_file(policy, bytes_max=POLICY_BYTES_MAX + 1)
    except OSError as error:
        raise PolicyError(f"{policy} cannot be read: {error.strerror}.") from error
    logs = WitnessPolicy.parse(data).logs.values()
    return [verifier for keys in logs for verifier in keys.verifiers]


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


def _announce(
    url: str, opened: WitnessFolder, origins: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        ready = {
            "event": "ready",
            "url": url,
            "name": opened.keys.name,
            "vkeys": list(opened.keys.vkeys),
            "logs": list(origins),
        }
        typer.echo(json.dumps(ready))
        return
    _introduce(opened, f" at {url}")
    for origin in origins:
        print_line(f"cosigns {origin}")


def _introduce(opened: WitnessFolder, place: str = "") -> None:
    print_line(f"Witness {opened.keys.name}{place}", style="bold")
    print_line(opened.keys.vkeys[0])
    print_line(f"Its ML-DSA-44 key, which is long, is in {opened.vkeys}")


def _teller(*, as_json: bool) -> Tell:
    lock = threading.Lock()

    def tell(status: int, account: str) -> None:
        time = _time(system_now_ms() // 1000)
        with lock:
            if as_json:
                said = {"event": "decision", "status": status, "account": account}
                typer.echo(json.dumps({"time": time, **said}))
            else:
                print_line(f"{time} {status} {account}")

    return tell


def _time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fail(error: LedgerError, *, as_json: bool) -> NoReturn:
    is_misuse = isinstance(error, WitnessConfigError | KeyFileError | PolicyError)
    exit_with_error(
        str(error),
        next_step="Run the command with --help to see what it takes.",
        error_code=error.code,
        exit_code=ExitCode.MISUSE if is_misuse else ExitCode.FAILED,
        as_json=as_json,
    )
