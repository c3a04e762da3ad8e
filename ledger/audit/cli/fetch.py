"""`sixfold audit fetch`: copies a log."""

from pathlib import Path
from typing import Annotated

import typer

from ledger.audit.cli.options import JsonOption, KeyOption, fail, read_key
from ledger.audit.fetch import FetchResult, fetch_log
from ledger.audit.remote_log import RemoteLog
from ledger.console import (
    ExitCode,
    exit_with_error,
    print_json,
    print_line,
    print_notice,
    progress_reporter,
)
from ledger.errors import AuditError, LedgerError


def fetch(
    url: Annotated[str, typer.Argument(help="Address of the market.")],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Where it goes.")
    ],
    key: KeyOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Copy a market's log into DIR, or bring the copy there up to date."""
    verifier = read_key(key, as_json=as_json) if key else None
    try:
        remote = RemoteLog(url)
    except AuditError as error:
        fail(error, ExitCode.MISUSE, "Give an http or https URL.", as_json=as_json)
    try:
        with remote, progress_reporter("Copying") as progress:
            result = fetch_log(remote, folder, verifier=verifier, progress=progress)
    except AuditError as error:
        step = "Check the address and DIR, then run the same command again."
        fail(error, ExitCode.FAILED, step, as_json=as_json)
    except LedgerError as error:
        step = (
            "Do not trust this log or this copy. Keep DIR as evidence, and fetch into "
            "an empty folder to see whether it happens again."
        )
        fail(error, ExitCode.VERIFICATION_FAILED, step, as_json=as_json)
    except OSError as error:
        exit_with_error(
            f"{folder} cannot be written: {error.strerror}.",
            next_step="Choose another DIR, or make room.",
            error_code=AuditError.code,
            exit_code=ExitCode.FAILED,
            as_json=as_json,
        )
    if result.is_first_use:
        print_notice(
            "The log's key came from the market itself and is trusted on first use: "
            f"{result.key.vkeys[0]}. Compare it with one from elsewhere, or pass --key."
        )
    _show_fetch(result, folder, as_json=as_json)


def _show_fetch(result: FetchResult, folder: Path, *, as_json: bool) -> None:
    earlier = result.earlier
    if as_json:
        print_json(
            {
                "origin": result.checkpoint.origin,
                "size": result.checkpoint.size,
                "earlierSize": earlier.size if earlier else None,
                "logKey": result.key.vkeys[0],
                "trustedOnFirstUse": result.is_first_use,
                "filesFetched": result.files_fetched,
                "filesKept": result.files_kept,
                "bytesFetched": result.bytes_fetched,
            }
        )
        return
    print_line(
        f"{result.checkpoint.origin}: {result.checkpoint.size} statements in {folder} "
        f"({result.files_fetched} files fetched, {result.files_kept} kept)"
    )
    if earlier is not None:
        print_line(f"It extends the earlier copy of {earlier.size} statements.")
    print_line(f"Check it with: sixfold audit log {folder}")
