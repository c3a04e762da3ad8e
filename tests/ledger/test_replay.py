"""The replay window: each request once, and never a guess."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ledger.replay import ReplayWindow
from ledger.request_signing import (
    SKEW_S,
    Refusal,
    RefusedRequestError,
    SignedRequest,
)
from ledger.signing import PrivateKey

NOW_S = 1_750_000_000
NOW_MS = NOW_S * 1000
KEY = PrivateKey(bytes(range(32))).public
OTHER_KEY = PrivateKey(bytes(32)).public


def make_request(number: int = 0, created_s: int = NOW_S) -> SignedRequest:
    return SignedRequest(KEY, f"{number:032x}", created_s, created_s + 60)


def make_window(capacity: int = 8) -> ReplayWindow:
    return ReplayWindow(started_ms=NOW_MS, capacity=capacity)


def refusal(
    window: ReplayWindow, request: SignedRequest, *, now_ms: int = NOW_MS
) -> Refusal:
    with pytest.raises(RefusedRequestError) as caught:
        window.admit(request, now_ms=now_ms)
    return caught.value.reason


def test_request_counts_once() -> None:
    window = make_window()
    window.admit(make_request(), now_ms=NOW_MS)
    assert refusal(window, make_request()) is Refusal.REPLAYED
    later = make_request(created_s=NOW_S + 5)
    assert refusal(window, later) is Refusal.REPLAYED


def test_nonces_of_two_keys_are_apart() -> None:
    window = make_window()
    window.admit(make_request(), now_ms=NOW_MS)
    window.admit(replace(make_request(), public_key=OTHER_KEY), now_ms=NOW_MS)


def test_repeat_is_refused_until_its_life_is_over() -> None:
    """At no moment is a request both forgotten and still valid."""
    window = make_window()
    request = make_request()
    window.admit(request, now_ms=NOW_MS)
    last_ms = request.over_after_ms
    assert refusal(window, request, now_ms=last_ms) is Refusal.REPLAYED
    assert refusal(window, request, now_ms=last_ms + 1) is Refusal.EXPIRED


def test_clock_set_back_revives_nothing() -> None:
    window = make_window()
    window.admit(make_request(), now_ms=NOW_MS)
    window.admit(make_request(1, NOW_S + 100), now_ms=NOW_MS + 100_000)
    assert refusal(window, make_request(), now_ms=NOW_MS) is Refusal.EXPIRED


def test_request_from_before_the_start_is_refused() -> None:
    window = ReplayWindow(started_ms=NOW_MS + 999)
    early = make_request(created_s=NOW_S - 1)
    assert refusal(window, early, now_ms=NOW_MS + 999) is Refusal.BEFORE_START
    window.admit(make_request(created_s=NOW_S), now_ms=NOW_MS + 999)


def test_full_window_refuses_until_there_is_room() -> None:
    window = make_window(capacity=2)
    for number in range(2):
        window.admit(make_request(number), now_ms=NOW_MS)
    assert refusal(window, make_request(2)) is Refusal.WINDOW_FULL
    assert refusal(window, make_request(0)) is Refusal.REPLAYED
    later_ms = NOW_MS + (60 + SKEW_S) * 1000 + 1
    window.admit(make_request(2, NOW_S + 90), now_ms=later_ms)


def test_of_many_threads_one_is_admitted() -> None:
    window = make_window()

    def is_admitted(_: int) -> bool:
        try:
            window.admit(make_request(), now_ms=NOW_MS)
        except RefusedRequestError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(is_admitted, range(200))) == 1
