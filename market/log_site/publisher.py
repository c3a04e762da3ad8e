"""Publishes the log: tiles, bundles and a signed checkpoint, shortly after commits.

Many commits share one checkpoint. A crash here loses nothing: the database is the
truth, and publishing goes on where it stopped.
"""

import logging
import threading

from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerError
from ledger.log.log import Log
from market.changes import Changes
from market.database import Database

INTERVAL_S = 0.5
"""Time between two checkpoints: each costs several syncs, and receipts can wait."""
LOG_CHANGED = "log"
"""What those watch who wait for a checkpoint."""

logger = logging.getLogger(__name__)


class Publisher:
    """A thread that publishes whenever something was committed."""

    def __init__(self, log: Log, database: Database, changes: Changes) -> None:
        self._log = log
        self._database = database
        self._changes = changes
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Publish what a crash may have left, then follow the commits."""
        self._publish()
        self._thread.start()

    def request(self) -> None:
        """Ask for a checkpoint over what is committed now."""
        self._wanted.set()

    def stop(self) -> None:
        """Publish what is left, then stop."""
        self._stopping.set()
        self._wanted.set()
        self._thread.join()
        self._publish()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            self._wanted.clear()
            try:
                self._publish()
            except (LedgerError, SQLAlchemyError, OSError):
                # Committed entries stay unpublished until the next attempt.
                logger.exception("The log could not be published.")
                self._wanted.set()
            self._stopping.wait(INTERVAL_S)

    def _publish(self) -> None:
        with self._database.reading() as session:
            self._log.publish(session)
        self._changes.announce([LOG_CHANGED])
