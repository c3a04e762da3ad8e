"""The command line in this process: exit codes, answers, errors without traces."""

import importlib.metadata
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sdk.cli
from enclave_sim.errors import RunnerError
from ledger.errors import KeyFileError, LogError, ProofError
from sdk.cli import exit_code_of, main
from sdk.errors import (
    InputError,
    JobDisputedError,
    JobRefusedError,
    MarketUnavailableError,
    PinError,
    UntrustedEvidenceError,
)


@pytest.fixture
def sixfold(monkeypatch, capsys):
    """Run one command; gives its exit code and what it wrote."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sixfold", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return run


@pytest.fixture
def as_json(sixfold):
    """Run one command that must succeed; gives its document."""

    def run(*arguments: str) -> Any:
        code, out, err = sixfold(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.fixture
def here(running, key_path, monkeypatch) -> Path:
    """A consumer's folder, with market and key in the environment."""
    monkeypatch.setenv("SIXFOLD_MARKET", running.url)
    monkeypatch.setenv("SIXFOLD_KEY", str(key_path))
    file = key_path.parent / "job.py"
    file.write_text(
        "import numpy\n\n\n@numpy.vectorize\ndef add(x: int, y: int = 0):\n"
        "    if x < 0:\n        raise ValueError('negative')\n    return x + y\n"
    )
    (key_path.parent / "first.py").write_text("def first(x):\n    return x[0]\n")
    return key_path.parent


def test_help_names_every_command(sixfold) -> None:
    code, out, _ = sixfold("--help")
    assert code == 0
    for name in ("account", "audit", "demo", "job", "keys", "market", "provider"):
        assert name in out


def test_help_loads_no_command(monkeypatch, sixfold) -> None:
    monkeypatch.setattr(sdk.cli, "_load", pytest.fail)
    assert sixfold("--help")[0] == 0


def test_version_is_that_of_the_distribution(sixfold) -> None:
    version = importlib.metadata.version("sixfold")
    assert sixfold("--version")[:2] == (0, f"sixfold {version}\n")


@pytest.mark.parametrize(
    "arguments", [["nope"], ["job", "nope"], ["job", "explain"], ["--nope"], []]
)
def test_misuse_is_told_apart(sixfold, arguments) -> None:
    assert sixfold(*arguments)[0] == 2


def test_missing_extra_is_named(sixfold, monkeypatch) -> None:
    def fail() -> None:
        raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")

    point = SimpleNamespace(name="market", load=fail)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [point])
    code, _, err = sixfold("market", "serve")
    assert code == 1
    assert "pip install 'sixfold[market]'" in err
    assert "Traceback" not in err


def test_fault_of_ours_is_not_taken_for_missing_extra(sixfold, monkeypatch) -> None:
    def fail() -> None:
        raise ModuleNotFoundError("No module named 'market.lost'", name="market.lost")

    point = SimpleNamespace(name="market", load=fail)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [point])
    monkeypatch.setattr(sys, "argv", ["sixfold", "market"])
    with pytest.raises(ModuleNotFoundError):
        main()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (JobRefusedError("JOB.NO_OFFER", "No."), 1),
        (MarketUnavailableError("No."), 1),
        (LogError("No."), 1),
        (RunnerError("No."), 1),
        (InputError("No."), 2),
        (KeyFileError("No."), 2),
        (JobDisputedError("usage_wrong", "No."), 3),
        (UntrustedEvidenceError("No."), 3),
        (PinError("No."), 3),
        (ProofError("No."), 3),
    ],
)
def test_errors_have_exit_codes(error, code) -> None:
    assert exit_code_of(error) == code


def test_keys_are_made_and_shown(sixfold, as_json, tmp_path) -> None:
    path = str(tmp_path / "new.key")
    made = as_json("keys", "new", path)
    assert as_json("keys", "show", path) == made
    assert made["account"].startswith("acc_")
    assert made["node"].startswith("node_")
    code, out, err = sixfold("keys", "new", path)
    assert (code, out) == (2, "")
    assert "LEDGER.KEY_FILE" in err
    assert made["account"] in sixfold("keys", "show", path)[1]


def test_default_key_is_made_and_said_so(
    running, sixfold, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SIXFOLD_KEY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = sixfold("account", "balance", "--market", running.url)
    assert code == 0
    assert "New key for account acc_" in err
    assert (tmp_path / ".config/sixfold/consumer.key").exists()
    assert "New key" not in sixfold("account", "balance", "--market", running.url)[2]


def test_named_key_must_be_there(here, sixfold) -> None:
    code, _, err = sixfold("account", "balance")
    assert code == 2
    assert "sixfold keys new" in err


def test_account_shows_money(here, alice, node, sixfold, as_json, tmp_path) -> None:
    assert as_json("account", "topup", "25.5")["postedMicrocredits"] == 125_500_000
    assert "125.500000" in sixfold("account", "balance")[1]
    assert (
        as_json(
            "job",
            "run",
            f"{here}/job.py:add",
            "--input",
            "1",
            "--sensitivity",
            "public",
        )["result"]
        == 1
    )
    invoice = as_json("account", "invoice")
    assert invoice["jobs"] == 1
    code, out, _ = sixfold("account", "invoice")
    assert (code, "1 jobs," in out) == (0, True)
    shown = tmp_path / "shown.jsonl"
    told = as_json("account", "disclose", "--output", str(shown), "--all", "--total")
    *records, total = [json.loads(line) for line in shown.read_text().splitlines()]
    # Two top-ups and four records of the job; an account conceals nothing.
    assert len(records) + 1 == told["lines"] == 7
    assert all(set(record) == {"digest", "openings"} for record in records)
    assert total["total"]["opening"]["value"] == invoice["totalMicrocredits"]
    assert shown.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.glob("shown*")] == ["shown.jsonl"]


