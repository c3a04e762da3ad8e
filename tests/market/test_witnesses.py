"""The market's log and its witnesses, over real HTTP: true, slow, dead and false."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from parties import Cast, RunningMarket, wait_until
from scripted_witness import (
    COSIGNED_AT_S,
    Answer,
    ScriptedWitness,
    make_witness,
    serve_witness,
)
from serving import serve_in_thread
from witness_process import WitnessProcess

from ledger.errors import LogError, QuorumError
from ledger.log import (
    Checkpoint,
    CosignatureSigner,
    LogKeys,
    WitnessPolicy,
    open_checkpoint,
    parse_proof,
    sign_note,
)
from ledger.log.evidence import list_evidence
from ledger.log.models import LogHead
from ledger.log.witness_protocol import SIZE_MEDIA_TYPE, encode_size
from ledger.signing import PrivateKey
from market.errors import InvalidError
from market.jobs import routes
from market.log_site.key_folder import KeyFolder
from market.witnessing.witnesses import ALARMS_KEPT_MAX, read_policy
from sdk.errors import MarketUnavailableError

NOBODY = "http://127.0.0.1:9"
"""A port at which nobody listens."""


class Stage:
    """Witnesses, a policy of them, and markets that follow it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy_path = folder / "witnesses.policy"
        self.made = ExitStack()

    def witness(self, name: str, **options: Any) -> ScriptedWitness:
        return self.made.enter_context(serve_witness(make_witness(name, **options)))

    def policy(self, *lines: str) -> WitnessPolicy:
        text = "".join(f"{line}\n" for line in lines)
        self.policy_path.write_text(text)
        return WitnessPolicy.parse(text.encode())

    def market(self, **settings: Any) -> RunningMarket:
        settings = {"witness_policy": self.policy_path, **settings}
        context = serve_in_thread(self.folder / "market", **settings)
        return self.made.enter_context(context)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    with stage.made:
        yield stage


def status(market: RunningMarket) -> Any:
    return httpx.get(f"{market.url}/log/witnesses").raise_for_status().json()


def log_keys(market: RunningMarket) -> LogKeys:
    return LogKeys.parse(httpx.get(f"{market.url}/log/log.vkey").text)


def note_of(market: RunningMarket, name: str = "checkpoint") -> bytes:
    return httpx.get(f"{market.url}/log/{name}").raise_for_status().content


def cosigned_by(market: RunningMarket) -> set[str]:
    return set(status(market)["checkpoint"]["cosignedAtS"])


def paid_job(cast: Cast) -> tuple[Any, str]:
    consumer, provider = cast.consumer(funds=10**9), cast.provider()
    order = consumer.make_order()
    consumer.place(order)
    provider.work()
    consumer.settle(order.job_id)
    return consumer, order.job_id


def test_market_without_policy_has_no_witnesses(market: RunningMarket) -> None:
    shown = status(market)
    assert shown["quorum"] is None
    assert shown["witnesses"] == []
    assert shown["checkpoint"]["isQuorumMet"]
    assert httpx.get(f"{market.url}/log/checkpoint.witnessed").status_code == 404
    keys = log_keys(market)
    assert [key.signature_type for key in keys.verifiers] == [0x01, 0x06]
    assert open_checkpoint(note_of(market), keys).size > 0
    assert open_checkpoint(note_of(market), keys.verifiers[0]).size > 0


