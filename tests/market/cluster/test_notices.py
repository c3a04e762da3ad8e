import queue
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from databases import PostgresqlServer
from parties import wait_until
from sqlalchemy import URL

from market import postgresql
from market.cluster.notices import CHANNEL, PAYLOAD_BYTES_MAX, Listener, payloads
from market.database import Database
from market.errors import DatabaseError, SchemaError


@dataclass
class Ear:
    url: URL
    heard: queue.Queue[list[str]] = field(default_factory=queue.Queue)
    missed: list[None] = field(default_factory=list)

    def hear(self, keys: list[str]) -> None:
        if keys == ["bug"]:
            raise ZeroDivisionError
        self.heard.put(keys)

    def next(self) -> list[str]:
        return self.heard.get(timeout=5)


@pytest.fixture
def ear(postgresql_url: URL) -> Iterator[Ear]:
    ear = Ear(postgresql_url)
    listener = Listener(
        postgresql_url,
        "me",
        heard=ear.hear,
        missed=lambda: ear.missed.append(None),
    )
    listener.start()
    yield ear
    listener.stop()


def tell(url: URL, *told: str) -> None:
    with postgresql.connect(url) as connection:
        for payload in told:
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))


def test_keys_travel_in_notices_that_can_be_sent() -> None:
    keys = [f"acc_{number:026}" for number in range(1000)]
    sent = list(payloads("me", keys))
    assert max(map(len, sent)) <= PAYLOAD_BYTES_MAX
    assert [line for item in sent for line in item.split("\n")[1:]] == keys
    assert {item.split("\n")[0] for item in sent} == {"me"}


def test_nothing_and_repetitions_are_not_sent() -> None:
    assert list(payloads("me", [])) == []
    assert list(payloads("me", ["a", "b", "a"])) == ["me\na\nb"]


def test_notices_of_others_are_heard(ear) -> None:
    tell(ear.url, "me\nmine", "other\na\nb")
    assert ear.next() == ["a", "b"]
    assert ear.heard.empty()


def test_notice_is_heard_if_and_only_if_its_transaction_commits(ear) -> None:
    with postgresql.connect(ear.url) as connection:
        connection.autocommit = False
        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, "other\nlost"))
        connection.rollback()
        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, "other\nkept"))
    assert ear.next() == ["kept"]


def test_bug_in_what_is_done_does_not_stop_the_listener(ear) -> None:
    tell(ear.url, "other\nbug", "other\na")
    assert ear.next() == ["a"]


def test_lost_connection_is_made_again_and_said(ear) -> None:
    with postgresql.connect(ear.url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
    wait_until(lambda: ear.missed)
    tell(ear.url, "other\na")
    assert ear.next() == ["a"]


def test_server_that_is_not_there_is_an_error(postgresql_url) -> None:
    nowhere = postgresql_url.set(database="nowhere")
    listener = Listener(nowhere, "me", heard=print, missed=print)
    with pytest.raises(DatabaseError):
        listener.start()
    listener.stop()


def test_tables_are_not_moved_while_a_process_listens(ear) -> None:
    database = Database(ear.url)
    with pytest.raises(SchemaError, match="stop them"):
        database.migrate()
    database.close()


def test_notices_of_another_database_are_not_heard(
    ear: Ear, postgresql: PostgresqlServer
) -> None:
    with postgresql.database() as elsewhere:
        tell(elsewhere, "other\na")
    tell(ear.url, "other\nb")
    assert ear.next() == ["b"]
