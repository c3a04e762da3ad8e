"""Functions as jobs, apart from any market: sealing for evidence, opening results."""

import os
from dataclasses import replace
from typing import Any

import pytest

from enclave_sim.attestation import Attestation, EnclaveKeys
from enclave_sim.attestation.vendor import SimulatedChip
from enclave_sim.channel import ChannelKey
from enclave_sim.sandbox.outcome import FailureCode, Outcome
from enclave_sim.sealed_result import seal_result
from enclave_sim.session import Session as EnclaveSession
from ledger.charging.tariff import Tariff
from ledger.log.log_keys import LogKeys
from ledger.log.note import Signer
from ledger.signing import PrivateKey
from sdk.errors import JobDisputedError, UntrustedEvidenceError
from sdk.function_orders import FunctionOrders
from sdk.payloads import encode_outcome
from sdk.python_work import EnclaveWork, SandboxWork
from sdk.session import Session
from sdk.source import read_source
from sdk.transport import Transport

NOW_MS = 1_790_000_000_000
INPUT = b"[21]"


def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def session() -> Session:
    key = PrivateKey.generate()
    return Session(
        url="http://market.test",
        transport=Transport("http://market.test", key, now_ms=lambda: NOW_MS),
        key=key,
        now_ms=lambda: NOW_MS,
        market=PrivateKey.generate().account_id,
        log_keys=LogKeys((Signer("log.test", PrivateKey.generate()).verifier,)),
        runner="ab" * 48,
        tariff=Tariff(lines=()),
        lease_ms=1_000,
    )


def make_work(session: Session, **options: Any) -> Any:
    given = {"sensitivity": "confidential"} | options
    orders = FunctionOrders.of(read_source(double), given)  # type: ignore[arg-type]
    return orders.work(INPUT, session)


class Enclave:
    """An honest one, for one attempt at one work."""

    def __init__(self, work: EnclaveWork, chip: SimulatedChip, attempt: int) -> None:
        self.channel, self.key = ChannelKey.generate(), PrivateKey.generate()
        self.session = EnclaveSession(
            challenge=work._challenge(attempt),
            keys=EnclaveKeys(channel=self.channel.public, result=self.key.public.data),
            measurement=work.measurement,
        )
        evidence = chip.report(
            measurement=work.measurement, report_data=self.session.report_data
        )
        self.evidence = Attestation(evidence, self.session.keys).encode()

    def answer(self, sealed: bytes, outcome: Outcome) -> bytes:
        return seal_result(
            outcome, self.session, sealed_input=sealed, key=self.key
        ).encode()


OUTCOME = Outcome(status="succeeded", result=b"42", log=b"", fuel=100)


def test_sealed_input_opens_in_enclave_alone(session, chip) -> None:
    work = make_work(session)
    enclave = Enclave(work, chip, 1)
    sealed = work.seal(enclave.evidence, attempt=1, now_ms=NOW_MS)
    info = enclave.session.info("input")
    assert enclave.channel.open(sealed, info=info) == INPUT
    opened = work.open(enclave.answer(sealed, OUTCOME), attempt=1)
    assert (opened.value, opened.assurance) == (42, "simulated")


def test_input_fits_the_limit_it_was_ordered_with(session, chip) -> None:
    work = make_work(session)
    enclave = Enclave(work, chip, 1)
    sealed = work.seal(enclave.evidence, attempt=1, now_ms=NOW_MS)
    assert len(sealed) == work.order.draft.limits.input_bytes


def test_each_attempt_is_appraised_anew(session, chip) -> None:
    work = make_work(session)
    first, second = Enclave(work, chip, 1), Enclave(work, chip, 2)
    sealed = work.seal(first.evidence, attempt=1, now_ms=NOW_MS)
    with pytest.raises(UntrustedEvidenceError, match="report_data"):
        work.seal(first.evidence, attempt=2, now_ms=NOW_MS)
    sealed_again = work.seal(second.evidence, attempt=2, now_ms=NOW_MS)
    assert work.open(second.answer(sealed_again, OUTCOME), attempt=2).value == 42
    with pytest.raises(JobDisputedError):
        work.open(first.answer(sealed, OUTCOME), attempt=2)