@pytest.mark.slow
def test_receipt_carries_cosignatures(stage: Stage) -> None:
    one, two = stage.witness("one"), stage.witness("two", is_ml_dsa=True)
    policy = stage.policy(
        one.policy_line(), two.policy_line(), "group both all one two", "quorum both"
    )
    market = stage.market(require_quorum=True)
    with Cast(market) as cast:
        consumer, job_id = paid_job(cast)
        proof = parse_proof(consumer.receipt(job_id))
    keys = log_keys(market)
    opened = policy.verify(proof.checkpoint_note, keys)
    assert opened.witnessing.times_s == {"one": COSIGNED_AT_S, "two": COSIGNED_AT_S}
    assert proof.index < opened.checkpoint.size
    wait_until(lambda: cosigned_by(market) == {"one", "two"})
    shown = status(market)
    assert shown["checkpoint"] == shown["witnessed"]
    assert shown["checkpoint"]["isQuorumMet"]
    assert {item["name"]: item["error"] for item in shown["witnesses"]} == {
        "one": None,
        "two": None,
    }
    assert policy.verify(note_of(market, "checkpoint.witnessed"), keys)
    described = httpx.get(f"{market.url}/market/v0.1/description").json()
    assert described["witnesses"]["quorum"] == "both"
    assert described["witnesses"]["witnessed"]["isQuorumMet"]
    assert described["logKeys"] == list(keys.vkeys)


@pytest.mark.slow
def test_slow_witness_stops_nothing(stage: Stage) -> None:
    quick, slow = stage.witness("quick"), stage.witness("slow")
    released = threading.Event()
    true_answer = slow.answer

    def wait(body: bytes) -> Answer:
        released.wait(9)
        slow.behaviour = None
        return true_answer(body)

    slow.behaviour = wait
    stage.policy(quick.policy_line(), slow.policy_line(), "quorum quick")
    market = stage.market(require_quorum=True)
    try:
        with Cast(market) as cast:
            consumer, job_id = paid_job(cast)
            consumer.receipt(job_id)
            size = open_checkpoint(note_of(market), log_keys(market)).size
            consumer.top_up(1)
            wait_until(lambda: status(market)["checkpoint"]["size"] > size)
        assert len(slow.asked) == 1
        assert cosigned_by(market) <= {"quick"}
    finally:
        released.set()
    wait_until(lambda: cosigned_by(market) == {"quick", "slow"})


def test_dead_witness_stops_nothing(stage: Stage, caplog: Any) -> None:
    alive, dead = make_witness("alive"), make_witness("dead")
    with serve_witness(alive):
        stage.policy(alive.policy_line(), dead.policy_line(url=NOBODY), "quorum alive")
        market = stage.market()
        with Cast(market) as cast:
            consumer, job_id = paid_job(cast)
            assert consumer.receipt(job_id)
        standings = {item["name"]: item for item in status(market)["witnesses"]}
        assert standings["dead"]["error"]["code"] == "LEDGER.WITNESS_UNAVAILABLE"
        assert standings["dead"]["lastCosignedSize"] is None
        assert standings["alive"]["lastCosignedSize"] > 0
    told = [item for item in caplog.records if NOBODY in item.getMessage()]
    assert len(told) == 1, "told once, not at each checkpoint"


@pytest.mark.parametrize(
    "answer",
    [
        lambda _text: Answer(200, b"garbage"),
        lambda _text: Answer(200, b""),
        lambda _text: Answer(200, b"\xff" * 100_000),
        lambda text: Answer(200, stranger().cosign(text, time_s=1).line.encode()),
        lambda _text: Answer(200, true_key().cosign(OTHER, time_s=1).line.encode()),
        lambda _text: Answer(403, b"no\n"),
        lambda _text: Answer(500, b""),
        lambda _text: Answer(302, b""),
        lambda _text: Answer(409, b"5\n"),
        lambda _text: Answer(409, b"-5\n", SIZE_MEDIA_TYPE),
        lambda _text: Answer(409, encode_size(0), SIZE_MEDIA_TYPE),
    ],
)
def test_false_witness_does_not_count(
    stage: Stage, answer: Callable[[str], Answer]
) -> None:
    """What it says gets into no file; the market goes on and tells of it."""
    false = stage.witness("false")
    stage.policy(false.policy_line(), "quorum false")

    def behave(body: bytes) -> Answer:
        text = body.partition(b"\n\n")[2].partition(b"\n\n")[0].decode() + "\n"
        return answer(text)

    false.behaviour = behave
    market = stage.market()
    wait_until(lambda: status(market)["witnesses"][0]["error"])
    assert status(market)["checkpoint"]["cosignedAtS"] == {}
    assert note_of(market).count(b"\xe2\x80\x94 ") == 2
    assert status(market)["alarms"] == []
    with Cast(market) as cast:
        size = status(market)["checkpoint"]["size"]
        cast.consumer(funds=1)
        wait_until(lambda: status(market)["checkpoint"]["size"] > size)


