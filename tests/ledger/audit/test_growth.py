"""Two checkpoints belong to one history, or they do not, or nothing is proven."""

from contextlib import suppress

import pytest
from grown_log import GrownLog
from hypothesis import given
from hypothesis import strategies as st
from served_log import tiles_of

from ledger.audit.errors import ForkError, UnprovenError
from ledger.audit.growth import RecordedTiles, verify_growth
from ledger.errors import TileError
from ledger.log import Checkpoint
from ledger.log.tiles import parse_path, truncate_tile


class HeldTiles:
    """Tiles in memory; a wider one answers for a narrower one."""

    def __init__(self, tiles: dict[str, bytes]) -> None:
        self.tiles = tiles

    def read(self, path: str) -> bytes:
        wanted = parse_path(path)
        for known, data in self.tiles.items():
            tile = parse_path(known)
            if (tile.level, tile.index) == (wanted.level, wanted.index):
                return truncate_tile(data, wanted)
        raise TileError("no such tile")


LOG = GrownLog().grow(600)
TILES = tiles_of(LOG.entries)
SIZES = (0, 1, 2, 255, 256, 257, 511, 512, 513, 599, 600)


@pytest.mark.parametrize("size", SIZES)
def test_beginning_of_a_log_belongs_to_it(size) -> None:
    whole, part = LOG.checkpoint(), LOG.checkpoint(size)
    verify_growth(part, whole, HeldTiles(TILES))
    verify_growth(whole, part, HeldTiles(TILES))


@pytest.mark.parametrize("size", [size for size in SIZES if size])
def test_other_beginning_is_a_fork(size) -> None:
    other = LOG.fork(size - 1).grow(1, "other").checkpoint()
    for pair in ((other, LOG.checkpoint()), (LOG.checkpoint(), other)):
        with pytest.raises(ForkError):
            verify_growth(*pair, HeldTiles(TILES))


def test_two_roots_of_one_size_need_no_tiles() -> None:
    other = LOG.fork(599).grow(1, "other").checkpoint()
    with pytest.raises(ForkError, match="two roots for 600 entries"):
        verify_growth(LOG.checkpoint(), other, HeldTiles({}))
    verify_growth(LOG.checkpoint(), LOG.checkpoint(), HeldTiles({}))


def test_tiles_of_another_log_prove_nothing() -> None:
    other = GrownLog().grow(600, "other")
    for size in (0, 100, 300):
        with pytest.raises(UnprovenError):
            verify_growth(
                LOG.checkpoint(size),
                LOG.checkpoint(),
                HeldTiles(tiles_of(other.entries)),
            )


def test_missing_tile_is_told() -> None:
    for path in TILES:
        tiles = {name: data for name, data in TILES.items() if name != path}
        source = RecordedTiles(HeldTiles(TILES))
        verify_growth(LOG.checkpoint(300), LOG.checkpoint(), source)
        if not any(name.startswith(path.split(".p/")[0]) for name in source.shown):
            continue
        with pytest.raises(TileError):
            verify_growth(LOG.checkpoint(300), LOG.checkpoint(), HeldTiles(tiles))


def test_claim_of_the_largest_size_reads_few_tiles() -> None:
    class Endless:
        read_count = 0

        def read(self, path: str) -> bytes:
            self.read_count += 1
            return bytes(parse_path(path).bytes_max)

    source = Endless()
    claim = Checkpoint(LOG.origin, 2**63 - 1, bytes(32))
    with pytest.raises(UnprovenError):
        verify_growth(LOG.checkpoint(), claim, source)
    assert source.read_count <= 16


@given(data=st.data())
def test_changed_tile_never_makes_a_fork_of_an_honest_log(data) -> None:
    """Only what leads to the signed root may accuse a log."""
    size = data.draw(st.integers(0, 599))
    path = data.draw(st.sampled_from(sorted(TILES)))
    tile = bytearray(TILES[path])
    at = data.draw(st.integers(0, len(tile) - 1))
    tile[at] ^= data.draw(st.integers(1, 255))
    tiles = HeldTiles(TILES | {path: bytes(tile)})
    with suppress(UnprovenError):
        verify_growth(LOG.checkpoint(size), LOG.checkpoint(), tiles)


@given(st.binary(max_size=9_000), st.integers(0, 599))
def test_arbitrary_tiles_raise_only_our_errors(data, size) -> None:
    class Same:
        def read(self, _path: str) -> bytes:
            return data

    with pytest.raises((UnprovenError, TileError)):
        verify_growth(LOG.checkpoint(size), LOG.checkpoint(), Same())
