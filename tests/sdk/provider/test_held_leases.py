import threading

import pytest

from sdk.errors import MarketAnswerError, MarketRefusedError
from sdk.provider.courier import Courier
from sdk.provider.held_leases import BEAT_LONGEST_S, Heartbeat, HeldLeases

BEATS = "/node-agent/v0.1/heartbeats"


@pytest.fixture
def held() -> HeldLeases:
    return HeldLeases()


def make_heartbeat(scripted, held, events, stopping, *, lease_ms=3_000) -> Heartbeat:
    courier = Courier(
        scripted.transport, holds=held.holds, stopping=stopping, tell=events
    )
    return Heartbeat(courier, held, stopping, events, lease_ms=lease_ms)


def test_leases_are_held_until_dropped(held, make_lease) -> None:
    one, two = make_lease(1), make_lease(2)
    held.add([one, two])
    held.drop(one)
    assert (held.holds(one), held.holds(two), held.count()) == (False, True, 1)
    assert held.references() == [two.reference()]


def test_attempt_fences_off_another(held, make_lease) -> None:
    held.add([make_lease(1, attempt=2)])
    assert not held.holds(make_lease(1, attempt=1))


def test_loss_is_news_once(held, make_lease) -> None:
    lease = make_lease()
    held.add([lease])
    assert held.lose(lease.key)
    assert not held.lose(lease.key)


def test_loss_of_reported_lease_is_no_news(held, make_lease) -> None:
    lease, gone = make_lease(1), make_lease(2)
    held.add([lease])
    assert held.begin_report([lease, gone]) == {lease.key}
    assert not held.lose(lease.key)
    assert held.holds(lease)


def test_room_is_waited_for(held, make_lease) -> None:
    lease = make_lease()
    held.add([lease])
    assert not held.wait_for_room(0, timeout_s=0)
    thread = threading.Thread(target=held.drop, args=[lease])
    thread.start()
    assert held.wait_for_room(0, timeout_s=10)
    thread.join()


def test_beat_names_leases_and_drops_lost_ones(
    scripted, held, events, patience, make_lease
) -> None:
    one, two = make_lease(1), make_lease(2)
    held.add([one, two])
    scripted.answers[BEATS] = lambda _: {"lost": [one.reference()]}
    make_heartbeat(scripted, held, events, patience()).beat()
    (beat,) = scripted.sent(BEATS)
    assert beat["leases"] == [one.reference(), two.reference()]
    assert events.named("lost") == [one.reference()]
    assert held.references() == [two.reference()]


def test_idle_node_beats_too(scripted, held, events, patience) -> None:
    scripted.answers[BEATS] = lambda _: {"lost": []}
    make_heartbeat(scripted, held, events, patience()).beat()
    assert scripted.sent(BEATS)[0]["leases"] == []


@pytest.mark.parametrize(("lease_ms", "interval_s"), [(900, 0.3), (600_000, None)])
def test_beats_are_frequent(
    scripted, held, events, patience, lease_ms, interval_s
) -> None:
    heartbeat = make_heartbeat(scripted, held, events, patience(), lease_ms=lease_ms)
    assert heartbeat.interval_s == pytest.approx(interval_s or BEAT_LONGEST_S)


def test_beats_go_on_after_refusal(scripted, held, events, patience, refusal) -> None:
    answers = [refusal(401, "UNAUTHENTICATED"), {"lost": "?"}, {"lost": []}]
    scripted.answers[BEATS] = lambda _: answers.pop(0)
    stopping = patience(lambda waits: stopping.set() if waits > 3 else None)
    make_heartbeat(scripted, held, events, stopping).run()
    codes = [fields["code"] for fields in events.named("refused")]
    assert codes == ["UNAUTHENTICATED", MarketAnswerError.code]
    assert len(scripted.sent(BEATS)) == 3


def test_refused_beat_says_so(scripted, held, events, patience, refusal) -> None:
    scripted.answers[BEATS] = lambda _: refusal(404, "NOT_FOUND")
    with pytest.raises(MarketRefusedError):
        make_heartbeat(scripted, held, events, patience()).beat()
