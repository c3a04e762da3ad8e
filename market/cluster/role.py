"""The publisher's role: of one process at a time, and of another when that one ends.

It is an advisory lock of a session. If its process ends or its machine is lost, the
server ends the session and the lock is free. Should two processes ever believe that
they have it, the lock on the log's folder still lets only one write, and each signs
only what extends the checkpoint that it finds there.

Source: PostgreSQL 16, "Advisory Locks".
"""

import logging
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import URL

from market import postgresql
from market.cluster.notices import CHANNEL, payloads

logger = logging.getLogger(__name__)


class PublisherRole:
    """The role as one process sees it. May be asked from several threads."""

    def __init__(self, url: URL, process_id: str) -> None:
        self._url = url
        self._process_id = process_id
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._is_held = False

    def is_ours(self) -> bool:
        """Whether this process has the role; takes it if nobody has."""
        with self._lock:
            try:
                self._is_held = self._ask()
            except psycopg.Error as error:
                logger.warning("Who publishes the log is not known: %s", error)
                self._disconnect()
            return self._is_held

    def tell(self, keys: Sequence[str]) -> None:
        """Wake whoever watches these keys at another process."""
        with self._lock:
            if self._connection is None:
                return
            try:
                for payload in payloads(self._process_id, keys):
                    self._connection.execute(
                        "SELECT pg_notify(%s, %s)", (CHANNEL, payload)
                    )
            except psycopg.Error as error:
                # They look again by themselves, only later.
                logger.warning("Other processes were not told: %s", error)
                self._disconnect()

    def release(self) -> None:
        """Leave the role to another process."""
        with self._lock:
            self._disconnect()

    def _ask(self) -> bool:
        if self._connection is None:
            self._connection = postgresql.connect(self._url)
        if self._is_held:
            # The lock is there for as long as its session is.
            self._connection.execute("SELECT 1")
            return True
        taken = self._connection.execute(
            "SELECT pg_try_advisory_lock(%s)", (postgresql.PUBLISHER_LOCK,)
        )
        return taken.fetchone() == (True,)

    def _disconnect(self) -> None:
        self._is_held = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None
