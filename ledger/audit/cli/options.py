"""What all `sixfold audit` commands share: options, the key, and how they fail."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ledger.audit.log_copy import read_bounded, read_verifier
from ledger.console import ExitCode, exit_with_error
from ledger.errors import AuditError, LedgerError, NoteError
from ledger.log.log_keys import LogKeys
from ledger.log.witness_policy import NO_WITNESSES, POLICY_BYTES_MAX, WitnessPolicy

JsonOption = Annotated[
    bool, typer.Option("--json", help="Answer as one JSON document.")
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", exists=True, dir_okay=False, help="The log's verifier key."),
]
PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy", exists=True, dir_okay=False, help="Witnesses, and how many."
    ),
]


def read_key(path: Path, *, as_json: bool) -> LogKeys:
    """Read the verifier key that was named; the command ends if there is none."""
    try:
        return read_verifier(path)
    except (AuditError, NoteError) as error:
        step = f"{path} must hold one line: <name>+<key id>+<key in base64>."
        fail(error, ExitCode.MISUSE, step, as_json=as_json)


def fail(
    error: LedgerError, exit_code: ExitCode, next_step: str, *, as_json: bool
) -> NoReturn:
    """End the command with an error of ours and what to do next."""
    exit_with_error(
        str(error),
        next_step=next_step,
        error_code=error.code,
        exit_code=exit_code,
        as_json=as_json,
    )


def read_policy(path: Path | None, *, as_json: bool) -> WitnessPolicy:
    """Read the witness policy that was named; the command ends if there is none."""
    if path is None:
        return NO_WITNESSES
    try:
        return WitnessPolicy.parse(read_bounded(path, bytes_max=POLICY_BYTES_MAX))
    except (AuditError, NoteError) as error:
        step = f"{path} must be a witness policy, as C2SP tlog-policy has it."
        fail(error, ExitCode.MISUSE, step, as_json=as_json)
