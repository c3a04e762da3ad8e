"""`sixfold audit`: copy a log, check it, check a receipt. Nothing else is needed."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ledger.audit.errors import ReceiptError
from ledger.audit.fetch import FetchResult, fetch_log
from ledger.audit.log_audit import audit_log
from ledger.audit.log_copy import LogCopy, read_bounded, read_verifier
from ledger.audit.receipt import RECEIPT_BYTES_MAX, VerifiedReceipt, verify_receipt
from ledger.audit.remote_log import RemoteLog
from ledger.audit.report import AuditReport
from ledger.console import (
    ExitCode,
    exit_with_error,
    print_json,
    print_line,
    print_notice,
    print_table,
    progress_reporter,
)
from ledger.errors import AuditError, LedgerError, NoteError
from ledger.log.note import Verifier

PROBLEMS_SHOWN_MAX = 20
"""Of many problems the first tell most; `--json` has up to a thousand."""

app = typer.Typer(help="Check bills and logs offline.", no_args_is_help=True)

_AsJson = Annotated[bool, typer.Option("--json", help="Answer as one JSON document.")]
_KeyFile = Annotated[
    Path | None,
    typer.Option("--key", exists=True, dir_okay=False, help="The log's verifier key."),
]


@app.command()
def fetch(
    url: Annotated[str, typer.Argument(help="Address of the market.")],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Where it goes.")
    ],
    key: _KeyFile = None,
    *,
    as_json: _AsJson = False,
) -> None:
    """Copy a market's log into DIR, or bring the copy there up to date."""
    verifier = _read_key(key, as_json=as_json) if key else None
    try:
        remote = RemoteLog(url)
    except AuditError as error:
        _fail(error, ExitCode.MISUSE, "Give an http or https URL.", as_json=as_json)
    try:
        with remote, progress_reporter("Copying") as progress:
            result = fetch_log(remote, folder, verifier=verifier, progress=progress)
    except AuditError as error:
        step = "Check the address and DIR, then run the same command again."
        _fail(error, ExitCode.FAILED, step, as_json=as_json)
    except LedgerError as error:
        step = (
            "Do not trust this log or this copy. Keep DIR as evidence, and fetch into "
            "an empty folder to see whether it happens again."
        )
        _fail(error, ExitCode.VERIFICATION_FAILED, step, as_json=as_json)
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
            f"{result.key.vkey}. Compare it with one from elsewhere, or pass --key."
        )
    _show_fetch(result, folder, as_json=as_json)


@app.command()
def log(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", exists=True, file_okay=False, help="The copied log."
        ),
    ],
    key: _KeyFile = None,
    openings: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Openings, if not DIR/openings.jsonl."
        ),
    ] = None,
    *,
    as_json: _AsJson = False,
) -> None:
    """Check a copied log: hashes, signatures, bills, balances, receipts."""
    verifier = _read_key(key, as_json=as_json) if key else None
    try:
        with progress_reporter("Checking") as progress:
            report = audit_log(
                LogCopy.find(folder),
                verifier=verifier,
                openings=openings,
                progress=progress,
            )
    except AuditError as error:
        step = "Make a copy with `sixfold audit fetch URL DIR`, or pass --key."
        _fail(error, ExitCode.FAILED, step, as_json=as_json)
    if as_json:
        print_json(report.to_json())
    else:
        _show_report(report)
    if not report.is_ok:
        raise typer.Exit(ExitCode.VERIFICATION_FAILED)


