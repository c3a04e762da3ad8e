"""`sixfold provider`, as a person and as a program uses it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from parties import RunningMarket
from typer.testing import CliRunner

from sdk import Market
from sdk.cli.provider import app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def market(serve, tmp_path_factory) -> Iterator[RunningMarket]:
    with serve(tmp_path_factory.mktemp("market"), lease_ms=1_500) as market:
        yield market


@pytest.fixture
def up(market, tmp_path):
    """Starts a node as a process; what is still running is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sdk.cli", "provider", "up"]
        command += ["--market", market.url, "--folder", str(tmp_path / "node")]
        command += ["--protection", "sandbox", "--workers", "1", *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def run(market, folder, command: str, *options: str):
    arguments = [command, "--market", market.url, "--folder", str(folder), *options]
    return CliRunner().invoke(app, arguments)


def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def doubled(market, tmp_path):
    with Market.open(market.url, key=tmp_path / "a.key", create_key=True) as alice:
        alice.top_up(10)
        yield alice.offload(sensitivity="public")(double)


def test_node_tells_a_program_what_it_does(market, up, doubled, tmp_path) -> None:
    process = up("--json", "--name", "my node", "--price", "fuel=9")
    ready = json.loads(process.stdout.readline())
    assert ready["event"] == "ready"
    assert doubled(21) == 42
    job = json.loads(process.stdout.readline())
    assert (job["event"], job["outcome"]) == ("job", "succeeded")
    assert job["jobId"] == doubled.last.job_id
    offers = json.loads(run(market, tmp_path / "node", "offers", "--json").stdout)
    (offer,) = offers["offers"]
    assert (offer["offerId"], offer["node"]) == (ready["offerId"], ready["node"])
    assert (offer["name"], offer["prices"]["fuel"]) == ("my node", 9)
    earned = json.loads(run(market, tmp_path / "node", "earnings", "--json").stdout)
    assert earned["byNode"][ready["node"]]["jobs"] == 1
    check_disclosure(market, tmp_path, earned["byNode"][ready["node"]])
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in stdout.splitlines()] == ["stopping"]
    assert stderr == ""
    assert json.loads(run(market, tmp_path / "node", "offers", "--json").stdout) == {
        "offers": []
    }


def check_disclosure(market, folder, earned) -> None:
    shown = folder / "earned.jsonl"
    options = ["--output", str(shown), "--total", "--json"]
    told = run(market, folder / "node", "disclose", *options)
    assert json.loads(told.stdout) == {"file": str(shown), "lines": 1}
    total = json.loads(shown.read_text())["total"]
    assert total["opening"]["value"] == earned["earnedMicrocredits"] > 0
    assert total["payee"].startswith("acc_")
    # With another key it is another account, which has earned nothing.
    options += ["--key", str(folder / "a.key")]
    assert run(market, folder / "node", "disclose", *options).exit_code != 0
    assert json.loads(shown.read_text())["total"] == total


def test_node_tells_a_person_what_it_does(market, up, doubled, tmp_path) -> None:
    process = up("--protection", "enclave")
    lines = [process.stdout.readline() for _ in range(3)]
    assert "takes jobs as node_" in lines[0]
    assert "simulated" in lines[2]
    doubled(21)
    assert doubled.last.job_id in process.stdout.readline()
    assert "edge-site" in run(market, tmp_path / "node", "offers").stdout
    assert "credits" in run(market, tmp_path / "node", "earnings").stdout
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--tier", "moon"],
        ["--protection", "trust-me"],
        ["--accept-class", "secret"],
        ["--price", "royalty=1"],
        ["--price", "fuel=-1"],
        ["--price", "fuel=1.5"],
        ["--price", "fuel=" + "9" * 5_000],
        ["--price", "fuel"],
        ["--workers", "0"],
        ["--memory-mebibytes", "1"],
    ],
)
def test_misuse_is_told(market, tmp_path, options) -> None:
    result = run(market, tmp_path / "node", "up", *options)
    assert result.exit_code == 2
    assert not (tmp_path / "node").exists()


def test_market_that_is_not_there_is_told(tmp_path) -> None:
    command = [sys.executable, "-m", "sdk.cli", "provider", "up", "--json"]
    command += ["--market", "http://127.0.0.1:1", "--folder", str(tmp_path / "node")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "SDK.MARKET_UNAVAILABLE"
