"""What the market sees of its nodes without asking the database."""

from collections import Counter

from candidates import make_offer

from market.placement.fleet import Fleet

OFFER = make_offer()


def test_node_is_silent_until_it_calls() -> None:
    fleet = Fleet()
    fleet.put(OFFER, "digest")
    assert fleet.silent_ms(OFFER.node, 10**12) == 10**12
    fleet.seen(OFFER.node, 10**12)
    assert fleet.silent_ms(OFFER.node, 10**12 + 5) == 5


def test_new_market_takes_its_nodes_to_be_alive() -> None:
    fleet = Fleet()
    fleet.replace(offers={}, nodes={"a", "b"}, jobs=Counter())
    fleet.seen("b", 7)
    fleet.greet(5)
    assert [fleet.silent_ms(node, 10) for node in "abc"] == [5, 3, 10]


def test_withdrawn_node_is_still_known() -> None:
    fleet = Fleet()
    assert not fleet.knows(OFFER.node)
    fleet.put(OFFER, "digest")
    fleet.withdraw(OFFER.node)
    fleet.withdraw(OFFER.node)
    assert fleet.offers() == []
    assert fleet.knows(OFFER.node)


def test_jobs_are_counted_and_never_below_none() -> None:
    fleet = Fleet()
    fleet.take("a")
    fleet.take("a")
    fleet.give_back("a")
    assert (fleet.jobs_of("a"), fleet.jobs_of("b")) == (1, 0)
    for _ in range(3):
        fleet.give_back("a")
    assert fleet.jobs_of("a") == 0


def test_what_is_read_replaces_what_was_seen() -> None:
    fleet = Fleet()
    fleet.take("a")
    fleet.replace(
        offers={OFFER.node: (OFFER, "digest")},
        nodes={OFFER.node},
        jobs=Counter({"b": 2}),
    )
    assert fleet.offers() == [(OFFER, "digest")]
    assert (fleet.jobs_of("a"), fleet.jobs_of("b")) == (0, 2)
