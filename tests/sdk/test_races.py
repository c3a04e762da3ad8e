"""What crosses on its way: jobs that moved on, answers that came late."""

from collections.abc import Callable

import httpx
import pytest

from ledger.encoding import canonical_json
from ledger.key_files import load_key
from sdk import Market
from sdk.market import _system_now_ms
from sdk.pins import PinStore
from sdk.session import open_session
from sdk.transport import Transport

CONFLICT = {"status": 409, "code": "INCOMPATIBLE_STATE", "message": "Not now."}


def double(x: int) -> int:
    return 2 * x


class Interceptor(httpx.HTTPTransport):
    """Answers some requests itself, and counts all by the end of their path."""

    def __init__(self, answer: Callable[[str, int], httpx.Response | None]) -> None:
        super().__init__()
        self._answer = answer
        self.counts: dict[str, int] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        self.counts[name] = self.counts.get(name, 0) + 1
        answer = self._answer(name, self.counts[name])
        return super().handle_request(request) if answer is None else answer


@pytest.fixture
def intercepted(running, alice, key_path):
    opened = []

    def open_intercepted(answer, kind=Interceptor) -> tuple[Market, Interceptor]:
        http, key = kind(answer), load_key(key_path)
        session = open_session(
            running.url,
            transport=Transport(running.url, key, now_ms=_system_now_ms, http=http),
            key=key,
            pins=PinStore(None),
            now_ms=_system_now_ms,
        )
        opened.append(Market(session, cache=key_path.parent))
        return opened[-1], http

    yield open_intercepted
    for market in opened:
        market.close()


def test_input_for_a_job_that_moved_on_is_sent_again(intercepted, node) -> None:
    def answer(name: str, count: int) -> httpx.Response | None:
        if (name, count) == ("input", 1):
            return httpx.Response(409, content=canonical_json(CONFLICT))
        return None

    market, http = intercepted(answer)
    assert market.offload(sensitivity="confidential")(double)(21) == 42
    assert http.counts["input"] == 2


def test_acceptance_that_crosses_is_told_again(intercepted, node) -> None:
    market, http = None, None

    def answer(name: str, count: int) -> httpx.Response | None:
        if (name, count) == ("acceptances", 1):
            assert market is not None
            (job,) = (job for job in market.jobs() if job["state"] == "reported")
            item = {"jobId": job["jobId"], **CONFLICT}
            return httpx.Response(200, content=canonical_json({"jobs": [item]}))
        return None

    market, http = intercepted(answer)
    assert market.offload(sensitivity="public")(double)(21) == 42
    assert http.counts["acceptances"] == 2
    assert market.invoice()["jobs"] == 1


def test_acceptance_that_is_refused_is_an_error(intercepted, node) -> None:
    market = None

    def answer(name: str, _count: int) -> httpx.Response | None:
        if name == "acceptances":
            assert market is not None
            (job,) = (job for job in market.jobs() if job["state"] == "reported")
            item = {"jobId": job["jobId"], **CONFLICT, "status": 400}
            return httpx.Response(200, content=canonical_json({"jobs": [item]}))
        return None

    market, _ = intercepted(answer)
    with pytest.raises(Exception, match="Not now"):
        market.offload(sensitivity="public")(double)(21)


def test_lost_answers_are_asked_for_again(intercepted, node, monkeypatch) -> None:
    """Every request is lost once; commands are executed once all the same."""
    monkeypatch.setattr("sdk.transport.WAIT_FIRST_S", 0.001)

    def answer(name: str, count: int) -> httpx.Response | None:
        if count % 2:
            raise httpx.ReadError("lost")
        return None

    market, _ = intercepted(answer)
    assert market.offload(sensitivity="confidential")(double)(21) == 42
    assert market.invoice()["jobs"] == 1
    assert market.balance()["heldMicrocredits"] == 0


def test_job_that_was_charged_meanwhile_needs_no_word(intercepted, node) -> None:
    class Charged(Interceptor):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if not request.url.path.endswith("/retrieve-outcomes"):
                return response
            response.read()
            data = response.content.replace(b'"reported"', b'"charged"')
            return httpx.Response(200, content=data)

    market, http = intercepted(lambda *_: None, Charged)
    remote = market.offload(sensitivity="public")(double)
    assert remote(21) == 42
    assert "acceptances" not in http.counts
    assert remote.last.total_microcredits > 0
