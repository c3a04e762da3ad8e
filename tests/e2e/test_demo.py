"""The whole demonstration, as `make demo` runs it, and its log in foreign hands."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from page_programs import PLAIN_VERIFIER, load_program
from tlog_scales.tlog import InclusionProofInvalid

pytestmark = pytest.mark.slow

SCENES = 8


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `sixfold demo --keep` leaves, with its story in story.json."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    done = subprocess.run(
        [sys.executable, "-m", "sdk.cli", "demo", "--keep", str(folder), "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    (folder / "story.json").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def scenes(kept: Path) -> list[dict[str, Any]]:
    scenes = json.loads((kept / "story.json").read_text())["scenes"]
    assert len(scenes) == SCENES
    return scenes


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sdk.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_demo_scores_restricted_rows_encrypted(scenes) -> None:
    scene = scenes[1]
    assert scene["patients"] == scene["same_verdict_as_plaintext"] == 284
    assert float(scene["largest_difference"]) < 1e-4
    assert scene["node"] in {"edge-site", "data-centre"}


def test_demo_runs_confidential_function_in_enclave(scenes) -> None:
    scene = scenes[2]
    assert scene["results_right"] is True
    assert scene["assurance"] == "simulated"
    assert scene["node"] in {"cell-site", "edge-site"}


def test_demo_maps_public_function_reproducibly(scenes) -> None:
    scene = scenes[3]
    assert (scene["jobs"], scene["results_right"]) == (200, True)
    assert scene["same_bytes_and_fuel_as_on_device"] is True


def test_demo_refuses_for_nothing_with_reasons(scenes) -> None:
    scene = scenes[4]
    assert scene["offers_refused"] == 4
    assert scene["reasons"] >= 4
    assert scene["charged_microcredits"] == 0


def test_demo_survives_loss_of_a_node(scenes) -> None:
    scene = scenes[5]
    assert scene["attempt"] == 2
    assert scene["killed"] != scene["finished_by"]
    assert scene["result_right"] is True
    assert scene["charged_once"] is True


def test_demo_shows_one_record_and_one_total(scenes) -> None:
    scene = scenes[6]
    assert scene["commitments"].keys() == {
        f"quantity.{group}" for group in scene["opened"]
    }
    # Also what was not used is committed to, so that nobody sees that it was not.
    assert scene["opened"]["fuel"] == 0
    assert scene["opened"]["royalty"] == 1
    assert scene["records_opened"] == 1
    assert scene["charges_in_total"] == scene["pseudonyms"] == 204
    assert scene["total_is_invoice"] is True
    assert scene["total_microcredits"] == scenes[7]["invoice_microcredits"]
    assert scene["hospital_named_in"] == ["account", "top_up"]


def test_demo_audit_is_ok_and_finds_damage(scenes) -> None:
    audit = scenes[7]["audit"]
    assert audit["ok"] is True
    assert audit["problemCount"] == 0
    assert audit["receipts"] == scenes[7]["invoice_jobs"] == 204
    assert audit["chargesComputed"] == 204
    assert audit["earlierCheckpoint"] is not None
    assert scenes[7]["damage_found"] is True
    assert "tile/entries/000" in scenes[7]["damage"]["place"]


def test_kept_log_passes_the_audit_command(kept) -> None:
    done = run("audit", "log", str(kept))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("audit: ok (")


def test_kept_disclosure_passes_the_audit_command(kept, scenes, tmp_path) -> None:
    command = ["audit", "log", str(kept / "public"), "--json", "--disclosure"]
    done = run(*command, str(kept / "shown.jsonl"))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    (total,) = report["totals"]
    assert total["amountMicrocredits"] == scenes[6]["total_microcredits"]
    assert (report["opened"], report["invoices"]) == (1, {})
    shown = (kept / "shown.jsonl").read_text()
    amount = f":{total['amountMicrocredits']}}}"
    assert amount in shown
    false = tmp_path / "false.jsonl"
    false.write_text(shown.replace(amount, amount.replace(":", ":1", 1)))
    done = run(*command, str(false))
    assert done.returncode == 3
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["place"], problem["rule"]) == (
        "false.jsonl line 2",
        "OPENING.TOTAL",
    )


def test_kept_receipt_passes_the_audit_command(kept) -> None:
    receipt = next((kept / "receipts").iterdir())
    assert run("audit", "receipt", str(receipt)).returncode == 0
    data = bytearray(receipt.read_bytes())
    data[len(data) // 2] ^= 1
    receipt = kept / "altered.tlog-proof"
    receipt.write_bytes(data)
    assert run("audit", "receipt", str(receipt)).returncode == 3


def test_foreign_tool_accepts_kept_log(kept) -> None:
    keys = (kept / "log.vkey").read_text().split()
    earlier = (kept / "checkpoint.earlier").read_text()
    size = load_program("tlog-scales").verify(str(kept / "log"), keys, earlier)
    assert size == int((kept / "log" / "checkpoint").read_text().split("\n")[1])


def test_foreign_tool_refuses_damaged_copy(kept, tmp_path) -> None:
    damaged = tmp_path / "log"
    shutil.copytree(kept / "log", damaged)
    bundle = next(p for p in (damaged / "tile" / "entries").rglob("*") if p.is_file())
    data = bytearray(bundle.read_bytes())
    data[-5] ^= 1
    bundle.write_bytes(data)
    keys = (kept / "log.vkey").read_text().split()
    with pytest.raises(InclusionProofInvalid):
        load_program("tlog-scales").verify(str(damaged), keys)


def test_plain_verifier_accepts_kept_copy(kept) -> None:
    """All of it, statements and openings too, with no line of our code."""
    done = subprocess.run(
        [sys.executable, str(PLAIN_VERIFIER), str(kept)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    checked = json.loads(done.stdout.removeprefix("ok: "))
    assert (checked["charges"], checked["receipts"], checked["hidden"]) == (204, 204, 0)
