from collections.abc import Iterator

import pytest
from parties import wait_until
from sqlalchemy import URL

from market import postgresql
from market.cluster.alone import Alone
from market.cluster.role import PublisherRole
from market.database import Database
from market.placement.fleet import Fleet


@pytest.fixture
def roles(postgresql_url: URL) -> Iterator[tuple[PublisherRole, PublisherRole]]:
    one, other = (PublisherRole(postgresql_url, name) for name in ("one", "other"))
    yield one, other
    one.release()
    other.release()


def end_holder(url: URL) -> None:
    with postgresql.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND granted "
            "AND database = (SELECT oid FROM pg_database "
            "WHERE datname = current_database())"
        )


def test_one_process_has_the_role_and_keeps_it(roles) -> None:
    one, other = roles
    assert one.is_ours()
    assert not other.is_ours()
    assert one.is_ours()
    assert not other.is_ours()


def test_role_that_is_released_is_taken(roles) -> None:
    one, other = roles
    assert one.is_ours()
    assert one.is_ours()
    one.release()
    assert other.is_ours()
    assert not one.is_ours()


def test_role_of_a_session_that_ended_is_taken(roles, postgresql_url) -> None:
    one, other = roles
    assert one.is_ours()
    end_holder(postgresql_url)
    wait_until(other.is_ours)
    # It hears of the loss as soon as it asks, and does not go on by mistake.
    assert not one.is_ours()
    assert not one.is_ours()


def test_unreachable_database_gives_no_role(postgresql_url) -> None:
    role = PublisherRole(postgresql_url.set(database="nowhere"), "one")
    assert not role.is_ours()
    role.tell(["a"])
    role.release()


def test_telling_through_a_lost_session_gives_the_role_up(
    roles, postgresql_url
) -> None:
    one, other = roles
    assert one.is_ours()
    end_holder(postgresql_url)
    one.tell(["a"])
    wait_until(other.is_ours)


def test_process_that_is_alone_has_the_role(tmp_path) -> None:
    database = Database(tmp_path / "market.sqlite")
    role = Alone(database, Fleet()).role
    assert role.is_ours()
    role.tell(["a"])
    assert role.is_ours()
    database.close()
