"""A small market's log in a folder, with everything disclosed and one receipt."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from audited_market import AuditedMarket, WrittenMarket


@pytest.fixture
def market() -> AuditedMarket:
    return AuditedMarket().begin()


@pytest.fixture
def written(market: AuditedMarket, tmp_path: Path) -> Iterator[WrittenMarket]:
    written = WrittenMarket(market, tmp_path)
    yield written
    written.close()


@pytest.fixture
def audited(written: WrittenMarket) -> WrittenMarket:
    """Published, disclosed: a charged job, and one that moved to a second attempt."""
    market = written.market
    job = market.run_job()
    other = market.order()
    market.agree(other)
    market.release(other)
    market.agree(other)
    market.use(other, countersigned=False)
    market.charge(other, acceptance="timeout", charged_at_ms=1_800_000_060_010)
    written.publish()
    written.disclose()
    written.keep_receipt(job)
    written.keep_receipt(other)
    return written