def test_same_attempt_gets_same_bytes(session, chip) -> None:
    work = make_work(session)
    evidence = Enclave(work, chip, 1).evidence
    sealed = work.seal(evidence, attempt=1, now_ms=NOW_MS)
    assert work.seal(b"whatever", attempt=1, now_ms=NOW_MS) == sealed


def test_simulated_evidence_is_no_hardware(session, chip) -> None:
    for options in ({"assurance_min": "hardware"}, {"sensitivity": "restricted"}):
        work = make_work(session, **options)
        enclave = Enclave(work, chip, 1)
        with pytest.raises(UntrustedEvidenceError, match=r"snp\.root"):
            work.seal(enclave.evidence, attempt=1, now_ms=NOW_MS)


@pytest.mark.parametrize("evidence", [b"", b"{}", b"\xff", os.urandom(2_000)])
def test_garbage_evidence_is_refused(session, evidence) -> None:
    with pytest.raises(UntrustedEvidenceError):
        make_work(session).seal(evidence, attempt=1, now_ms=NOW_MS)


def test_expired_certificates_are_refused(session, chip) -> None:
    work = make_work(session)
    enclave = Enclave(work, chip, 1)
    with pytest.raises(UntrustedEvidenceError, match=r"snp\.validity"):
        work.seal(enclave.evidence, attempt=1, now_ms=NOW_MS + 2**41)


def test_result_without_evidence_is_disputed(session, chip) -> None:
    work = make_work(session)
    enclave = Enclave(work, chip, 1)
    with pytest.raises(JobDisputedError, match="without evidence"):
        work.open(enclave.answer(b"never sealed", OUTCOME), attempt=1)


def test_result_of_another_session_is_disputed(session, chip) -> None:
    work, other = make_work(session), make_work(session)
    enclave, foreign = Enclave(work, chip, 1), Enclave(other, chip, 1)
    sealed = work.seal(enclave.evidence, attempt=1, now_ms=NOW_MS)
    for result in (
        foreign.answer(sealed, OUTCOME),
        enclave.answer(sealed + b"x", OUTCOME),
        enclave.answer(sealed, OUTCOME)[:-1],
    ):
        with pytest.raises(JobDisputedError) as dispute:
            work.open(result, attempt=1)
        assert dispute.value.reason == "result_invalid"


def test_more_fuel_than_ordered_is_disputed(session) -> None:
    work = make_work(session, sensitivity="public", fuel=1_000)
    assert isinstance(work, SandboxWork)
    assert work.open(encode_outcome(replace(OUTCOME, fuel=1_000)), attempt=1)
    with pytest.raises(JobDisputedError, match="fuel"):
        work.open(encode_outcome(replace(OUTCOME, fuel=1_001)), attempt=1)


@pytest.mark.parametrize("result", [b"{", b"\xff", b"[" * 100_000, b"NaN"])
def test_result_that_is_no_json_is_disputed(session, result) -> None:
    work = make_work(session, sensitivity="public")
    with pytest.raises(JobDisputedError, match="not JSON"):
        work.open(encode_outcome(replace(OUTCOME, result=result)), attempt=1)


def test_failure_is_told_with_log_and_line(session) -> None:
    work = make_work(session, sensitivity="public")
    outcome = Outcome.failed(
        FailureCode.RAISED, "ValueError: no", fuel=5, line=3, log=b"seen\xff"
    )
    opened = work.open(encode_outcome(outcome), attempt=1)
    assert (opened.status, opened.value) == ("failed", None)
    assert opened.failure.line == double.__code__.co_firstlineno + 1
    assert opened.failure.log == "seen\N{REPLACEMENT CHARACTER}"
    assert __file__ in str(opened.failure)


def test_sandbox_never_seals(session) -> None:
    with pytest.raises(UntrustedEvidenceError):
        make_work(session, sensitivity="public").seal(b"{}", attempt=1, now_ms=NOW_MS)
