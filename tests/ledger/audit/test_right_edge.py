"""The right edge, tile by tile, is that of the tree that the standard defines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.right_edge import RightEdge, hash_leaves, root_of_row
from ledger.log import Frontier, leaf_hash
from ledger.log.tiles import TILE_WIDTH, TilePath

ENTRIES = [b"entry %d" % index for index in range(1000)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def root_of(hashes: list[bytes]) -> bytes:
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier.root()


def edge_of(size: int) -> RightEdge:
    edge = RightEdge()
    for start in range(0, size, TILE_WIDTH):
        edge.append(LEAVES[start : min(start + TILE_WIDTH, size)])
    return edge


def test_leaves_are_those_of_the_log() -> None:
    assert hash_leaves(ENTRIES) == LEAVES


@pytest.mark.parametrize("width", [1, 2, 4, 64, 256])
def test_root_of_row_is_that_of_its_tree(width: int) -> None:
    assert root_of_row(LEAVES[:width]) == root_of(LEAVES[:width])


@given(st.integers(0, 1000))
def test_root_is_that_of_the_tree(size: int) -> None:
    edge = edge_of(size)
    assert edge.size == size
    assert edge.root() == root_of(LEAVES[:size])
    assert RightEdge(edge.rows).root() == edge.root()


@given(st.integers(0, 3), st.integers(0, 256))
def test_root_with_more_leaves_changes_nothing(tiles: int, more: int) -> None:
    size = tiles * TILE_WIDTH
    edge = edge_of(size)
    leaves = LEAVES[size : size + more]
    assert edge.root(leaves) == root_of(LEAVES[: size + len(leaves)])
    assert edge.size == size


def test_full_and_unfinished_tiles_are_given() -> None:
    edge = RightEdge([[], [LEAVES[0]] * 255, [LEAVES[1]]])
    full = edge.append(LEAVES[:TILE_WIDTH])
    assert [path for path, _ in full] == [TilePath(1, 1)]
    assert full[0][1] == [*[LEAVES[0]] * 255, root_of(LEAVES[:TILE_WIDTH])]
    above = root_of_row(full[0][1])
    assert list(edge.unfinished()) == [(TilePath(2, 0, 2), [LEAVES[1], above])]
    assert edge.append(LEAVES[:TILE_WIDTH]) == []
    assert [str(path) for path, _ in edge.unfinished()] == [
        "tile/1/002.p/1",
        "tile/2/000.p/2",
    ]