OTHER = Checkpoint("sixfold.example/market", 1, b"r" * 32).text


def stranger() -> CosignatureSigner:
    """Another key under the same name."""
    return CosignatureSigner("witness.example/false", PrivateKey(b"s" * 32))


def true_key() -> CosignatureSigner:
    cosigner = make_witness("false").cosigner
    assert isinstance(cosigner, CosignatureSigner)
    return cosigner


@pytest.mark.slow
def test_receipt_waits_for_a_required_quorum(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "RECEIPT_WAIT_S", 0.3)
    monkeypatch.setattr(routes, "COSIGNATURES_WAIT_S", 0.1)
    witness = stage.witness("late")
    witness.behaviour = lambda _: Answer(503, b"")
    policy = stage.policy(witness.policy_line(), "quorum late")
    market = stage.market(require_quorum=True)
    with Cast(market) as cast:
        consumer, job_id = paid_job(cast)
        with pytest.raises(MarketUnavailableError, match="Too few witnesses"):
            consumer.receipt(job_id)
        assert not status(market)["checkpoint"]["isQuorumMet"]
        witness.behaviour = None
        monkeypatch.setattr(routes, "RECEIPT_WAIT_S", 10.0)
        proof = parse_proof(consumer.receipt(job_id))
    assert policy.verify(proof.checkpoint_note, log_keys(market))


def test_receipt_below_the_quorum_is_normal_if_none_is_required(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "COSIGNATURES_WAIT_S", 0.1)
    policy = stage.policy(make_witness("dead").policy_line(url=NOBODY), "quorum dead")
    market = stage.market()
    with Cast(market) as cast:
        consumer, job_id = paid_job(cast)
        proof = parse_proof(consumer.receipt(job_id))
    opened = policy.open(proof.checkpoint_note, log_keys(market))
    assert not opened.witnessing.is_quorum_met
    with pytest.raises(QuorumError):
        policy.verify(proof.checkpoint_note, log_keys(market))


def test_alarm_without_proof_is_told_and_stops_nothing(
    stage: Stage, caplog: Any
) -> None:
    witness = stage.witness("angry")
    witness.behaviour = lambda _: Answer(422, b"not consistent\n")
    stage.policy(witness.policy_line(), "quorum angry")
    market = stage.market()
    wait_until(lambda: status(market)["alarms"])
    (alarm,) = status(market)["alarms"]
    assert alarm["url"] == witness.url
    assert any(item.levelno == logging.CRITICAL for item in caplog.records)
    with Cast(market) as cast:
        size = status(market)["checkpoint"]["size"]
        cast.consumer(funds=1)
        wait_until(lambda: status(market)["checkpoint"]["size"] > size)
    assert len(status(market)["alarms"]) == 1
    described = httpx.get(f"{market.url}/market/v0.1/description").json()
    assert described["witnesses"]["alarms"] == 1


def sign_fork(folder: Path, size: int) -> bytes:
    """What this log must never have signed, signed with its keys."""
    keys = KeyFolder(folder / "market", "sixfold.example/market", lambda: 1)
    text = Checkpoint("sixfold.example/market", size, b"f" * 32).text
    return sign_note(text, keys.load(1))


