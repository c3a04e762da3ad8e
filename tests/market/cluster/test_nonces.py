"""A signed request counts once at all processes together."""

import asyncio
from collections.abc import Iterator

import pytest
from parties import MovableClock
from sqlalchemy import URL

from ledger.request_signing import Refusal, RefusedRequestError, SignedRequest
from ledger.signing import PrivateKey
from market import postgresql
from market.cluster import nonces as nonces_module
from market.cluster.nonces import SharedNonces
from market.errors import UnavailableError

KEY = PrivateKey(b"k" * 32).public


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def both(
    postgresql_url: URL, clock: MovableClock
) -> Iterator[tuple[SharedNonces, SharedNonces]]:
    one, other = (SharedNonces(postgresql_url, clock) for _ in range(2))
    one.start()
    other.start()
    yield one, other
    one.stop()
    other.stop()


def request_at(clock: MovableClock, nonce: int = 1, key=KEY) -> SignedRequest:
    now_s = clock.now_ms() // 1000
    return SignedRequest(key, f"{nonce:032x}", now_s, now_s + 60)


def admit(nonces: SharedNonces, *requests: SignedRequest) -> list[object]:
    async def ask() -> list[object]:
        asked = [nonces.admit(request) for request in requests]
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(ask())


def stored(url: URL) -> int:
    with postgresql.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM request_nonce").fetchone()
    assert row is not None
    return row[0]


def end_sessions(url: URL) -> None:
    with postgresql.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_request_counts_once_at_all_processes(both, clock) -> None:
    one, _ = both
    request = request_at(clock)
    assert admit(one, request) == [None]
    for nonces in both:
        (refusal,) = admit(nonces, request)
        assert isinstance(refusal, RefusedRequestError)
        assert refusal.reason is Refusal.REPLAYED


def test_nonces_belong_to_their_keys(both, clock) -> None:
    one, other = both
    stranger = PrivateKey(b"s" * 32).public
    assert admit(one, request_at(clock)) == [None]
    assert admit(other, request_at(clock, key=stranger)) == [None]


def test_many_at_once_are_told_apart(both, clock) -> None:
    one, other = both
    admit(other, *(request_at(clock, nonce) for nonce in range(0, 50, 2)))
    answers = admit(one, *(request_at(clock, nonce) for nonce in range(50)))
    assert [answer is None for answer in answers] == [False, True] * 25


def test_what_has_expired_is_forgotten(both, clock, postgresql_url) -> None:
    one, _ = both
    admit(one, request_at(clock))
    clock.advance(200_000)
    admit(one, request_at(clock, 2))
    assert stored(postgresql_url) == 1


def test_forgetting_is_bounded(both, clock, postgresql_url, monkeypatch) -> None:
    monkeypatch.setattr(nonces_module, "FORGOTTEN_MAX", 3)
    one, _ = both
    admit(one, *(request_at(clock, nonce) for nonce in range(5)))
    clock.advance(200_000)
    admit(one, request_at(clock, 9))
    assert stored(postgresql_url) == 5 - 3 + 1


def test_after_a_lost_connection_earlier_requests_are_refused(
    both, clock, postgresql_url
) -> None:
    one, other = both
    captured = request_at(clock)
    assert admit(one, captured) == [None]
    assert admit(other, request_at(clock, 2)) == [None]
    end_sessions(postgresql_url)
    with postgresql.connect(postgresql_url) as connection:
        # As after a crash of the server, which may forget what came last.
        connection.execute("TRUNCATE request_nonce")
    for _ in range(3):
        (refusal,) = admit(other, captured)
        assert isinstance(refusal, UnavailableError)
    clock.advance(1_000)
    assert admit(other, request_at(clock, 3)) == [None]
