import pytest

from ledger.encoding import decode_base64, sha256_text
from sdk.errors import MarketAnswerError, MarketRefusedError
from sdk.payloads import INLINE_BYTES_MAX
from sdk.provider.courier import EVIDENCE_WAITS, WAIT_LONGEST_S, Courier, digest_of
from sdk.provider.lease import LeaseGoneError

BLOBS = "/blobs/v0.1/blobs"


@pytest.fixture
def make_courier(scripted, events, patience):
    def make(stopping=None, holds=lambda _: True) -> Courier:
        return Courier(
            scripted.transport,
            holds=holds,
            stopping=stopping or patience(),
            tell=events,
        )

    return make


def test_request_outlasts_the_market(scripted, make_courier, patience, events) -> None:
    def come_back(waits: int) -> None:
        scripted.is_away = waits < 8

    scripted.is_away = True
    scripted.answers["/here"] = lambda _: {"here": True}
    stopping = patience(come_back)
    courier = make_courier(stopping)
    answer = courier.persist(lambda: scripted.transport.get_json("/here"))
    assert answer == {"here": True}
    assert events.names() == ["market_away", "market_back"]
    assert stopping.waits_s == sorted(stopping.waits_s)
    assert stopping.waits_s[-1] == WAIT_LONGEST_S


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_market_is_asked_again(scripted, make_courier, refusal, status) -> None:
    answers = [refusal(status, "BUSY")] * 6 + [{}]
    scripted.answers["/here"] = lambda _: answers.pop(0)
    courier = make_courier()
    while answers:
        assert courier.persist(lambda: scripted.transport.get_json("/here")) == {}


def test_refusal_is_final(scripted, make_courier, refusal) -> None:
    scripted.answers["/here"] = lambda _: refusal(404, "NOT_FOUND")
    with pytest.raises(MarketRefusedError):
        make_courier().persist(lambda: scripted.transport.get_json("/here"))
    assert len(scripted.requests) == 1


def test_stop_ends_repetition(scripted, make_courier, patience) -> None:
    scripted.is_away = True
    stopping = patience(lambda _: stopping.set())
    with pytest.raises(LeaseGoneError):
        make_courier(stopping).persist(lambda: scripted.transport.get_json("/here"))


def test_lost_lease_ends_repetition(
    scripted, make_courier, patience, make_lease
) -> None:
    scripted.is_away = True
    waits = patience()
    courier = make_courier(waits, holds=lambda _: len(waits.waits_s) < 3)
    with pytest.raises(LeaseGoneError):
        courier.persist(
            lambda: scripted.transport.get_json("/here"), lease=make_lease()
        )


def test_small_payload_comes_inline(make_courier, make_lease, described) -> None:
    lease = make_lease()
    assert make_courier().fetch(lease, described(b"[1]"), "input") == b"[1]"


def test_altered_payload_is_refused(make_courier, make_lease, described) -> None:
    altered = described(b"[1]") | {"digest": sha256_text(b"[2]")}
    with pytest.raises(MarketAnswerError):
        make_courier().fetch(make_lease(), altered, "input")


def test_payload_of_lost_job_is_gone(
    scripted, make_courier, make_lease, described, refusal
) -> None:
    lease = make_lease()
    path = f"/compute-jobs/v0.1/jobs/{lease.job_id}/payloads/input"
    scripted.answers[path] = lambda _: refusal(404, "NOT_FOUND")
    elsewhere = described(b"x" * 10) | {"inline": None}
    with pytest.raises(LeaseGoneError, match="NOT_FOUND"):
        make_courier().fetch(lease, elsewhere, "input")


def test_large_result_goes_ahead_as_blob(scripted, make_courier, make_lease) -> None:
    scripted.answers[BLOBS] = lambda _: {}
    data = b"x" * (INLINE_BYTES_MAX + 1)
    payload = make_courier().upload(make_lease(), data)
    assert payload == {"blob": sha256_text(data)}
    assert scripted.sent(BLOBS) == [data]


def test_evidence_is_shown(scripted, make_courier, make_lease) -> None:
    lease = make_lease(attempt=3)
    path = f"/node-agent/v0.1/leases/{lease.job_id}/evidence"
    scripted.answers[path] = lambda _: {}
    make_courier().show_evidence(lease, b"evidence")
    (report,) = scripted.sent(path)
    assert report["attempt"] == 3
    assert decode_base64(report["evidence"]["inline"]) == b"evidence"


def test_sealed_input_is_waited_for(
    scripted, make_courier, make_lease, described
) -> None:
    lease = make_lease()
    answers = [{"input": None}, {"input": described(b"sealed")}]
    path = f"/node-agent/v0.1/leases/{lease.job_id}/sealed-input"
    scripted.answers[path] = lambda _: answers.pop(0)
    assert make_courier().await_sealed_input(lease) == described(b"sealed")


def test_consumer_who_never_seals_is_left(scripted, make_courier, make_lease) -> None:
    lease = make_lease()
    path = f"/node-agent/v0.1/leases/{lease.job_id}/sealed-input"
    scripted.answers[path] = lambda _: {"input": None}
    with pytest.raises(LeaseGoneError):
        make_courier().await_sealed_input(lease)
    assert len(scripted.sent(path)) == EVIDENCE_WAITS


@pytest.mark.parametrize("value", [None, {}, {"digest": "x", "sizeBytes": 1}, 7])
def test_payload_without_digest_is_refused(value) -> None:
    with pytest.raises(MarketAnswerError):
        digest_of(value)
