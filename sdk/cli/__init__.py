"""The command `sixfold`: finds its sub-commands among the entry points of packages.

A sub-command's code is imported when it is used, so that each needs no more than its
own extra, and help is quick. Errors of our own packages become one line, a next step
and an exit code; any other error is a fault of ours and shows its traceback.
"""

import importlib.metadata
import sys
from typing import Annotated, Any, NoReturn

import typer
import typer.core
import typer.main

from enclave_sim.errors import EnclaveError
from ledger.console import ExitCode, exit_with_error, print_line, print_notice
from ledger.errors import (
    KeyFileError,
    LedgerError,
    NoteError,
    ProofError,
    SignatureError,
)
from sdk.errors import (
    AddressError,
    ExtraMissingError,
    InputError,
    JobDisputedError,
    JobFailedError,
    JobRefusedError,
    MarketUnavailableError,
    PinError,
    ReceiptError,
    SdkError,
    SourceError,
    UntrustedEvidenceError,
)

ENTRY_POINTS = "sixfold.commands"

SUMMARIES = {
    "account": "Top up, see the balance and the invoice.",
    "audit": "Check bills and logs offline.",
    "demo": "Private jobs on real data, end to end, on this machine.",
    "job": "Run functions on sensitive data elsewhere.",
    "keys": "Make and show keys.",
    "market": "Run a market.",
    "provider": "Earn with this machine.",
    "witness": "Run a witness for logs.",
}
"""What help says of a sub-command before its code is loaded."""

EXTRAS = {
    "demo": "demo",
    "market": "market",
    "provider": "provider",
    "witness": "witness",
}
"""What must be installed for a sub-command, beside the base."""

Expected = SdkError | LedgerError | EnclaveError
"""What a command may end with without it being a fault of ours."""

_VERIFICATION_ERRORS = (
    JobDisputedError,
    NoteError,
    PinError,
    ProofError,
    ReceiptError,
    SignatureError,
    UntrustedEvidenceError,
)
_MISUSE_ERRORS = (AddressError, InputError, KeyFileError, SourceError)

_NEXT_STEPS: tuple[tuple[type[Expected], str], ...] = (
    (JobRefusedError, "See every reason with: sixfold job explain JOB"),
    (JobFailedError, "Change the function or its input; the run itself is charged."),
    (JobDisputedError, "Nothing was paid for it. Run it again, or elsewhere."),
    (UntrustedEvidenceError, "No data was sent. Run it again, or elsewhere."),
    (MarketUnavailableError, "Check the address and that the market is running."),
    (PinError, "Ask the operator of the market before you trust it again."),
    (KeyFileError, "Make a key with: sixfold keys new FILE"),
    (ExtraMissingError, "Install it and run the same command again."),
    (SourceError, "Change the function as said and run the same command again."),
)
_TOP_UP = "Add credit with: sixfold account topup CREDITS"
_NEXT_STEP = "Run the command with --help to see what it takes."


class _SubCommands(typer.core.TyperGroup):
    """Knows the names of all sub-commands, and loads the one that is used."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(**settings)
        for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
            summary = SUMMARIES.get(point.name, "")
            self.add_command(typer.core.TyperCommand(point.name, help=summary))
        self.commands = dict(sorted(self.commands.items()))

    def resolve_command(
        self,
        ctx: Any,  # noqa: ANN401 - of Typer's own copy of click, which is private
        args: list[str],
    ) -> tuple[Any, Any, list[str]]:
        """Find the sub-command, and put its real self in place of its name."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name else command, rest


app = typer.Typer(cls=_SubCommands, no_args_is_help=True, add_completion=False)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        print_line(f"sixfold {importlib.metadata.version('sixfold')}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _show_version(wanted=value),
            is_eager=True,
            help="Show the version and stop.",
        ),
    ] = False,
) -> None:
    """Private compute on anyone's hardware, with a bill you can prove."""
    del version


def main() -> NoReturn:
    """Run the command line of this process and exit.

    The codes are 0 done, 1 refused or failed, 2 misuse, 3 verification failed.
    """
    command = typer.main.get_command(app)
    try:
        command(prog_name="sixfold")
    except (SdkError, LedgerError, EnclaveError) as error:
        _end(error, as_json="--json" in sys.argv)
    raise AssertionError("a command always exits")


def exit_code_of(error: Expected) -> ExitCode:
    """How a command ends that met an error."""
    if isinstance(error, _VERIFICATION_ERRORS):
        return ExitCode.VERIFICATION_FAILED
    if isinstance(error, _MISUSE_ERRORS):
        return ExitCode.MISUSE
    return ExitCode.FAILED


def _end(error: Expected, *, as_json: bool) -> NoReturn:
    if isinstance(error, JobFailedError):
        for line in error.log.splitlines():
            print_notice(line)
    try:
        exit_with_error(
            str(error),
            next_step=_next_step(error),
            error_code=error.code,
            exit_code=exit_code_of(error),
            as_json=as_json,
        )
    except typer.Exit as end:
        sys.exit(end.exit_code)


def _next_step(error: Expected) -> str:
    if error.code == "BILLING.INSUFFICIENT_FUNDS":
        return _TOP_UP
    job_id = getattr(error, "job_id", None) or "JOB"
    for kind, text in _NEXT_STEPS:
        if isinstance(error, kind):
            return text.replace("JOB", job_id)
    return _NEXT_STEP


def _load(name: str) -> typer.core.TyperGroup:
    (point,) = importlib.metadata.entry_points(group=ENTRY_POINTS, name=name)
    try:
        loaded = point.load()
    except ImportError as error:
        extra = EXTRAS.get(name)
        ours = ("enclave_sim", "ledger", "market", "sdk")
        if extra is None or (error.name or "").partition(".")[0] in ours:
            raise
        raise ExtraMissingError(f"sixfold {name}", extra) from error
    command = typer.main.get_group(loaded)
    command.name = name
    return command
