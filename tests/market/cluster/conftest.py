"""Two processes of one market: one database, one folder. Here both are threads."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from parties import Cast, RunningMarket
from serving import serve_in_thread
from sqlalchemy import URL


@dataclass
class Pair:
    """Two processes, and parties that call the one or the other."""

    one: RunningMarket
    other: RunningMarket
    at_one: Cast
    at_other: Cast


@pytest.fixture
def pair(tmp_path: Path, postgresql_url: URL) -> Iterator[Pair]:
    folder = tmp_path / "market"
    with (
        serve_in_thread(folder, url=postgresql_url) as one,
        serve_in_thread(folder, url=postgresql_url) as other,
        Cast(one) as at_one,
        Cast(other) as at_other,
    ):
        yield Pair(one, other, at_one, at_other)
