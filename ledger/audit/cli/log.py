"""`sixfold audit log`: checks a whole log, copied or where it is served."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated

import typer

from ledger.audit.cli.options import (
    JsonOption,
    KeyOption,
    PolicyOption,
    fail,
    read_key,
    read_policy,
)
from ledger.audit.errors import AuditStoppedError
from ledger.audit.fetch import fetch_log
from ledger.audit.log_audit import AuditOptions, Watch, audit_log
from ledger.audit.log_copy import LogCopy
from ledger.audit.remote_audit import audit_remote
from ledger.audit.remote_log import RemoteLog
from ledger.audit.report import AuditReport
from ledger.audit.report_page import render_page
from ledger.audit.rule_meanings import MEANINGS
from ledger.audit.workers import JOBS_MAX
from ledger.console import (
    ExitCode,
    exit_with_error,
    print_json,
    print_line,
    print_notice,
    print_table,
    progress_reporter,
)
from ledger.errors import AuditError, LedgerError
from ledger.log.log_keys import LogKeys

PROBLEMS_SHOWN_MAX = 20
"""Of many problems the first tell most; `--json` has up to a thousand."""

TOTALS_SHOWN_MAX = 20
"""Who opens totals opens few; `--json` has all of them."""


SourceArgument = Annotated[
    str, typer.Argument(metavar="DIR|URL", help="A copied log, or a market.")
]
DisclosureOption = Annotated[
    list[Path] | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="What a party shows; may be repeated. Else DIR/openings.jsonl.",
    ),
]
JobsOption = Annotated[
    int, typer.Option(min=1, max=JOBS_MAX, help="Processes that share the work.")
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", "--resume", dir_okay=False, help="Keep the state there, and go on."
    ),
]
CopyOption = Annotated[
    Path | None,
    typer.Option("--dir", file_okay=False, help="Copy the log of URL there first."),
]
PageOption = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Write the report as a page.")
]
StructureOption = Annotated[
    bool, typer.Option("--structure", help="Check files and hashes alone.")
]


def log(  # noqa: PLR0913 - one for each option
    source: SourceArgument,
    key: KeyOption = None,
    policy: PolicyOption = None,
    disclosure: DisclosureOption = None,
    jobs: JobsOption = 1,
    state: StateOption = None,
    folder: CopyOption = None,
    html: PageOption = None,
    *,
    structure: StructureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check a log: hashes, signatures, bills, balances, receipts."""
    _check_source(source, folder)
    options = AuditOptions(
        policy=read_policy(policy, as_json=as_json),
        disclosures=tuple(disclosure or ()),
        jobs=jobs,
        state=state,
        is_structure_only=structure,
    )
    keys = read_key(key, as_json=as_json) if key else None
    try:
        report = _audit(source, keys, options, folder)
    except AuditStoppedError as error:
        step = "Run the same command with --state FILE, and it can go on next time."
        if state is not None:
            step = "Run the same command again to go on."
        fail(error, ExitCode.FAILED, step, as_json=as_json)
    except AuditError as error:
        step = "Make a copy with `sixfold audit fetch URL DIR`, or pass --key."
        fail(error, ExitCode.FAILED, step, as_json=as_json)
    except LedgerError as error:
        step = "Do not trust this log. Keep what was fetched as evidence."
        fail(error, ExitCode.VERIFICATION_FAILED, step, as_json=as_json)
    if html is not None:
        _write_page(html, report, as_json=as_json)
    if as_json:
        print_json(report.to_json())
    else:
        _show_report(report)
    if not report.is_ok:
        raise typer.Exit(ExitCode.VERIFICATION_FAILED)


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _check_source(source: str, folder: Path | None) -> None:
    if not _is_url(source):
        if folder is not None:
            raise typer.BadParameter("--dir goes with a URL.")
        if not Path(source).is_dir():
            raise typer.BadParameter(f"There is no folder {source}.")
        return
    try:
        with RemoteLog(source):
            pass
    except AuditError as error:
        raise typer.BadParameter(str(error)) from error


def _audit(
    source: str, keys: LogKeys | None, options: AuditOptions, folder: Path | None
) -> AuditReport:
    with _stop_on_signal() as stopped, progress_reporter("Checking") as progress:
        watch = Watch(progress=progress, notice=print_notice, is_stopped=stopped.is_set)
        if not _is_url(source):
            return audit_log(
                LogCopy.find(Path(source)), keys=keys, options=options, watch=watch
            )
        if folder is not None:
            with RemoteLog(source) as remote:
                fetch_log(remote, folder, verifier=keys, progress=progress)
            return audit_log(
                LogCopy.at(folder), keys=keys, options=options, watch=watch
            )
        known = keys or _key_on_faith(source)
        return audit_remote(
            lambda: RemoteLog(source), known, options=options, watch=watch
        )


def _key_on_faith(url: str) -> LogKeys:
    with RemoteLog(url) as remote:
        keys = LogKeys.parse(remote.read_key())
    print_notice(
        f"The log's key came from the market itself: {' '.join(keys.vkeys)}. Compare "
        "it with one from elsewhere, or pass --key."
    )
    return keys


@contextmanager
def _stop_on_signal() -> Iterator[Event]:
    """Let the first Ctrl-C end the audit in order, and a second one at once."""
    stopped = Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_page(path: Path, report: AuditReport, *, as_json: bool) -> None:
    try:
        path.write_text(render_page(report), encoding="utf-8")
    except OSError as error:
        exit_with_error(
            f"{path} cannot be written: {error.strerror}.",
            next_step="Choose another file for --html.",
            error_code=AuditError.code,
            exit_code=ExitCode.FAILED,
            as_json=as_json,
        )


def _show_report(report: AuditReport) -> None:
    if report.checkpoint is not None:
        print_line(f"Log {report.checkpoint.origin}, keys {' '.join(report.keys)}")
    if report.witnesses:
        print_line(f"Cosigned by {', '.join(sorted(report.witnesses))}.")
    if report.earlier is not None:
        print_line(f"It extends an earlier checkpoint of {report.earlier.size}.")
    if not report.is_structure_only:
        print_table(("statements", "count"), sorted(report.kinds.items()))
        print_table(("checked", "count"), report.checked_rows())
    if report.invoices:
        print_table(
            ("invoice of", "jobs", "micro-credits"),
            [
                (account, invoice.jobs, invoice.total_microcredits)
                for account, invoice in sorted(report.invoices.items())
            ],
        )
    for total in report.totals[:TOTALS_SHOWN_MAX]:
        print_line(total.meaning)
    _show_problems(report)
    print_line(report.summary, style="green" if report.is_ok else "bold red")


def _show_problems(report: AuditReport) -> None:
    shown = report.problems[:PROBLEMS_SHOWN_MAX]
    for problem in shown:
        print_line(f"{problem.place}: {problem.rule}: {problem.message}", style="red")
    if report.problem_count > len(shown):
        print_line(f"... and {report.problem_count - len(shown)} more")
    for rule in dict.fromkeys(problem.rule for problem in shown):
        print_line(f"{rule} means: {MEANINGS[rule]}")
