"""Changes of a log's keys, as readers follow them from the old keys alone."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audited_market import ORIGIN, AuditedMarket, WrittenMarket, fixed_key

from ledger.audit.errors import RuleError
from ledger.audit.history import History
from ledger.audit.key_rotation import (
    KeyChange,
    KeyHistory,
    keys_after,
    read_key_change,
    verify_key_change,
)
from ledger.audit.rules import Rule
from ledger.errors import NoteError
from ledger.log import (
    CosignatureSigner,
    LogKeys,
    Signer,
    TlogProof,
    WitnessPolicy,
    open_checkpoint,
    parse_proof,
)
from ledger.log.log_signers import LogSigners
from ledger.statements.statement import parse_statement

FIRST = Signer(ORIGIN, fixed_key("log"))
SECOND = Signer(ORIGIN, fixed_key("second log"))
OTHER = Signer(ORIGIN, fixed_key("other"))
FIRST_KEYS, SECOND_KEYS, OTHER_KEYS = (
    LogKeys((signer.verifier,)) for signer in (FIRST, SECOND, OTHER)
)
MARKET = fixed_key("market").account_id


class RotatedLog:
    """A published log that has changed its keys, and its notes before and after."""

    def __init__(self, folder: Path) -> None:
        self.market = AuditedMarket()
        self.market.open_market()
        self.signers = LogSigners([FIRST])
        self.written = WrittenMarket(self.market, folder)
        self.written.log.signers = self.signers
        self.written.publish()
        self.note_before = self.note()
        self.signers.add([SECOND])
        self.market.change_log_keys()
        self.written.publish()
        self.note_between = self.note()
        self.proof = self.publish_change()
        self.signers.retire_before(2)
        self.market.register(self.market.owner)
        self.written.publish()
        self.note_after = self.note()

    def note(self) -> bytes:
        note = self.written.log.published_note()
        assert note is not None
        return note

    def publish_change(self) -> bytes:
        proof = self.written.log.prove(1)
        entry = self.market.entries[1]
        return dataclasses.replace(proof, extra=entry).encode()


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RotatedLog]:
    log = RotatedLog(tmp_path_factory.mktemp("rotated"))
    yield log
    log.written.close()


def test_new_keys_follow_from_the_old(rotated: RotatedLog) -> None:
    assert keys_after(FIRST_KEYS, rotated.proof, market=MARKET) == SECOND_KEYS
    assert keys_after(FIRST_KEYS, rotated.proof, market=None) == SECOND_KEYS
    change = verify_key_change(FIRST_KEYS, rotated.proof, market=MARKET)
    assert change == KeyChange(1, 2, MARKET, FIRST_KEYS, SECOND_KEYS)


def test_change_is_refused_under_other_keys(rotated: RotatedLog) -> None:
    with pytest.raises(RuleError) as caught:
        keys_after(OTHER_KEYS, rotated.proof, market=MARKET)
    assert caught.value.rule is Rule.LOG_KEY
    # The new keys signed that checkpoint as well, and are not the ones replaced.
    with pytest.raises(RuleError):
        keys_after(SECOND_KEYS, rotated.proof, market=MARKET)


def test_change_by_another_market_is_refused(rotated: RotatedLog) -> None:
    with pytest.raises(RuleError) as caught:
        keys_after(FIRST_KEYS, rotated.proof, market=fixed_key("other").account_id)
    assert caught.value.rule is Rule.MARKET


@pytest.mark.parametrize("data", [b"", b"garbage", b"\n\n", b"x" * 300_000])
def test_change_of_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(RuleError):
        keys_after(FIRST_KEYS, data, market=MARKET)


def test_change_of_near_miss_is_refused(rotated: RotatedLog) -> None:
    proof = parse_proof(rotated.proof)
    entry = rotated.market.entries[1]
    changes: list[dict[str, Any]] = [
        {"extra": None},
        {"extra": b""},
        {"extra": rotated.market.entries[0]},
        {"extra": entry.replace(b'"generation":2', b'"generation":3')},
        {"index": 0},
        {"path": ()},
        {"path": (b"h" * 32,)},
        {"checkpoint_note": rotated.note_before},
    ]
    for change in changes:
        data = dataclasses.replace(proof, **change).encode()
        with pytest.raises(RuleError):
            keys_after(FIRST_KEYS, data, market=MARKET)


def test_change_needs_the_old_signature(rotated: RotatedLog) -> None:
    """After the transition only the new keys sign; the published proof is older."""
    late = dataclasses.replace(
        rotated.written.log.prove(1), extra=rotated.market.entries[1]
    )
    with pytest.raises(RuleError):
        keys_after(FIRST_KEYS, late.encode(), market=MARKET)


def test_other_statement_changes_no_keys(rotated: RotatedLog) -> None:
    proof: TlogProof = rotated.written.log.prove(0)
    entry = rotated.market.entries[0]
    data = dataclasses.replace(proof, extra=entry).encode()
    with pytest.raises(RuleError, match="changes no keys"):
        keys_after(SECOND_KEYS, data, market=MARKET)


@pytest.mark.parametrize(
    "changes",
    [
        {"before": (OTHER.verifier.vkey,)},
        {"after": (SECOND.verifier.vkey, SECOND.verifier.vkey)},
        {"after": ("garbage+00000000+AAAA",)},
        {"after": (Signer("other.example", fixed_key("x")).verifier.vkey,)},
        {"origin": "other.example"},
        {"before": (CosignatureSigner(ORIGIN, fixed_key("log")).verifier.vkey,)},
    ],
)
def test_statement_with_wrong_keys_is_refused(changes: dict[str, Any]) -> None:
    entry = AuditedMarket().change_log_keys(**changes).entry
    with pytest.raises(RuleError):
        read_key_change(FIRST_KEYS, 1, entry, market=MARKET)


def test_statement_must_be_signed() -> None:
    market = AuditedMarket()
    entry = market.change_log_keys().entry
    read_key_change(FIRST_KEYS, 1, entry, market=MARKET)
    forged = entry.replace(b'"changedAtMs":1', b'"changedAtMs":2')
    assert forged != entry
    with pytest.raises(RuleError) as caught:
        read_key_change(FIRST_KEYS, 1, forged, market=MARKET)
    assert caught.value.rule is Rule.SIGNATURE


def test_policy_is_asked(rotated: RotatedLog) -> None:
    witness = CosignatureSigner("witness.example", fixed_key("witness"))
    policy = WitnessPolicy.parse(
        f"witness w {witness.verifier.vkey}\nquorum w\n".encode()
    )
    with pytest.raises(RuleError, match="not met"):
        verify_key_change(FIRST_KEYS, rotated.proof, market=MARKET, policy=policy)
    text = rotated.note_between.rpartition(b"\n\n")[0].decode() + "\n"
    cosigned = rotated.proof + witness.cosign(text, time_s=1).line.encode()
    verify_key_change(FIRST_KEYS, cosigned, market=MARKET, policy=policy)


def test_history_opens_each_note_with_the_keys_of_its_time(
    rotated: RotatedLog,
) -> None:
    change = verify_key_change(FIRST_KEYS, rotated.proof, market=MARKET)
    history = KeyHistory(FIRST_KEYS).then(change)
    assert history == KeyHistory(SECOND_KEYS, (change,))
    assert history.at(1) == FIRST_KEYS
    assert history.at(2) == SECOND_KEYS
    sizes = [
        history.open(note).checkpoint.size
        for note in (rotated.note_before, rotated.note_between, rotated.note_after)
    ]
    assert sizes == [1, 2, 3]


def test_old_keys_do_not_count_for_later_checkpoints(rotated: RotatedLog) -> None:
    """Whoever stole the old key cannot extend the log with it."""
    change = verify_key_change(FIRST_KEYS, rotated.proof, market=MARKET)
    history = KeyHistory(SECOND_KEYS, (change,))
    text = rotated.note_after.rpartition(b"\n\n")[0].decode() + "\n"
    stolen = f"{text}\n{FIRST.sign(text).line}".encode()
    assert open_checkpoint(stolen, FIRST_KEYS).size == 3
    with pytest.raises(NoteError):
        history.open(stolen)
    with pytest.raises(NoteError):
        KeyHistory(SECOND_KEYS).open(rotated.note_before)


def test_history_refuses_changes_that_do_not_follow(rotated: RotatedLog) -> None:
    change = verify_key_change(FIRST_KEYS, rotated.proof, market=MARKET)
    with pytest.raises(RuleError):
        KeyHistory(SECOND_KEYS).then(change)
    with pytest.raises(RuleError):
        KeyHistory(FIRST_KEYS, (change,))
    with pytest.raises(RuleError):
        KeyHistory(SECOND_KEYS, (change, change))


def test_auditor_takes_changes_in_order() -> None:
    market = AuditedMarket()
    market.open_market()
    market.change_log_keys()
    market.change_log_keys(
        generation=3, before=(SECOND.verifier.vkey,), after=(OTHER.verifier.vkey,)
    )
    take_all(market)


@pytest.mark.parametrize(
    "changes",
    [
        {"generation": 2, "before": (SECOND.verifier.vkey,)},
        {"generation": 4, "before": (SECOND.verifier.vkey,)},
        {"generation": 3},
        {"generation": 3, "before": (SECOND.verifier.vkey,), "origin": "other"},
    ],
)
def test_auditor_refuses_changes_out_of_order(changes: dict[str, Any]) -> None:
    market = AuditedMarket()
    market.open_market()
    market.change_log_keys()
    market.change_log_keys(**changes)
    with pytest.raises(RuleError) as caught:
        take_all(market)
    assert caught.value.rule is Rule.LOG_KEY


def take_all(market: AuditedMarket) -> None:
    history = History(ORIGIN, market.entries.__getitem__)
    for index, entry in enumerate(market.entries):
        history.take(index, parse_statement(entry))
