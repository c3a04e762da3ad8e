import base64
import hashlib
from typing import Any

import pytest

from ledger.errors import ProofError, TileError
from ledger.log import (
    EMPTY_ROOT,
    TilePath,
    TileTree,
    leaf_hash,
    parse_path,
    verify_consistency,
    verify_inclusion,
)
from ledger.log.tiles import encode_bundle


def slow_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 9162, section 2.1.1, over leaf hashes."""
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    halves = slow_root(hashes[:middle]) + slow_root(hashes[middle:])
    return hashlib.sha256(b"\x01" + halves).digest()


class MemoryTiles:
    """Tiles after their definition, of a log that keeps growing; counts reads."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries
        self.levels = [[leaf_hash(entry) for entry in entries]]
        while len(self.levels[-1]) >= 256:
            row = self.levels[-1]
            full = range(0, len(row) - 255, 256)
            self.levels.append([slow_root(row[at : at + 256]) for at in full])
        self.reads: list[str] = []

    def read(self, path: str) -> bytes:
        self.reads.append(path)
        tile = parse_path(path)
        first = tile.index * 256
        if tile.level is None:
            return encode_bundle(self.entries[first : first + tile.width])
        return b"".join(self.levels[tile.level][first : first + tile.width])


@pytest.fixture(scope="module")
def tiles() -> MemoryTiles:
    return MemoryTiles([b"%d" % index for index in range(70_000)])


@pytest.fixture
def published(vectors: Any) -> list[bytes]:
    return [bytes.fromhex(leaf) for leaf in vectors["rfc6962_tree"]["leaves"]]


def test_paths_equal_published_ones(vectors: Any, published: list[bytes]) -> None:
    vector = vectors["rfc6962_tree"]
    for case in vector["inclusion"]:
        tree = TileTree(MemoryTiles(published), case["tree_size"])
        path = tree.inclusion_path(case["index"])
        assert [item.hex() for item in path] == case["path"]
    for case in vector["consistency"]:
        tree = TileTree(MemoryTiles(published), case["new_size"])
        path = tree.consistency_path(case["old_size"])
        assert [item.hex() for item in path] == case["path"]


def test_paths_of_own_log_are_frozen(vectors: Any) -> None:
    own = vectors["own_log"]
    tree = TileTree(MemoryTiles([word.encode() for word in own["entries"]]), 5)
    for index, expected in own["paths"].items():
        path = tree.inclusion_path(int(index))
        assert [base64.b64encode(item).decode() for item in path] == expected


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 65_536, 65_537, 70_000])
def test_root_follows_definition(tiles: MemoryTiles, size: int) -> None:
    tree = TileTree(tiles, size)
    assert tree.root() == slow_root(tiles.levels[0][:size])


def test_empty_tree_reads_nothing(tiles: MemoryTiles) -> None:
    tiles.reads.clear()
    tree = TileTree(tiles, 0)
    assert tree.root() == EMPTY_ROOT
    assert tree.consistency_path(0) == ()
    assert list(tree.entries()) == []
    assert tiles.reads == []


@pytest.mark.parametrize("size", [1, 256, 300, 65_792, 70_000])
def test_inclusion_paths_verify(tiles: MemoryTiles, size: int) -> None:
    tree = TileTree(tiles, size)
    edges = {0, 1, 254, 255, 256, 257, 65_535, 65_536, size - 2, size - 1}
    for index in sorted(edges & set(range(size))):
        verify_inclusion(
            leaf_hash(tiles.entries[index]),
            index=index,
            tree_size=size,
            path=tree.inclusion_path(index),
            root=tree.root(),
        )


@pytest.mark.parametrize("size", [1, 256, 300, 65_792, 70_000])
def test_consistency_paths_verify(tiles: MemoryTiles, size: int) -> None:
    tree = TileTree(tiles, size)
    for old_size in sorted({0, 1, 255, 256, 257, 65_536, size - 1, size}):
        if old_size <= size:
            verify_consistency(
                old_size=old_size,
                new_size=size,
                path=tree.consistency_path(old_size),
                old_root=TileTree(tiles, old_size).root(),
                new_root=tree.root(),
            )


def test_entries_come_back(tiles: MemoryTiles) -> None:
    tree = TileTree(tiles, 600)
    assert list(tree.entries()) == tiles.entries[:600]
    assert list(tree.entries(start=300)) == tiles.entries[300:600]
    assert list(tree.entries(start=512)) == tiles.entries[512:600]
    assert list(tree.entries(start=600)) == []
    assert [tree.entry(index) for index in (0, 255, 256, 599)] == [
        tiles.entries[index] for index in (0, 255, 256, 599)
    ]


def test_entries_hold_one_bundle_at_a_time(tiles: MemoryTiles) -> None:
    tiles.reads.clear()
    entries = TileTree(tiles, 70_000).entries()
    for _ in range(257):
        next(entries)
    assert tiles.reads == ["tile/entries/000", "tile/entries/001"]


def test_tile_is_read_once(tiles: MemoryTiles) -> None:
    tree = TileTree(tiles, 70_000)
    tiles.reads.clear()
    for index in range(100):
        tree.inclusion_path(index)
    assert len(tiles.reads) == len(set(tiles.reads)) <= 6


def test_index_beyond_tree_is_refused(tiles: MemoryTiles) -> None:
    tree = TileTree(tiles, 300)
    for index in (-1, 300, 2**64):
        with pytest.raises(ProofError):
            tree.inclusion_path(index)
        with pytest.raises(ProofError):
            tree.entry(index)
        if index != 300:
            with pytest.raises(ProofError):
                tree.consistency_path(index)


@pytest.mark.parametrize("change", [b"", b"x", b"x" * 32])
def test_tile_of_wrong_width_is_refused(change: bytes) -> None:
    class WrongTiles(MemoryTiles):
        def read(self, path: str) -> bytes:
            return super().read(path)[: -32 * (not change) or None] + change

    tree = TileTree(WrongTiles([b"a", b"b", b"c"]), 3)
    with pytest.raises(TileError):
        tree.root()
    if change:
        with pytest.raises(TileError):
            tree.entry(0)


def test_wrong_tile_gives_path_that_fails(tiles: MemoryTiles) -> None:
    class WrongTiles(MemoryTiles):
        def read(self, path: str) -> bytes:
            data = super().read(path)
            return b"\0" * 32 + data[32:] if path == str(TilePath(0, 0)) else data

    tree = TileTree(WrongTiles(tiles.entries[:300]), 300)
    root = TileTree(tiles, 300).root()
    assert tree.root() == root
    with pytest.raises(ProofError):
        verify_inclusion(
            leaf_hash(tiles.entries[1]),
            index=1,
            tree_size=300,
            path=tree.inclusion_path(1),
            root=root,
        )
