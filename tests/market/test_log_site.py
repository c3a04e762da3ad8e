"""The log over HTTP: files that may be kept for ever, and no database behind them."""

from collections.abc import Iterator

import httpx
import pytest
from checkers import log_is_published
from parties import Cast, RunningMarket, wait_until
from sqlalchemy import event

from ledger.log.tiles import LEVEL_MAX, TILE_WIDTH, TilePath

IMMUTABLE = "public, max-age=31536000, immutable"
SECONDS = "public, max-age=5"
TEXT, BYTES = "text/plain; charset=utf-8", "application/octet-stream"
FILES = [
    ("checkpoint", TEXT, SECONDS),
    ("log.vkey", TEXT, SECONDS),
    ("tile/0/000.p/1", BYTES, IMMUTABLE),
    ("tile/entries/000.p/1", BYTES, IMMUTABLE),
]


@pytest.fixture(scope="module")
def site(shared_market: RunningMarket) -> Iterator[httpx.Client]:
    """The log of a market that has some statements, all of them published."""
    with Cast(shared_market) as cast:
        consumer = cast.consumer(funds=1)
        for _ in range(4):
            consumer.top_up(1)
    context = shared_market.context
    wait_until(lambda: log_is_published(context.log, context.database))
    with httpx.Client(base_url=f"{shared_market.url}/log/") as site:
        yield site


@pytest.mark.parametrize(("path", "kind", "cache"), FILES)
def test_file_says_what_it_is_and_how_long_it_holds(site, path, kind, cache) -> None:
    answer = site.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == cache
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(("path", "kind", "cache"), FILES)
def test_head_tells_the_same_without_the_file(site, path, kind, cache) -> None:
    whole, head = site.get(path), site.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "cache-control", "etag", "content-length"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("path", [path for path, _, _ in FILES])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_who_has_it_is_not_sent_it_again(site, path, form) -> None:
    whole = site.get(path)
    tag = whole.headers["etag"]
    answer = site.get(path, headers={"if-none-match": form.format(tag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == whole.headers["cache-control"]


@pytest.mark.parametrize("tag", ['"other"', "nonsense", ""])
def test_who_has_something_else_is_sent_it(site, tag) -> None:
    assert site.get("checkpoint", headers={"if-none-match": tag}).status_code == 200


def test_narrower_tile_is_the_front_of_the_wider(site) -> None:
    wide = site.get("tile/0/000.p/5").content
    assert len(wide) == 5 * 32
    assert site.get("tile/0/000.p/2").content == wide[:64]
    assert (
        site.get("tile/0/000.p/2").headers["etag"]
        != (site.get("tile/0/000.p/5").headers["etag"])
    )


@pytest.mark.parametrize(
    "path",
    ["tile/0/000", "tile/0/000.p/255", "tile/0/000.p/0", "tile/entries/001", "tile/9"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_there_is_not_to_be_kept(site, path, method) -> None:
    answer = site.request(method, path)
    assert answer.status_code == 404
    assert "cache-control" not in answer.headers
    assert "etag" not in answer.headers


def test_no_answer_is_a_redirect(site) -> None:
    size = int(site.get("checkpoint").text.splitlines()[1])
    paths = ["checkpoint", "log.vkey"]
    for level in (None, *range(LEVEL_MAX + 1)):
        width = (size >> 8 * (level or 0)) % TILE_WIDTH
        paths += [str(TilePath(level, 0, width))] if width else []
    assert {site.get(path).status_code for path in paths} == {200}


def test_files_cost_no_query(site, shared_market) -> None:
    """Count what this process asks the database while files are served."""
    queries: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        queries.append(statement)

    engine = shared_market.context.database._reader
    event.listen(engine, "before_cursor_execute", count)
    for path, _, _ in FILES:
        assert site.get(path).status_code == 200
        assert site.head(path).status_code == 200
    event.remove(engine, "before_cursor_execute", count)
    # The publisher reads in its own time, and only where the log ends.
    assert [text for text in queries if "log_head" not in text] == []


def test_files_are_served_without_a_database(site, shared_market, monkeypatch) -> None:
    def fail() -> None:
        raise AssertionError("a file has asked the database")

    monkeypatch.setattr(shared_market.context.database, "reading", fail)
    monkeypatch.setattr(shared_market.context.database, "writing", fail)
    assert {site.get(path).status_code for path, _, _ in FILES} == {200}
