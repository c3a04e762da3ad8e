import stat
from dataclasses import replace

import httpx
import pytest
from parties import now_ms

from enclave_sim.sandbox.engine_identity import ENGINE_ID
from ledger.charging.tariff import RatingGroup
from ledger.key_files import load_key
from sdk.errors import InputError, MarketAnswerError, MarketRefusedError
from sdk.provider.join import (
    NODE_KEY,
    PROVIDER_KEY,
    NodePlan,
    fetch_runner,
    join_market,
)
from sdk.session import Session

PLAN = NodePlan(
    name="test node",
    tier="cell_site",
    jurisdiction="fr",
    ownership_domain="test",
    protections=("sandbox",),
    workers=1,
    memory_bytes=2**28,
    prices={"fuel": 3},
    sensitivity_classes=("public", "internal"),
    categories_refused=("biometric",),
)


@pytest.fixture(scope="module")
def market(serve, tmp_path_factory):
    with serve(tmp_path_factory.mktemp("market"), lease_ms=2_500) as market:
        yield market


@pytest.fixture
def join(market, runner_cache, tmp_path):
    def make(plan: NodePlan = PLAN, **changes):
        values = {
            "cache": runner_cache,
            "now_ms": now_ms,
            "pause": lambda _: None,
            "step": lambda *_: None,
        }
        return join_market(market.url, tmp_path / "node", plan, **(values | changes))

    return make


def test_keys_are_made_once_and_kept_closed(join, tmp_path) -> None:
    first = join()
    first.close()
    second = join()
    second.close()
    assert first.node_key.public == second.node_key.public
    for name in (PROVIDER_KEY, NODE_KEY):
        path = tmp_path / "node" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        load_key(path)


def test_offer_says_what_was_planned_and_measured(join, market) -> None:
    joined = join()
    offer = joined.offer
    joined.close()
    assert (offer.name, offer.tier, offer.jurisdiction) == (
        "test node",
        "cell_site",
        "fr",
    )
    assert offer.assurance == "none"
    assert offer.prices[RatingGroup.FUEL] == 3
    assert offer.prices[RatingGroup.HOMOMORPHIC] == 80
    assert offer.policy.categories_refused == ("biometric",)
    assert offer.policy.sensitivity_classes == ("public", "internal")
    assert offer.capacity.fuel_per_s > 0
    assert offer.engine == ENGINE_ID
    assert joined.lease_ms == 2_500
    assert joined.market == market.context.broker.market


def test_simulated_enclave_is_offered_as_such(join) -> None:
    joined = join(replace(PLAN, protections=("sandbox", "enclave")))
    joined.close()
    assert joined.offer.assurance == "simulated"


def test_offer_is_published_and_withdrawn(join) -> None:
    joined = join()
    joined.publish()
    offers = joined.provider.get_json("/catalog/v0.1/offers", query={"mine": "true"})
    assert [item["offerId"] for item in offers["offers"]] == [joined.offer.offer_id]
    joined.withdraw()
    with pytest.raises(MarketRefusedError):
        replace(
            joined,
            offer=joined.offer.model_copy(update={"offer_id": "offer_" + "a" * 20}),
        ).withdraw()
    joined.close()


def test_folder_belongs_to_one_agent(join) -> None:
    joined = join()
    with pytest.raises(InputError, match="Another agent"):
        join()
    joined.close()
    join().close()


def test_folder_that_cannot_be_made_is_misuse(market, runner_cache, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError):
        join_market(
            market.url,
            tmp_path / "file" / "node",
            PLAN,
            cache=runner_cache,
            now_ms=now_ms,
            pause=lambda _: None,
            step=lambda *_: None,
        )


@pytest.mark.parametrize(
    "change",
    [
        {"name": "!"},
        {"jurisdiction": "La France"},
        {"prices": {"royalty": 1}},
        {"tier": "moon"},
        {"workers": 5_000},
    ],
)
def test_plan_that_is_no_offer_is_misuse(join, change) -> None:
    with pytest.raises((InputError, ValueError)):
        join(replace(PLAN, **change))
    join().close()  # the folder is free again


def make_session(market, scripted, runner: str) -> Session:
    return Session(
        url=market.url,
        transport=scripted.transport,
        key=scripted.transport._key,
        now_ms=now_ms,
        market=market.context.broker.market,
        log_keys=None,
        runner=runner,
        tariff=None,
        lease_ms=1,
    )


def test_runner_is_downloaded_once(
    market, scripted, runner_cache, runner_sha384, tmp_path
) -> None:
    artefact = (market.folder / "runner.wasm").read_bytes()
    runner = runner_sha384.hex()
    path = f"/catalog/v0.1/runners/{runner}"
    scripted.answers[path] = lambda _: _response(artefact)
    session = make_session(market, scripted, runner)
    parts: list[float] = []
    for _ in range(2):
        fetch_runner(session, tmp_path, lambda _, part: parts.append(part))
    assert len(scripted.sent(path)) == 1
    assert parts == sorted(parts)
    assert parts[-1] == 1.0


def test_another_runner_is_refused(market, scripted, tmp_path) -> None:
    artefact = (market.folder / "runner.wasm").read_bytes()
    runner = "ab" * 48
    scripted.answers[f"/catalog/v0.1/runners/{runner}"] = lambda _: _response(artefact)
    with pytest.raises(MarketAnswerError):
        fetch_runner(make_session(market, scripted, runner), tmp_path, lambda *_: None)


def _response(data: bytes) -> httpx.Response:
    return httpx.Response(200, content=data)