@app.command()
def receipt(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, help="A .tlog-proof file."
        ),
    ],
    key: _KeyFile = None,
    *,
    as_json: _AsJson = False,
) -> None:
    """Check one receipt, offline."""
    key_file = key or _key_beside(file)
    if key_file is None:
        exit_with_error(
            f"There is no log.vkey beside {file} or one folder up.",
            next_step="Pass the log's verifier key with --key.",
            error_code=AuditError.code,
            exit_code=ExitCode.MISUSE,
            as_json=as_json,
        )
    verifier = _read_key(key_file, as_json=as_json)
    try:
        verified = verify_receipt(
            read_bounded(file, bytes_max=RECEIPT_BYTES_MAX), verifier
        )
    except ReceiptError as error:
        step = f"Broken rule: {error.rule}. Ask the market for the receipt again."
        _fail(error, ExitCode.VERIFICATION_FAILED, step, as_json=as_json)
    except AuditError as error:
        step = "Pass a receipt of this market."
        _fail(error, ExitCode.VERIFICATION_FAILED, step, as_json=as_json)
    if as_json:
        print_json({"ok": True, "key": str(key_file), **verified.to_json()})
    else:
        _show_receipt(verified, key_file)


def _key_beside(file: Path) -> Path | None:
    folder = file.resolve().parent
    candidates = (folder / "log.vkey", folder.parent / "log.vkey")
    return next((path for path in candidates if path.is_file()), None)


def _read_key(path: Path, *, as_json: bool) -> Verifier:
    try:
        return read_verifier(path)
    except (AuditError, NoteError) as error:
        step = f"{path} must hold one line: <name>+<key id>+<key in base64>."
        _fail(error, ExitCode.MISUSE, step, as_json=as_json)


def _fail(
    error: LedgerError, exit_code: ExitCode, next_step: str, *, as_json: bool
) -> NoReturn:
    exit_with_error(
        str(error),
        next_step=next_step,
        error_code=error.code,
        exit_code=exit_code,
        as_json=as_json,
    )


def _show_fetch(result: FetchResult, folder: Path, *, as_json: bool) -> None:
    earlier = result.earlier
    if as_json:
        print_json(
            {
                "origin": result.checkpoint.origin,
                "size": result.checkpoint.size,
                "earlierSize": earlier.size if earlier else None,
                "logKey": result.key.vkey,
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


def _show_report(report: AuditReport) -> None:
    if report.checkpoint is not None:
        print_line(f"Log {report.checkpoint.origin}, key {report.key}")
    if report.earlier is not None:
        print_line(f"It extends an earlier checkpoint of {report.earlier.size}.")
    print_table(("statements", "count"), sorted(report.kinds.items()))
    print_table(("checked", "count"), _checked_rows(report))
    for problem in report.problems[:PROBLEMS_SHOWN_MAX]:
        print_line(f"{problem.place}: {problem.rule}: {problem.message}", style="red")
    if report.problem_count > PROBLEMS_SHOWN_MAX:
        print_line(f"... and {report.problem_count - PROBLEMS_SHOWN_MAX} more")
    print_line(report.summary, style="green" if report.is_ok else "bold red")


def _checked_rows(report: AuditReport) -> list[tuple[str, int]]:
    return [
        ("statements opened", report.opened),
        ("statements kept private", report.concealed),
        ("charges computed again", report.charges_computed),
        ("account balances replayed", len(report.balances)),
        ("accounts not fully opened", report.accounts_unknown),
        ("receipts verified", report.receipts),
        ("files that no signature covers", report.files_not_covered),
    ]


def _show_receipt(verified: VerifiedReceipt, key_file: Path) -> None:
    print_line(f"Receipt of {verified.job_id}, checked with the key in {key_file}")
    parties = ("consumer", "provider", "node", "market")
    print_table(("party", "id"), [(name, getattr(verified, name)) for name in parties])
    print_table(
        ("used", "units"),
        [(str(group), units) for group, units in verified.quantities.items()],
    )
    print_table(
        ("paid to", "micro-credits"),
        [
            *verified.by_payee_microcredits.items(),
            ("total", verified.total_microcredits),
        ],
    )
    print_line(
        f"Entry {verified.index} of {verified.origin}, under its checkpoint of "
        f"{verified.checkpoint_size} entries."
    )
    print_line(verified.meaning)
    print_line("receipt: ok", style="green")
