"""`sixfold demo`: the whole story from one command, on this machine alone."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ledger.console import ExitCode
from sdk.demo.audit import fetch_copy
from sdk.demo.finale import audit, settle_up
from sdk.demo.narrator import Narrator
from sdk.demo.patients import load_study
from sdk.demo.privacy import show_privately
from sdk.demo.scenes import (
    Play,
    lose_a_node,
    map_public,
    open_market,
    refuse,
    run_in_enclave,
    score_encrypted,
)
from sdk.demo.stage import Stage
from sdk.market import Market

app = typer.Typer(help="Private jobs on real data, end to end, on this machine.")


@app.callback(invoke_without_command=True)
def demo(
    keep: Annotated[
        Path | None,
        typer.Option(help="Leave everything in this new or empty folder."),
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Tell the story as one JSON document.")
    ] = False,
) -> None:
    """Show a market, a witness, four nodes, protected jobs, a bill and its audit.

    Enclaves are simulated and money is development credit; all else is real.
    """
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise typer.BadParameter(f"{keep} is not empty.", param_hint="--keep")
    folder = keep or Path(tempfile.mkdtemp(prefix="sixfold-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        good = _play(folder.resolve(), Narrator(as_json=as_json))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if not good:
        raise typer.Exit(ExitCode.VERIFICATION_FAILED)


def _play(folder: Path, narrator: Narrator) -> bool:
    with Stage(folder) as stage:
        with narrator.waiting("Starting a market, a witness and four nodes ..."):
            stage.start_witnessed_market()
            stage.start_nodes()
            study = load_study()
        keys = folder / "keys"
        with (
            Market.open(stage.url, keys / "owner.key", create_key=True) as owner,
            Market.open(stage.url, keys / "hospital.key", create_key=True) as hospital,
        ):
            play = Play(stage, narrator, study, owner, hospital)
            open_market(play)
            score_encrypted(play)
            # A first copy, so that the last one can be shown to extend it.
            fetch_copy(stage.url, folder)
            for scene in (run_in_enclave, map_public, refuse, lose_a_node):
                scene(play)
            is_private = show_privately(play, folder)
            settle_up(play, folder)
            good = audit(play, folder) and is_private
    narrator.finish()
    return good
