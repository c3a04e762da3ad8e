"""The log changes its keys while it runs; who knew the old ones learns the new."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from parties import Cast, RunningMarket, wait_until
from scripted_witness import make_witness, serve_witness
from serving import serve_in_thread
from sqlmodel import Session
from typer.testing import CliRunner

from ledger.audit.key_rotation import KeyHistory, keys_after, verify_key_change
from ledger.audit.receipt import verify_receipt
from ledger.errors import KeyFileError, NoteError
from ledger.key_files import create_ml_dsa_key
from ledger.log import LogKeys, WitnessPolicy, open_checkpoint, parse_proof
from ledger.log.models import LogEntry
from ledger.statements.kinds import LogKeyStatement
from ledger.statements.statement import parse_statement
from market.cli import app as market_command
from market.log_site.key_folder import FolderSigners, KeyFolder
from sdk.errors import PinError
from sdk.market import Market
from sdk.pins import pin_path

ORIGIN = "sixfold.example/market"
WEEK_MS = 7 * 24 * 3600 * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "market"


@pytest.fixture
def market(folder: Path) -> Iterator[RunningMarket]:
    with serve_in_thread(folder) as market:
        yield market


def keys_in(folder: Path) -> KeyFolder:
    return KeyFolder(folder, ORIGIN, lambda: 1)


def log_keys(market: RunningMarket) -> LogKeys:
    return LogKeys.parse(httpx.get(f"{market.url}/log/log.vkey").text)


def note_of(market: RunningMarket) -> bytes:
    return httpx.get(f"{market.url}/log/checkpoint").raise_for_status().content


def change_of(market: RunningMarket, generation: int = 2) -> bytes:
    url = f"{market.url}/log/keys/{generation}.tlog-proof"
    return httpx.get(url).raise_for_status().content


def account_of(market: RunningMarket) -> str:
    return str(httpx.get(f"{market.url}/market/v0.1/description").json()["market"])


def is_signed(note: bytes, keys: LogKeys) -> bool:
    try:
        open_checkpoint(note, keys)
    except NoteError:
        return False
    return True


def changes_recorded(market: RunningMarket) -> list[LogKeyStatement]:
    def read(session: Session) -> list[LogKeyStatement]:
        size = market.context.log.published().size  # type: ignore[union-attr]
        entries = [session.get(LogEntry, index) for index in range(size)]
        bodies = [parse_statement(entry.data).body for entry in entries if entry]
        return [body for body in bodies if isinstance(body, LogKeyStatement)]

    with market.context.database.reading() as session:
        return read(session)


def rotate(market: RunningMarket, folder: Path, generation: int = 2) -> None:
    """Make new keys, and wait until the market has made the change known."""
    keys_in(folder).create_next()
    path = f"{market.url}/log/keys/{generation}.tlog-proof"
    wait_until(lambda: httpx.get(path).is_success)


def retire(market: RunningMarket, old: LogKeys) -> None:
    """Let the transition end, and wait for a checkpoint without the old keys."""
    market.clock.advance(WEEK_MS)

    def is_retired() -> bool:
        with Cast(market) as cast:
            cast.stranger().register()
        return not is_signed(note_of(market), old)

    wait_until(is_retired, timeout_s=20)


def test_change_is_recorded_once_and_both_sign(
    market: RunningMarket, folder: Path
) -> None:
    old = log_keys(market)
    rotate(market, folder)
    new = log_keys(market)
    assert new != old
    assert len(new.verifiers) == 2
    assert keys_after(old, change_of(market), market=account_of(market)) == new
    for keys in (old, new):
        assert is_signed(note_of(market), keys)
    (statement,) = changes_recorded(market)
    assert (statement.before, statement.after) == (old.vkeys, new.vkeys)
    assert statement.before_until_ms - statement.changed_at_ms == WEEK_MS
    described = httpx.get(f"{market.url}/market/v0.1/description").json()
    assert described["logKeys"] == list(new.vkeys)
    assert described["logKeyGeneration"] == 2


@pytest.mark.slow
def test_old_keys_sign_no_more_after_the_transition(
    market: RunningMarket, folder: Path
) -> None:
    old = log_keys(market)
    with Cast(market) as cast:
        early, early_receipt = paid_receipt(cast)
    rotate(market, folder)
    new = log_keys(market)
    retire(market, old)
    assert is_signed(note_of(market), new)
    with Cast(market) as cast:
        late, late_receipt = paid_receipt(cast)
    # What was signed once stays valid, under the keys of its time.
    assert verify_receipt(early_receipt, old).job_id == early
    assert verify_receipt(late_receipt, new).job_id == late
    change = verify_key_change(old, change_of(market), market=account_of(market))
    history = KeyHistory(old).then(change)
    for receipt in (early_receipt, late_receipt):
        assert history.open(parse_proof(receipt).checkpoint_note)
    with pytest.raises(NoteError):
        open_checkpoint(note_of(market), old)


def paid_receipt(cast: Cast) -> tuple[str, bytes]:
    consumer, provider = cast.consumer(funds=10**9), cast.provider()
    order = consumer.make_order()
    consumer.place(order)
    provider.work()
    consumer.settle(order.job_id)
    return order.job_id, consumer.receipt(order.job_id)


@pytest.mark.slow
def test_second_change_follows_the_first(market: RunningMarket, folder: Path) -> None:
    first = log_keys(market)
    rotate(market, folder)
    second = log_keys(market)
    keys_in(folder).create_next()
    # The third waits until the transition to the second is over.
    assert log_keys(market) == second
    retire(market, first)
    wait_until(lambda: log_keys(market) != second)
    third = log_keys(market)
    account = account_of(market)
    assert keys_after(first, change_of(market, 2), market=account) == second
    assert keys_after(second, change_of(market, 3), market=account) == third
    assert [item.generation for item in changes_recorded(market)] == [2, 3]
    assert is_signed(note_of(market), second)


@pytest.mark.slow
def test_change_made_while_stopped_is_taken_up_at_start(folder: Path) -> None:
    with serve_in_thread(folder) as market:
        old = log_keys(market)
    keys_in(folder).create_next()
    with serve_in_thread(folder) as market:
        wait_until(lambda: log_keys(market) != old)
        assert len(changes_recorded(market)) == 1


@pytest.mark.slow
def test_change_outlives_restarts(folder: Path) -> None:
    """In the transition and after it, and the statement is never repeated."""
    with serve_in_thread(folder) as market:
        old = log_keys(market)
        rotate(market, folder)
        new = log_keys(market)
    with serve_in_thread(folder) as market:
        with Cast(market) as cast:
            cast.stranger().register()
        assert log_keys(market) == new
        assert is_signed(note_of(market), old)
        retire(market, old)
    settings: dict[str, Any] = {"log_key_transition_ms": 0}
    with serve_in_thread(folder, **settings) as market:
        assert log_keys(market) == new
        assert is_signed(note_of(market), new)
        assert len(changes_recorded(market)) == 1
        assert keys_after(old, change_of(market), market=account_of(market)) == new


def test_key_that_is_half_made_is_not_used(market: RunningMarket, folder: Path) -> None:
    """The ML-DSA file is written first; a crash after it leaves no set of keys."""
    keys = keys_in(folder)
    create_ml_dsa_key(folder / "log-2-mldsa.key")
    assert keys.newest() == 1
    rotate(market, folder)
    assert len(log_keys(market).verifiers) == 2


@pytest.mark.slow
def test_log_of_one_key_gets_the_second_by_a_change(folder: Path) -> None:
    with serve_in_thread(folder):
        pass
    for path in ("log/checkpoint", "log-mldsa.key"):
        (folder / path).unlink()
    with serve_in_thread(folder) as market:
        assert len(log_keys(market).verifiers) == 1
        rotate(market, folder)
        assert len(log_keys(market).verifiers) == 2


def test_signers_take_up_new_keys_at_once(tmp_path: Path) -> None:
    """No checkpoint is signed without keys that are there, whoever made them."""
    keys = keys_in(tmp_path)
    signers = FolderSigners(keys)
    keys.create(2)
    note = signers.sign(f"{ORIGIN}\n1\n{'A' * 43}=\n")
    assert is_signed(note, keys.keys(1))
    assert is_signed(note, keys.keys(2))


def test_next_keys_wait_for_the_last(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    with pytest.raises(KeyFileError, match="no keys"):
        keys.create_next()
    keys.create(1)
    assert keys.create_next() == 2
    with pytest.raises(KeyFileError, match="not taken up"):
        keys.create_next()


@pytest.mark.slow
def test_pinned_client_follows_the_change(folder: Path, tmp_path: Path) -> None:
    """Also after the old keys have signed their last checkpoint."""
    key_path = tmp_path / "alice.key"
    at_once: dict[str, Any] = {"log_key_transition_ms": 0}
    with serve_in_thread(folder, **at_once) as market:
        with Market.open(market.url, key=key_path, create_key=True) as alice:
            old = alice.log_keys
        rotate(market, folder)
        wait_until(lambda: market.context.log.signers.oldest_signing == 2)
        rotate(market, folder, 3)
        assert pinned(key_path, market) == old
        with Market.open(market.url, key=key_path) as alice:
            assert alice.log_keys == log_keys(market).vkeys != old
        assert pinned(key_path, market) == log_keys(market).vkeys
        with Market.open(market.url, key=key_path) as alice:
            assert alice.top_up(1)


def pinned(key_path: Path, market: RunningMarket) -> tuple[str, ...]:
    pins = json.loads(pin_path(key_path).read_text())
    return tuple(pins["markets"][market.url]["logKeys"])


def test_pinned_client_refuses_keys_that_do_not_follow(
    market: RunningMarket, folder: Path, tmp_path: Path
) -> None:
    key_path = tmp_path / "alice.key"
    with Market.open(market.url, key=key_path, create_key=True):
        pass
    rotate(market, folder)
    # Somebody who could change what is served, and has no key of the log.
    proof = folder / "log" / "keys" / "2.tlog-proof"
    proof.write_bytes(proof.read_bytes().replace(b"extra ey", b"extra eX", 1))
    with pytest.raises(PinError, match="another log key"):
        Market.open(market.url, key=key_path)


@pytest.mark.slow
def test_change_is_cosigned_in_the_end(folder: Path, tmp_path: Path) -> None:
    with serve_witness(make_witness("one")) as witness:
        path = tmp_path / "policy"
        path.write_text(f"{witness.policy_line()}\nquorum one\n")
        policy = WitnessPolicy.parse(path.read_bytes())
        with serve_in_thread(folder, witness_policy=path) as market:
            old = log_keys(market)
            rotate(market, folder)
            retire(market, old)
            assert verify_key_change(
                old, change_of(market), market=account_of(market), policy=policy
            )


def test_command_makes_keys(folder: Path) -> None:
    run = CliRunner().invoke
    arguments = ["rotate-log-key", "--folder", str(folder), "--json"]
    result = run(market_command, arguments)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["code"] == "LEDGER.KEY_FILE"
    keys_in(folder).create(1)
    result = run(market_command, arguments)
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    keys = keys_in(folder).keys(2)
    assert shown == {"generation": 2, "logKeys": list(keys.vkeys)}
    result = run(market_command, arguments)
    assert result.exit_code == 1
    text = run(market_command, arguments[:-1])
    assert "not taken up" in text.output


def test_changes_that_never_were_are_not_there(market: RunningMarket) -> None:
    for name, status in (("2", 404), ("1", 400), ("x", 400), (str(2**40), 400)):
        url = f"{market.url}/log/keys/{name}.tlog-proof"
        assert httpx.get(url).status_code == status
