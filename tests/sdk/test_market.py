"""A consumer at a real market: meeting it, money, lists, publishing."""

import json

import httpx
import pytest

from ledger.encoding import canonical_json
from ledger.errors import KeyFileError
from ledger.signing import PrivateKey
from sdk import InputError, Market, MarketAnswerError, MarketRefusedError, PinError
from sdk.market import _system_now_ms
from sdk.pins import PinStore, pin_path
from sdk.session import open_session
from sdk.transport import Transport

MISSING = "job_aaaaaaaaaaaaaaaaaaaa"


def double(x: int) -> int:
    return 2 * x


def test_key_file_is_made_only_when_asked(running, key_path) -> None:
    with pytest.raises(KeyFileError):
        Market.open(running.url, key=key_path)
    assert not key_path.exists()
    with Market.open(running.url, key=str(key_path), create_key=True) as first:
        account = first.account_id
    with Market.open(running.url, key=key_path, create_key=True) as second:
        assert second.account_id == account
        assert second.balance()["postedMicrocredits"] == 0


def test_key_needs_no_file(running, tmp_path) -> None:
    key = PrivateKey.generate()
    with Market.open(running.url, key=key) as market:
        assert market.account_id == key.account_id
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("field", ["market", "logKeys"])
def test_market_with_other_keys_is_refused(running, key_path, field) -> None:
    with Market.open(running.url + "/", key=key_path, create_key=True) as market:
        shown = {"market": market.market_id, "logKeys": list(market.log_keys)}
    pins = json.loads(pin_path(key_path).read_text())
    assert pins["markets"] == {running.url: shown}
    other = {"market": "acc_" + "a" * 26, "logKeys": ["x+00000000+AAAA"]}
    pins["markets"][running.url][field] = other[field]
    pin_path(key_path).write_text(json.dumps(pins))
    with pytest.raises(PinError, match="than when it was first met"):
        Market.open(running.url, key=key_path)


def test_money_is_shown_exactly(alice) -> None:
    before = alice.balance()["freeMicrocredits"]
    assert alice.top_up("0.000001")["freeMicrocredits"] == before + 1
    assert alice.invoice()["jobs"] == 0
    with pytest.raises(InputError):
        alice.top_up(-1)


def test_jobs_are_listed_newest_first(alice, node) -> None:
    remote = alice.offload(sensitivity="public")(double)
    remote.map(range(3))
    ids = {job.job_id for job in remote.last_jobs}
    assert {job["jobId"] for job in alice.jobs()} == ids
    (offer,) = alice.offers()
    assert offer["node"] == node.node_id
    decision = alice.explain(remote.last.job_id)["decision"]
    assert decision["chosen"] == offer["offerId"]


def test_disclosures_open_own_statements_only(alice, node) -> None:
    alice.offload(sensitivity="public")(double)(1)
    items = list(alice.disclosures())
    kinds = [item["kind"] for item in items]
    assert kinds == ["account", "top_up", "order", "agreement", "slice", "charge"]
    assert items[1]["openings"]["amount"]["value"] == 100_000_000


@pytest.mark.slow
def test_many_disclosures_come_in_pages(alice, node) -> None:
    remote = alice.offload(sensitivity="public")(double)
    remote.map(range(260))
    indexes = [item["index"] for item in alice.disclosures()]
    assert len(indexes) == 2 + 4 * 260
    assert indexes == sorted(set(indexes))
    assert len(list(alice.jobs())) == 260


@pytest.mark.parametrize(
    "job_id", ["", "x", "../balance", "job_a/../../x", "job_A" * 9]
)
def test_id_that_is_none_never_reaches_an_address(alice, job_id) -> None:
    for ask in (alice.job, alice.explain, alice.receipt):
        with pytest.raises(InputError):
            ask(job_id)
    with pytest.raises(InputError):
        alice.scorer(job_id, sensitivity="public")


def test_missing_job_is_refused_by_market(alice) -> None:
    for ask in (alice.job, alice.explain, alice.receipt):
        with pytest.raises(MarketRefusedError) as refusal:
            ask(MISSING)
        assert refusal.value.status == 404


def test_sensitivity_must_be_said(alice) -> None:
    with pytest.raises(InputError, match="sensitivity"):
        alice.offload()
    with pytest.raises(InputError, match="sensitivity"):
        alice.scorer("work_aaaaaaaaaaaaaaaaaaaa")


@pytest.mark.parametrize(
    "model",
    [
        {"weights": [[float("nan")]]},
        {"weights": []},
        {"weights": [[0.5]], "bias": [0.5, 0.5]},
        {"weights": [[10.0**6]]},
        {"royalty_microcredits": -1},
        {"name": ""},
        {"name": "a\nb"},
    ],
)
def test_model_that_is_no_circuit_is_not_published(alice, model) -> None:
    good = {
        "name": "a model",
        "weights": [[0.5, -0.5]],
        "bias": [0.25],
        "royalty_microcredits": 5,
    }
    assert alice.publish_circuit(**good).startswith("work_")
    with pytest.raises(InputError):
        alice.publish_circuit(**(good | model))


def test_no_results_yet_is_said(alice) -> None:
    remote = alice.offload(sensitivity="public")(double)
    assert remote.__name__ == "double"
    for name in ("last", "last_local"):
        with pytest.raises(InputError, match="yet"):
            getattr(remote, name)


def test_call_takes_what_the_function_takes(alice) -> None:
    def scaled(x: int, *, by: int = 2) -> int:
        return x * by

    remote = alice.offload(sensitivity="public")(scaled)
    with pytest.raises(TypeError, match="missing"):
        remote()
    with pytest.raises(InputError, match="only positional"):
        remote(1, by=3)
    with pytest.raises(InputError, match="no JSON form"):
        remote({1, 2})
    assert remote.map([]) == []


@pytest.mark.parametrize(
    "change", [{"market": 1}, {"logKeys": ["x"]}, {"runner": "short"}, {"tariff": {}}]
)
def test_description_out_of_form_is_refused(running, change) -> None:
    key = PrivateKey.generate()

    def respond(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/market/v0.1/description"
        return httpx.Response(200, content=canonical_json(good | change))

    real = Transport(running.url, key, now_ms=_system_now_ms)
    good = real.get_json("/market/v0.1/description")
    real.close()
    transport = Transport(
        running.url, key, now_ms=_system_now_ms, http=httpx.MockTransport(respond)
    )
    with pytest.raises(MarketAnswerError, match="not in form"):
        open_session(
            running.url,
            transport=transport,
            key=key,
            pins=PinStore(None),
            now_ms=_system_now_ms,
        )