@pytest.mark.slow
def test_proven_fork_stops_the_log_also_after_a_restart(stage: Stage) -> None:
    witness = stage.witness("strict")
    stage.policy(witness.policy_line(), "quorum strict")
    with serve_in_thread(
        stage.folder / "market", witness_policy=stage.policy_path
    ) as market:
        wait_until(lambda: cosigned_by(market) == {"strict"})
        witness.shown = sign_fork(stage.folder, 1)
        witness.behaviour = lambda _: Answer(422, b"not consistent\n")
        with Cast(market) as cast:
            cast.consumer(funds=1)
            wait_until(lambda: status(market)["alarms"])
            size = status(market)["checkpoint"]["size"]
            cast.consumer(funds=1)
            assert not published_beyond(market, size)
    (evidence,) = list_evidence(stage.folder / "market" / "evidence")
    assert (evidence / "checkpoint.first").read_bytes() == witness.shown
    market = stage.market()
    assert not published_beyond(market, size)


def published_beyond(market: RunningMarket, size: int) -> bool:
    """Whether a checkpoint appears within two rounds of the publisher."""
    waited = threading.Event()
    for _ in range(12):
        if status(market)["checkpoint"]["size"] > size:
            return True
        waited.wait(0.1)
    return False


@pytest.mark.slow
def test_witness_that_proves_lost_entries_stops_the_log(stage: Stage) -> None:
    """As after a restored backup: the witness has a signed note of a larger log."""
    witness = stage.witness("ahead")
    stage.policy(witness.policy_line(), "quorum ahead")
    with serve_in_thread(
        stage.folder / "market", witness_policy=stage.policy_path
    ) as market:
        wait_until(lambda: cosigned_by(market) == {"ahead"})
    witness.size = 1000
    witness.shown = sign_fork(stage.folder, 1000)
    for _ in range(2):
        with serve_in_thread(
            stage.folder / "market", witness_policy=stage.policy_path
        ) as market:
            # Asked before anything new is signed.
            assert status(market)["alarms"]
            size = status(market)["checkpoint"]["size"]
            with Cast(market) as cast:
                cast.consumer(funds=1)
                assert not published_beyond(market, size)
        # What it has shown is kept, so it need not show it again.
        witness.shown = None


def test_witness_that_only_claims_to_be_ahead_is_told(stage: Stage) -> None:
    witness = stage.witness("boaster")
    witness.size = 1000
    stage.policy(witness.policy_line(), "quorum boaster")
    market = stage.market()
    wait_until(lambda: status(market)["alarms"])
    with Cast(market) as cast:
        size = status(market)["checkpoint"]["size"]
        cast.consumer(funds=1)
        wait_until(lambda: status(market)["checkpoint"]["size"] > size)


@pytest.mark.slow
def test_restart_goes_on_in_the_middle(stage: Stage) -> None:
    """What was published before witnesses could be asked is cosigned after a restart;
    what was cosigned is kept."""
    witness = make_witness("returning")
    with serve_witness(witness):
        port = int(witness.url.rpartition(":")[2])
    stage.policy(witness.policy_line(), "quorum returning")
    folder = stage.folder / "market"
    settings = {"witness_policy": stage.policy_path, "require_quorum": True}
    with serve_in_thread(folder, **settings) as market:
        wait_until(lambda: status(market)["witnesses"][0]["error"])
        size = status(market)["checkpoint"]["size"]
    with serve_witness(witness, port), serve_in_thread(folder, **settings) as market:
        wait_until(lambda: cosigned_by(market) == {"returning"})
        assert status(market)["checkpoint"]["size"] == size
    with serve_in_thread(folder, **settings) as market:
        assert cosigned_by(market) == {"returning"}
        assert status(market)["witnessed"]["isQuorumMet"]
        assert market.context.witnesses.prove_witnessed(0)


