"""Words, units, prices and states in the reference are those of the code."""

import re

from document_tables import REFERENCE, plain, read_rows, read_section

from ledger.audit.receipt import RECEIPT_BYTES_MAX
from ledger.charging.tariff import RatingGroup
from market.broker import MARKET_PRICES_MICROCREDITS
from market.jobs.models import JobState
from sdk.provider.tiers import TIERS


def words_of(name: str) -> str:
    """A document as one line, so that where it is wrapped does not matter."""
    return " ".join((REFERENCE / name).read_text().split())


def test_rating_groups_are_listed_in_order() -> None:
    rows = read_rows(read_section("metering.md", "Rating groups"))
    assert [plain(cells[0]) for cells in rows] == [str(group) for group in RatingGroup]


def test_suggested_prices_are_those_of_the_agent() -> None:
    rows = read_rows(read_section("metering.md", "Prices that nodes suggest"))
    listed = {plain(name): [int(price) for price in prices] for name, *prices in rows}
    assert listed == {
        name: [tier.prices()[group] for group in RatingGroup if group != "royalty"]
        for name, tier in TIERS.items()
    }


def test_market_prices_are_all_one() -> None:
    found = re.search(
        r"The market itself takes 1 for each unit of ([^.]+)\.", words_of("metering.md")
    )
    assert found is not None
    groups = set(re.findall(r"`([a-z_]+)`", found[1]))
    assert dict.fromkeys(groups, 1) == dict(MARKET_PRICES_MICROCREDITS)


def test_job_states_are_listed() -> None:
    found = re.search(r"States: ([^.]+)\.", words_of("http-api.md"))
    assert found is not None
    assert re.findall(r"`([a-z]+)`", found[1]) == [str(state) for state in JobState]


def test_receipt_bound_is_told() -> None:
    assert f"at most {RECEIPT_BYTES_MAX:,} bytes" in words_of("ledger-format.md")


def test_glossary_has_each_word_once() -> None:
    words = [cells[0] for cells in read_rows((REFERENCE / "glossary.md").read_text())]
    assert words == sorted(set(words), key=str.casefold)
