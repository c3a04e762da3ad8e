"""`sixfold witness` as a person and as a script use it."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from grown_log import GrownLog
from typer.testing import CliRunner

from ledger.log.cosignature import CosignatureSigner
from ledger.log.note import Verifier
from ledger.signing import PrivateKey
from ledger.witness import cli as command
from ledger.witness.cli import app
from ledger.witness.folder import open_witness
from ledger.witness.witness import Witness, group_by_origin

NOW_S = 1_800_000_000


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


class _Server:
    """Stands in for the one that would listen for ever."""

    def __init__(self, config: object) -> None:
        self.config = config

    def run(self, sockets: list[object]) -> None:
        assert len(sockets) == 1


@pytest.fixture
def served(monkeypatch) -> None:
    monkeypatch.setattr(command.uvicorn, "Server", _Server)


def serve(folder: Path, *more: object) -> Result:
    return run("serve", "--folder", folder, "--port", 0, *more)


@pytest.mark.usefixtures("served")
def test_serve_says_where_and_for_whom(tmp_path, log) -> None:
    vkey = log.signer.verifier.vkey
    other = GrownLog(origin="other.example", seed=b"o" * 32).signer.verifier.vkey
    result = serve(tmp_path, "--name", "w.example", "--log", vkey, "--log", other)
    assert result.exit_code == 0
    keys = (tmp_path / "witness.vkey").read_text().splitlines()
    first, key, _, *cosigned = result.stdout.splitlines()
    assert first.startswith("Witness w.example at http://127.0.0.1:")
    assert key == keys[0]
    assert cosigned == ["cosigns log.example/main", "cosigns other.example"]
    # It is known by now, and has its name for ever.
    ready = json.loads(serve(tmp_path, "--log", vkey, "--json").stdout)
    assert (ready["event"], ready["name"], ready["vkeys"]) == (
        "ready",
        "w.example",
        keys,
    )
    assert serve(tmp_path, "--name", "x.example", "--log", vkey).exit_code == 2


@pytest.mark.usefixtures("served")
def test_logs_of_a_policy_are_cosigned(tmp_path, log) -> None:
    policy = tmp_path / "policy"
    policy.write_text(f"log {log.signer.verifier.vkey}\nquorum none\n")
    more = ("--name", "w.example", "--policy", policy, "--json")
    ready = json.loads(serve(tmp_path / "w", *more).stdout)
    assert ready["logs"] == ["log.example/main"]
    both = serve(tmp_path / "w", *more, "--log", log.signer.verifier.vkey)
    assert "named twice" in json.loads(both.stdout)["message"]


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--log", "nonsense"),
        ("--log", CosignatureSigner("c", PrivateKey(b"c" * 32)).verifier.vkey),
        ("--policy", "POLICY"),
        ("--port", 70_000),
        ("--host", "192.0.2.1"),
    ],
)
@pytest.mark.usefixtures("served")
def test_misuse_ends_with_2(tmp_path, log, more) -> None:
    (tmp_path / "policy").write_text("nonsense\n")
    given = [tmp_path / "policy" if item == "POLICY" else item for item in more]
    if given and given[0] in {"--port", "--host"}:
        given += ["--log", log.signer.verifier.vkey]
    assert serve(tmp_path / "w", "--name", "w.example", *given).exit_code == 2


@pytest.mark.usefixtures("served")
def test_new_witness_needs_a_name(tmp_path, log) -> None:
    result = serve(tmp_path, "--log", log.signer.verifier.vkey)
    assert result.exit_code == 2
    assert "[LEDGER.WITNESS_CONFIG]" in result.stderr


def test_lost_memory_is_told(tmp_path, log) -> None:
    open_witness(tmp_path, name="w.example").store.close()
    for path in tmp_path.glob("witness.db*"):
        path.unlink()
    result = serve(tmp_path, "--log", log.signer.verifier.vkey)
    assert result.exit_code == 1
    assert "[LEDGER.WITNESS_STORE]" in result.stderr


@pytest.fixture
def used(tmp_path, log) -> Path:
    """A folder of a witness that has cosigned, and has met a fork."""
    opened = open_witness(tmp_path, name="w.example")
    witness = Witness(
        opened.store,
        opened.keys.cosigners,
        group_by_origin([log.signer.verifier]),
        evidence=opened.evidence,
        now_s=lambda: NOW_S,
    )
    witness.add_checkpoint(log.request(0))
    witness.add_checkpoint(log.fork(7).grow(1, "other").request(8))
    opened.store.close()
    return tmp_path


def test_show_tells_keys_logs_and_forks(used) -> None:
    result = run("show", "--folder", used)
    assert result.exit_code == 0
    for part in ("w.example", "log.example/main", "8", "2027-01-15T08:00:00Z", "FORK"):
        assert part in result.stdout


def test_show_as_json(used, log) -> None:
    said = json.loads(run("show", "--folder", used, "--json").stdout)
    assert [Verifier.parse(vkey).name for vkey in said["vkeys"]] == ["w.example"] * 2
    assert said["logs"] == [
        {
            "origin": "log.example/main",
            "size": 8,
            "root": log.checkpoint().text.splitlines()[2],
            "cosignedAtS": NOW_S,
        }
    ]
    (path,) = said["evidence"]
    assert Path(path).is_dir()


def test_show_of_nothing_ends_with_2(tmp_path) -> None:
    result = run("show", "--folder", tmp_path / "missing", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["code"] == "LEDGER.WITNESS_CONFIG"


def test_decision_is_one_safe_line(capsys, monkeypatch) -> None:
    monkeypatch.setattr(command, "system_now_ms", lambda: NOW_S * 1_000)
    command._teller(as_json=False)(404, "\x1b[31mlog\nis unknown")
    assert capsys.readouterr().out == (
        "2027-01-15T08:00:00Z 404 \\x1b[31mlog\\nis unknown\n"
    )
    command._teller(as_json=True)(404, "\x1b[31mlog\nis unknown")
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["status"] == 404
