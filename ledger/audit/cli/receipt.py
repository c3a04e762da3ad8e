"""`sixfold audit receipt`: checks one receipt, offline."""

from pathlib import Path
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
from ledger.audit.errors import ReceiptError
from ledger.audit.log_copy import read_bounded
from ledger.audit.receipt import RECEIPT_BYTES_MAX, VerifiedReceipt, verify_receipt
from ledger.console import (
    ExitCode,
    exit_with_error,
    print_json,
    print_line,
    print_table,
)
from ledger.errors import AuditError


def receipt(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, help="A .tlog-proof file."
        ),
    ],
    key: KeyOption = None,
    policy: PolicyOption = None,
    *,
    as_json: JsonOption = False,
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
    verifier = read_key(key_file, as_json=as_json)
    try:
        verified = verify_receipt(
            read_bounded(file, bytes_max=RECEIPT_BYTES_MAX),
            verifier,
            read_policy(policy, as_json=as_json),
        )
    except ReceiptError as error:
        step = f"Broken rule: {error.rule}. Ask the market for the receipt again."
        fail(error, ExitCode.VERIFICATION_FAILED, step, as_json=as_json)
    except AuditError as error:
        step = "Pass a receipt of this market."
        fail(error, ExitCode.VERIFICATION_FAILED, step, as_json=as_json)
    if as_json:
        print_json({"ok": True, "key": str(key_file), **verified.to_json()})
    else:
        _show_receipt(verified, key_file)


def _key_beside(file: Path) -> Path | None:
    folder = file.resolve().parent
    candidates = (folder / "log.vkey", folder.parent / "log.vkey")
    return next((path for path in candidates if path.is_file()), None)


def _show_receipt(verified: VerifiedReceipt, key_file: Path) -> None:
    print_line(f"Receipt of {verified.job_id}, checked with the key in {key_file}")
    parties = ("account", "consumer", "provider", "node", "market")
    print_table(
        ("party", "id"),
        [(name, getattr(verified, name) or "not shown") for name in parties],
    )
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