def test_amount_that_is_none_is_misuse(here, alice, sixfold) -> None:
    code, out, _ = sixfold("account", "topup", "much", "--json")
    assert code == 2
    assert json.loads(out)["code"] == "SDK.INPUT"


def test_job_runs_and_is_explained(here, alice, node, sixfold, as_json) -> None:
    receipt = here / "job.tlog-proof"
    ran = as_json(
        "job",
        "run",
        f"{here}/job.py:add",
        "--input",
        "40",
        "--input",
        "2",
        "--sensitivity",
        "confidential",
        "--category",
        "health",
        "--receipt",
        str(receipt),
    )
    assert (ran["result"], ran["assurance"]) == (42, "simulated")
    assert receipt.read_bytes() == alice.receipt(ran["jobId"]).data
    (listed,) = as_json("job", "list")["jobs"]
    assert (listed["jobId"], listed["state"]) == (ran["jobId"], "charged")
    assert as_json("job", "status", ran["jobId"])["jobs"][0]["state"] == "charged"
    assert as_json("job", "status")["jobs"] == []
    assert as_json("job", "explain", ran["jobId"])["decision"]["chosen"]
    assert "chosen" in sixfold("job", "explain", ran["jobId"])[1]
    assert ran["jobId"] in sixfold("job", "list")[1]


def test_result_alone_is_on_standard_output(here, alice, node, sixfold) -> None:
    (here / "x.json").write_text("7")
    code, out, err = sixfold(
        "job",
        "run",
        f"{here}/job.py:add",
        "--input",
        f"@{here}/x.json",
        "--sensitivity",
        "public",
    )
    assert (code, out) == (0, "7\n")
    assert "credits" in err


def test_input_comes_from_standard_input(
    here, alice, node, sixfold, monkeypatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("[1]"))
    code, out, _ = sixfold(
        "job",
        "run",
        f"{here}/first.py:first",
        "--input",
        "-",
        "--sensitivity",
        "public",
        "--protection",
        "sandbox",
        "--receipt",
        f"{here}/r.tlog-proof",
    )
    assert (code, out) == (0, "1\n")
    assert sixfold("audit", "receipt", f"{here}/r.tlog-proof")[0] == 0
    assert "Node node_" in sixfold("job", "list")[1]


def test_refused_job_ends_with_next_step(here, alice, node, sixfold) -> None:
    code, out, err = sixfold(
        "job",
        "run",
        f"{here}/job.py:add",
        "--input",
        "1",
        "--sensitivity",
        "restricted",
    )
    assert (code, out) == (1, "")
    assert "attested hardware" in err
    assert "sixfold job explain job_" in err


def test_failed_job_names_the_line(here, alice, node, sixfold) -> None:
    code, _, err = sixfold(
        "job", "run", f"{here}/job.py:add", "--input", "-1", "--sensitivity", "public"
    )
    assert code == 1
    assert "job.py:7" in "".join(err.split("\n"))
    assert "SANDBOX.RAISED" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["job", "run", "job.py"],
        ["job", "run", "missing.py:add"],
        ["job", "run", "{here}/job.py:nope"],
        ["job", "run", "{here}/job.py:add", "--input", "{{"],
        ["job", "run", "{here}/job.py:add", "--input", "@missing.json"],
        ["job", "run", "{here}/job.py:add", "--sensitivity", "secret"],
        ["job", "run", "{here}/job.py:add", "--category", "No Word"],
        ["job", "explain", "../balance"],
        ["account", "balance", "--market", "ftp://x"],
        ["account", "disclose", "--output", "{here}/missing/file", "--all"],
        ["account", "disclose", "--output", "{here}/shown"],
        ["account", "disclose", "--output", "{here}/shown", "--total"],
        ["account", "disclose", "--output", "{here}/shown", "--job", "../balance"],
        ["account", "disclose", "--output", "{here}/shown", "--job", "job_" + "a" * 20],
        ["account", "disclose", "--output", "{here}/shown", "--all", "--record", "x"],
    ],
)
def test_wrong_arguments_are_misuse(here, alice, sixfold, arguments) -> None:
    code, _, err = sixfold(*(item.replace("{here}", str(here)) for item in arguments))
    assert code == 2
    assert "Traceback" not in err
    assert list(here.glob("shown*")) == []


def test_unreachable_market_is_told(here, alice, sixfold, monkeypatch) -> None:
    monkeypatch.setattr("sdk.transport.WAIT_FIRST_S", 0.001)
    code, _, err = sixfold("account", "balance", "--market", "http://127.0.0.1:1")
    assert code == 1
    assert "SDK.MARKET_UNAVAILABLE" in err
