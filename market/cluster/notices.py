"""Notices: what one process changes wakes those who wait at another.

They travel by PostgreSQL's LISTEN and NOTIFY, and are sent in the transaction that
makes the change: heard by all if it commits, by nobody if it does not. A notice says
only that a look is worth while. Whoever may have missed some looks again.

Source: PostgreSQL 16, "NOTIFY".
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
from sqlalchemy import URL

from market import postgresql
from market.errors import DatabaseError

PAYLOAD_BYTES_MAX = 7_900
"""PostgreSQL takes less than 8,000."""
CHANNEL = "sixfold"
POLL_S = 0.2
"""How soon a listener notices that it is to stop, or tries to connect again."""

logger = logging.getLogger(__name__)


def payloads(sender: str, keys: Sequence[str]) -> Iterator[str]:
    """Notices that name all these keys, each of a size that can be sent."""
    lines, size_bytes = [sender], len(sender)
    for key in dict.fromkeys(keys):
        key_bytes = 1 + len(key.encode())
        if len(lines) > 1 and size_bytes + key_bytes > PAYLOAD_BYTES_MAX:
            yield "\n".join(lines)
            lines, size_bytes = [sender], len(sender)
        lines.append(key)
        size_bytes += key_bytes
    if len(lines) > 1:
        yield "\n".join(lines)


class Listener:
    """Hears notices of other processes, in a thread between `start` and `stop`.

    While it has its connection, nobody can move the tables to another version.
    """

    def __init__(
        self,
        url: URL,
        process_id: str,
        *,
        heard: Callable[[Sequence[str]], None],
        missed: Callable[[], None],
    ) -> None:
        """Say what is to be done.

        Args:
            url: The database.
            process_id: What this process calls itself; its own notices are passed by.
            heard: Called with the keys of each notice of another process.
            missed: Called when notices may have been missed.
        """
        self._url = url
        self._process_id = process_id
        self._heard = heard
        self._missed = missed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None

    def start(self) -> None:
        """Connect, and begin to listen.

        Raises:
            DatabaseError: The database cannot be reached, or its tables are being
                moved.
        """
        try:
            self._connection = self._connect()
        except psycopg.Error as error:
            raise DatabaseError("The database cannot be reached.") from error
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and disconnect."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def _connect(self) -> psycopg.Connection[Any]:
        connection = postgresql.connect(self._url)
        try:
            connection.execute(
                "SELECT pg_advisory_lock_shared(%s)", (postgresql.SERVING_LOCK,)
            )
            connection.execute(f"LISTEN {CHANNEL}".encode())
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._connection is None:
                    self._connection = self._connect()
                    self._missed()
                for notice in self._connection.notifies(timeout=POLL_S):
                    self._pass_on(notice.payload)
            except psycopg.Error as error:
                logger.warning("Notices are not heard: %s", error)
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                self._stopping.wait(POLL_S)

    def _pass_on(self, payload: str) -> None:
        sender, *keys = payload.split("\n")
        if sender == self._process_id:
            return
        try:
            self._heard(keys)
        except Exception:
            # Whatever it was, the next notice is to be heard.
            logger.exception("A notice could not be passed on.")
