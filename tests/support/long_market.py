"""A market's log of several bundles, written once for all tests of a module."""

import shutil
from pathlib import Path

from audited_market import AuditedMarket, WrittenMarket

from ledger.audit.log_copy import LogCopy

JOBS = 160
STATEMENTS = 7 + 4 * JOBS


class LongMarket:
    """Two full bundles and one that is not, with all openings."""

    def __init__(self, folder: Path) -> None:
        market = AuditedMarket().begin()
        for _ in range(JOBS):
            market.run_job()
        written = WrittenMarket(market, folder)
        written.publish()
        written.disclose()
        written.close()
        (folder / "ledger.sqlite").unlink()
        self._folder = folder
        self.market = market

    def copy_to(self, folder: Path, *, disclosed: bool = False) -> LogCopy:
        """A copy to be damaged."""
        copy = LogCopy.at(Path(shutil.copytree(self._folder, folder)))
        if not disclosed:
            copy.openings.unlink()
        return copy
