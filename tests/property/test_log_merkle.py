"""Laws of the tree: one root by any way, and only true proofs verify."""

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ProofError
from ledger.log import (
    EMPTY_ROOT,
    Frontier,
    TileTree,
    leaf_hash,
    parse_path,
    verify_consistency,
    verify_inclusion,
)

HASHES = [leaf_hash(b"%d" % index) for index in range(600)]
SIZES = st.integers(0, len(HASHES))
GARBAGE = st.lists(st.binary(max_size=40) | st.binary(min_size=32, max_size=32))


class MemoryTiles:
    """Tiles over the first of 600 leaves; level 1 holds at most two roots."""

    def read(self, path: str) -> bytes:
        tile = parse_path(path)
        row = (
            HASHES
            if tile.level == 0
            else [slow_root(HASHES[:256]), slow_root(HASHES[256:512])]
        )
        return b"".join(row[tile.index * 256 :][: tile.width])


def slow_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 9162, section 2.1.1, over leaf hashes."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else EMPTY_ROOT
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    halves = slow_root(hashes[:middle]) + slow_root(hashes[middle:])
    return hashlib.sha256(b"\x01" + halves).digest()


def frontier_of(hashes: Iterable[bytes]) -> Frontier:
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier


@given(SIZES)
def test_root_follows_definition(size: int) -> None:
    expected = slow_root(HASHES[:size])
    assert frontier_of(HASHES[:size]).root() == expected
    assert TileTree(MemoryTiles(), size).root() == expected


@given(SIZES, SIZES)
def test_frontier_may_stop_anywhere(first: int, second: int) -> None:
    stored = frontier_of(HASHES[:first])
    resumed = Frontier(stored.size, stored.peaks)
    resumed.extend(HASHES[first : first + second])
    assert resumed.root() == frontier_of(HASHES[: first + second]).root()


@given(st.data(), SIZES.filter(bool))
def test_true_inclusion_verifies_and_near_miss_does_not(
    data: st.DataObject, size: int
) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = TileTree(MemoryTiles(), size)
    root, path = tree.root(), tree.inclusion_path(index)
    verify_inclusion(HASHES[index], index=index, tree_size=size, path=path, root=root)

    other = data.draw(
        st.integers(0, size - 1).filter(lambda it: it != index) | st.just(size)
    )
    misses = [(HASHES[index], other, path, root), (leaf_hash(b"x"), index, path, root)]
    misses += [(HASHES[index], index, [*path, root], root)]
    misses += [
        (HASHES[index], index, path, HASHES[index - 1] if size > 1 else EMPTY_ROOT)
    ]
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        misses += [(HASHES[index], index, path[:at] + path[at + 1 :], root)]
        misses += [(HASHES[index], index, (*path[:at], root, *path[at + 1 :]), root)]
    for leaf, place, changed, goal in misses:
        with pytest.raises(ProofError):
            verify_inclusion(leaf, index=place, tree_size=size, path=changed, root=goal)


@given(st.data(), SIZES)
def test_true_consistency_verifies_and_near_miss_does_not(
    data: st.DataObject, new_size: int
) -> None:
    old_size = data.draw(st.integers(0, new_size))
    tree = TileTree(MemoryTiles(), new_size)
    proof = {
        "old_size": old_size,
        "new_size": new_size,
        "path": tree.consistency_path(old_size),
        "old_root": slow_root(HASHES[:old_size]),
        "new_root": tree.root(),
    }
    verify_consistency(**proof)

    misses = [{"old_root": leaf_hash(b"x")}, {"path": [*proof["path"], EMPTY_ROOT]}]
    if old_size:
        misses += [{"new_root": leaf_hash(b"x")}]
    if proof["path"]:
        at = data.draw(st.integers(0, len(proof["path"]) - 1))
        before, after = proof["path"][:at], proof["path"][at + 1 :]
        misses += [{"path": before + after}, {"path": (*before, EMPTY_ROOT, *after)}]
    for change in misses:
        with pytest.raises(ProofError):
            verify_consistency(**(proof | change))


@given(st.integers(), st.integers(), GARBAGE, st.binary(max_size=40))
def test_verify_inclusion_raises_nothing_else(
    index: int, size: int, path: list[bytes], root: bytes
) -> None:
    with pytest.raises(ProofError):
        verify_inclusion(EMPTY_ROOT, index=index, tree_size=size, path=path, root=root)


@given(st.integers(), st.integers(), GARBAGE, st.binary(max_size=40))
def test_verify_consistency_raises_nothing_else(
    old_size: int, new_size: int, path: list[bytes], root: bytes
) -> None:
    with pytest.raises(ProofError):
        verify_consistency(
            old_size=old_size,
            new_size=new_size,
            path=path,
            old_root=root,
            new_root=b"x" * 32,
        )
