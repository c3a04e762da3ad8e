"""`sixfold job`: run functions on sensitive data elsewhere, and see what came of it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.console import print_json, print_line, print_notice, print_table
from ledger.encoding import Json
from ledger.statements.order_terms import Objective, Protection, Sensitivity
from sdk.cli.consumer import JsonOption, KeyOption, MarketOption, open_market
from sdk.credits import format_credits
from sdk.errors import InputError, ReceiptError
from sdk.market import Fields
from sdk.options import OffloadOptions
from sdk.outcomes import read_refusals
from sdk.receipts import Receipt
from sdk.results import JobResult
from sdk.source import read_file_source

LISTED_MAX = 20
"""Jobs that are listed unless more are asked for."""

FINAL_STATES = frozenset({"refused", "charged", "released"})

INPUT_BYTES_MAX = 64 * 2**20
"""As much as one job takes."""

app = typer.Typer(
    help="Run functions on sensitive data elsewhere.", no_args_is_help=True
)

_Job = Annotated[str, typer.Argument(metavar="JOB", help="A job's id.")]


@app.command()
def run(  # noqa: PLR0913 - one parameter for each option
    function: Annotated[str, typer.Argument(metavar="FILE.py:FUNCTION")],
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="JSON|@FILE|-",
            help="An argument of the function; once for each, in order.",
        ),
    ] = None,
    sensitivity: Annotated[Sensitivity, typer.Option()] = "confidential",
    category: Annotated[list[str] | None, typer.Option()] = None,
    tier: Annotated[list[str] | None, typer.Option()] = None,
    jurisdiction: Annotated[list[str] | None, typer.Option()] = None,
    objective: Annotated[Objective, typer.Option()] = "balanced",
    protection: Annotated[
        Protection | None, typer.Option(help="By default what the data needs.")
    ] = None,
    receipt: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the verified receipt.")
    ] = None,
    market: MarketOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a function of a file elsewhere, under a data policy, and print its result.

    The file is read, not executed here. Enclaves are simulated for now.
    """
    options: OffloadOptions = {
        "sensitivity": sensitivity,
        "categories": category or [],
        "tiers": tier or [],
        "jurisdictions": jurisdiction or [],
        "objective": objective,
    }
    if protection is not None:
        options["protection"] = protection
    file, _, name = function.rpartition(":")
    if not file:
        raise InputError("Name the function as FILE.py:FUNCTION.")
    source = read_file_source(Path(file), name)
    arguments = [_read_input(text) for text in inputs or []]
    with open_market(market, key) as opened:
        result = opened.run(source, arguments, **options)
        if receipt is not None:
            _keep_receipt(result.receipt, receipt)
    if as_json:
        print_json(_result_json(result))
    else:
        _show_result(result, receipt)


@app.command()
def status(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="All open ones if left out.")
    ] = None,
    market: MarketOption = None,
    key: KeyOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show where a job stands, or all jobs that have not ended."""
    with open_market(market, key) as opened:
        if job is None:
            jobs = [item for item in opened.jobs() if item["state"] not in FINAL_STATES]
        else:
            jobs = [opened.job(job)]
    if as_json:
        print_json({"jobs": [_job_json(item) for item in jobs]})
    else:
        _show_jobs(jobs)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = LISTED_MAX,
    market: MarketOption = None,
    key: KeyOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the account's jobs, newest first."""
    with open_market(market, key) as opened:
        jobs = [item for item, _ in zip(opened.jobs(), range(limit), strict=False)]
    if as_json:
        print_json({"jobs": [_job_json(item) for item in jobs]})
    else:
        _show_jobs(jobs)


@app.command()
def explain(
    job: _Job,
    market: MarketOption = None,
    key: KeyOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Say why a job was placed where it was, or why nowhere."""
    with open_market(market, key) as opened:
        document = opened.explain(job)
    if as_json:
        print_json(document)
        return
    _show_decision(document)


def _read_input(text: str) -> object:
    try:
        if text == "-":
            text = sys.stdin.read(INPUT_BYTES_MAX + 1)
        elif text.startswith("@"):
            with Path(text[1:]).open(encoding="utf-8") as file:
                text = file.read(INPUT_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The input cannot be read: {error}.") from error
    if len(text) > INPUT_BYTES_MAX:
        raise InputError("The input is larger than one job takes.")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The input is not JSON: {error}.") from error
    return value


def _keep_receipt(receipt: Receipt, path: Path) -> None:
    """Save a receipt, and beside it the keys that `sixfold audit receipt` looks for."""
    receipt.verify()
    key_path = receipt.save(path).parent / "log.vkey"
    try:
        with key_path.open("x") as file:
            file.write(receipt.log_keys.text)
    except FileExistsError:
        pass
    except OSError as error:
        message = f"{key_path} cannot be written: {error.strerror}."
        raise ReceiptError(message) from error


def _result_json(result: JobResult) -> Any:  # noqa: ANN401 - results may hold floats
    return {
        "jobId": result.job_id,
        "result": result.value,
        "node": result.node,
        "attempt": result.attempt,
        "protection": result.protection,
        "assurance": result.assurance,
        "fuel": result.fuel,
        "quantities": {str(name): count for name, count in result.quantities.items()},
        "totalMicrocredits": result.total_microcredits,
        "log": result.log.decode("utf-8", "replace"),
    }


def _show_result(result: JobResult, receipt: Path | None) -> None:
    for line in result.log.decode("utf-8", "replace").splitlines():
        print_notice(line)
    print_line(json.dumps(result.value, ensure_ascii=False))
    print_notice(
        f"{result.job_id} on {result.node}, {result.protection}, assurance "
        f"{result.assurance}, attempt {result.attempt}: {result.fuel:,} fuel, "
        f"{format_credits(result.total_microcredits)} credits."
    )
    if receipt is not None:
        print_notice(
            f"Receipt verified and kept. Again: sixfold audit receipt {receipt}"
        )


def _job_json(job: Fields) -> Json:
    names = (
        "jobId",
        "state",
        "attempt",
        "node",
        "reason",
        "createdAtMs",
        "updatedAtMs",
    )
    return {name: job.get(name) for name in names}


def _show_jobs(jobs: list[Fields]) -> None:
    # Without the node, so that ids stay whole on a narrow terminal.
    print_table(
        ("job", "state", "attempt", "reason"),
        [
            (job["jobId"], job["state"], job["attempt"], job.get("reason") or "")
            for job in jobs
        ],
    )
    if len(jobs) == 1 and jobs[0].get("node"):
        print_line(f"Node {jobs[0]['node']}")


def _show_decision(document: Fields) -> None:
    decision = document["decision"]
    chosen = decision.get("chosen")
    refused = read_refusals(decision)
    rows = []
    for offer in decision.get("offers", []):
        reasons = [item.message for item in refused if item.offer == offer["name"]]
        verdict = "chosen" if offer["offerId"] == chosen else " ".join(reasons)
        rows.append(
            (
                offer["name"],
                offer["tier"],
                format_credits(offer["holdMicrocredits"] or 0),
                offer["predictedMs"],
                verdict or "possible, but dearer or slower",
            )
        )
    print_table(("offer", "tier", "holds at most", "predicted ms", "verdict"), rows)
    print_line(f"{document['jobId']} is {document['state']}.")
