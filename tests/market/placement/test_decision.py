"""The choice among offers: by objective, without chance, and told in full."""

import itertools

import pytest
from candidates import CAPACITY, make_candidate, make_request
from parties import LIMITS

from ledger.encoding import canonical_json
from ledger.statements.order_terms import FUEL_MAX
from market.placement.decision import PREDICTED_MS_MAX, decide, predict_ms


def offer_id(letter: str) -> str:
    return "offer_" + letter * 20


def candidate(letter: str, *, price: int = 100, fuel_per_s: int = 10**9, **changes):
    capacity = CAPACITY.model_copy(update={"fuel_per_s": fuel_per_s})
    return make_candidate(
        offer_id=offer_id(letter),
        hold_microcredits=price,
        capacity=capacity,
        **changes,
    )


CHEAP = candidate("c", price=10, fuel_per_s=10**7)
FAST = candidate("f", price=100, fuel_per_s=10**9)
FAIR = candidate("b", price=20, fuel_per_s=5 * 10**8)


def chosen(candidates, **changes) -> str | None:
    decision = decide(make_request(**changes), candidates)
    return decision.chosen.offer.offer_id if decision.chosen else None


@pytest.mark.parametrize(
    ("objective", "letter"), [("price", "c"), ("time", "f"), ("balanced", "b")]
)
def test_objective_decides(objective, letter) -> None:
    choice = chosen([CHEAP, FAST, FAIR], objective=objective)
    assert choice == offer_id(letter)


@pytest.mark.parametrize("objective", ["price", "time", "balanced"])
def test_equal_offers_are_told_apart_by_their_ids(objective) -> None:
    equals = [candidate(letter) for letter in "abcd"]
    for order in itertools.permutations(equals):
        assert chosen(order, objective=objective) == offer_id("a")


def test_decision_does_not_depend_on_the_order_of_offers() -> None:
    records = {
        canonical_json(decide(make_request(), order).to_json())
        for order in itertools.permutations([CHEAP, FAST, FAIR])
    }
    assert len(records) == 1


def test_refused_offer_is_never_chosen_however_good() -> None:
    best = candidate("a", price=1, jurisdiction="fr")
    request = make_request(jurisdictions=("de",))
    decision = decide(request, [best, FAIR])
    assert decision.chosen == FAIR
    assert [item.candidate for item in decision.judged if item.refusals] == [best]


def test_no_offer_means_no_choice() -> None:
    assert chosen([]) is None
    assert chosen([candidate("a", price=None)]) is None
    record = decide(make_request(price_max=1), [CHEAP, FAST]).to_json()
    assert record["chosen"] is None
    rules = [[item["rule"] for item in offer["refusals"]] for offer in record["offers"]]
    assert rules == [["price"], ["price"]]


def test_record_is_enough_to_choose_again() -> None:
    record = decide(make_request(), [CHEAP, FAST, FAIR]).to_json()
    possible = [offer for offer in record["offers"] if not offer["refusals"]]
    weight = {"price": 1.0, "balanced": 0.5, "time": 0.0}[record["objective"]]
    best_price = min(offer["holdMicrocredits"] for offer in possible)
    best_ms = min(offer["predictedMs"] for offer in possible)
    replayed = min(
        possible,
        key=lambda offer: (
            weight * (offer["holdMicrocredits"] / best_price)
            + (1 - weight) * (offer["predictedMs"] / best_ms)
        ),
    )
    assert replayed["offerId"] == record["chosen"]


def test_digest_changes_with_what_the_choice_depended_on() -> None:
    one = decide(make_request(), [CHEAP, FAST])
    same = decide(make_request(), [FAST, CHEAP])
    other = decide(make_request(), [candidate("c", price=11, fuel_per_s=10**7), FAST])
    assert one.digest() == same.digest()
    assert one.digest() != other.digest()


def test_busy_nodes_are_predicted_to_be_slower() -> None:
    request = make_request()
    times = [predict_ms(request, candidate("a", jobs=jobs)) for jobs in range(6)]
    assert times == sorted(times)
    assert times[0] == times[1] < times[2] == times[3] < times[4]


def test_homomorphic_work_is_predicted_from_its_operations() -> None:
    limits = LIMITS.model_copy(update={"fuel": 0})
    request = make_request(limits=limits, homomorphic_operations=50_000)
    # 50,000 operations at 10,000 in a second, and one round trip.
    assert predict_ms(request, candidate("a")) == 5_001


def test_node_that_does_nothing_is_slow_but_no_fault() -> None:
    limits = LIMITS.model_copy(update={"fuel": FUEL_MAX})
    request = make_request(limits=limits)
    idle = candidate("a", fuel_per_s=0, jobs=1000)
    assert predict_ms(request, idle) == PREDICTED_MS_MAX
    assert decide(request, [idle]).digest()
