"""Publishes the log: tiles, bundles and a signed checkpoint, shortly after commits.

Many commits share one checkpoint. A crash here loses nothing: the database is the
truth, and publishing goes on where it stopped.
"""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerError
from ledger.log.log import Log
from market.changes import Changes
from market.database import Database
from market.errors import MarketError
from market.peers import Role

INTERVAL_S = 0.5
"""Time between two checkpoints: each costs several syncs, and receipts can wait."""
TAKE_OVER_S = 1.0
"""Time after which a process looks whether it is to publish now."""
LOG_CHANGED = "log"
"""What those watch who wait for a checkpoint."""

logger = logging.getLogger(__name__)


class Publisher:
    """A thread that publishes whenever something was committed."""

    def __init__(
        self,
        log: Log,
        database: Database,
        changes: Changes,
        role: Role,
        *,
        published: Callable[[], None],
    ) -> None:
        """Publish a log; `published` is called after each checkpoint."""
        self._log = log
        self._database = database
        self._changes = changes
        self._role = role
        self._published = published
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Publish what a crash may have left, then follow the commits."""
        self._try()
        self._thread.start()

    def request(self) -> None:
        """Ask for a checkpoint over what is committed now."""
        self._wanted.set()

    def stop(self) -> None:
        """Publish what is left, then stop."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join()
        self._try()

    def announce(self) -> None:
        """Wake whoever waits for a checkpoint, here and at other processes."""
        self._changes.announce([LOG_CHANGED])
        self._role.tell([LOG_CHANGED])

    def _run(self) -> None:
        while not self._stopping.is_set():
            # Asked or not: the process that has published until now may be gone.
            self._wanted.wait(TAKE_OVER_S)
            self._wanted.clear()
            self._try()
            self._stopping.wait(INTERVAL_S)

    def _try(self) -> None:
        try:
            self._publish()
        except (LedgerError, MarketError, SQLAlchemyError, OSError):
            # Committed entries stay unpublished until the next attempt.
            logger.exception("The log could not be published.")
            self._wanted.set()

    def _publish(self) -> None:
        if not self._role.is_ours():
            return
        with self._database.reading() as session:
            self._log.publish(session)
        self.announce()
        self._published()