@pytest.mark.slow
def test_policy_that_changes_is_judged_anew(stage: Stage) -> None:
    """What an old policy took for witnessed is not, if the new one asks for more."""
    one, two = stage.witness("one"), make_witness("two")
    stage.policy(one.policy_line(), "quorum one")
    folder = stage.folder / "market"
    with serve_in_thread(folder, witness_policy=stage.policy_path) as market:
        wait_until(lambda: status(market)["witnessed"])
    stage.policy(
        one.policy_line(),
        two.policy_line(url=NOBODY),
        "group both all one two",
        "quorum both",
    )
    market = stage.market()
    shown = status(market)["witnessed"]
    assert shown["cosignedAtS"] == {"one": COSIGNED_AT_S}
    assert not shown["isQuorumMet"]
    proof = market.context.witnesses.prove(0)
    assert proof.checkpoint_note == market.context.log.published_note()


@pytest.mark.slow
def test_market_mad_with_alarms_keeps_few(stage: Stage) -> None:
    witness = stage.witness("mad")
    answers = [Answer(422, b"no\n"), Answer(403, b"no\n")]
    count = [0]

    def alternate(_: bytes) -> Answer:
        count[0] += 1
        return answers[count[0] % 2]

    witness.behaviour = alternate
    stage.policy(witness.policy_line(), "quorum none")
    market = stage.market()
    rounds = market.context.witnesses
    for _ in range(3 * ALARMS_KEPT_MAX):
        seen = count[0]
        rounds.request()
        wait_until(lambda seen=seen: count[0] > seen)
    assert len(status(market)["alarms"]) <= ALARMS_KEPT_MAX


@pytest.mark.parametrize(
    ("text", "is_required", "message"),
    [
        ("garbage\n", False, "Line 1"),
        (f"{make_witness('w').policy_line(url='ftp://x')}\nquorum w\n", False, "ftp"),
        ("quorum none\n", True, "has none"),
        (None, True, "has none"),
    ],
)
def test_policy_that_cannot_be_used_is_refused(
    tmp_path: Path,
    text: str | None,
    is_required: bool,  # noqa: FBT001 - a table
    message: str,
) -> None:
    path = tmp_path / "policy" if text else None
    if path is not None and text is not None:
        path.write_text(text)
    with pytest.raises(InvalidError, match=message):
        read_policy(path, is_required=is_required)


def test_policy_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="cannot be read"):
        read_policy(tmp_path / "missing", is_required=False)


@pytest.mark.slow
def test_witness_of_our_own_cosigns(stage: Stage) -> None:
    """A real `sixfold witness` process, killed and started again in between."""
    folder = stage.folder / "market"
    with serve_in_thread(folder) as market:
        keys = log_keys(market)
    process = WitnessProcess(stage.folder / "witness", *keys.verifiers)
    sizes = []
    for _ in range(2):
        process.start()
        try:
            sizes.append(cosigned_size(stage, process, keys))
        finally:
            process.kill()
    assert sizes[0] < sizes[1]


def cosigned_size(stage: Stage, process: WitnessProcess, keys: LogKeys) -> int:
    """Commit something, and wait until both keys of the witness have cosigned it."""
    names = [f"w{at}" for at in range(len(process.keys))]
    policy = stage.policy(
        *(
            f"witness {name} {key.vkey} {process.url}"
            for name, key in zip(names, process.keys, strict=True)
        ),
        f"group all all {' '.join(names)}",
        "quorum all",
    )
    folder = stage.folder / "market"
    settings = {"witness_policy": stage.policy_path, "require_quorum": True}
    with serve_in_thread(folder, **settings) as market, Cast(market) as cast:
        cast.consumer(funds=5)
        index = committed_size(market) - 1
        wait_until(lambda: is_proved(market, index))
        note = note_of(market, "checkpoint.witnessed")
        return policy.verify(note, keys).checkpoint.size


def committed_size(market: RunningMarket) -> int:
    with market.context.database.reading() as session:
        head = session.get(LogHead, 1)
        return 0 if head is None else head.size


def is_proved(market: RunningMarket, index: int) -> bool:
    try:
        market.context.witnesses.prove_witnessed(index)
    except LogError:
        return False
    return True


def test_status_is_plain_json(market: RunningMarket) -> None:
    assert json.loads(json.dumps(status(market))) == status(market)
