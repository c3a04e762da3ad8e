"""Trees and proofs, ours and pymerkle's, each checked by the other."""

import pytest
from page_programs import load_program
from pymerkle import (
    InmemoryTree,
    InvalidProof,
    MerkleProof,
    verify_consistency,
    verify_inclusion,
)

from ledger.errors import ProofError
from ledger.log import FolderTiles, TileTree, leaf_hash
from ledger.log import verify_consistency as verify_our_consistency
from ledger.log import verify_inclusion as verify_our_inclusion

PROGRAM = load_program("pymerkle")
SIZES = (1, 2, 3, 4, 5, 8, 13, 31, 255, 256, 257, 511, 512, 600, 700)


@pytest.fixture(scope="module")
def theirs(grown) -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for entry in grown.entries:
        tree.append_entry(entry)
    return tree


def our_tree(grown, size: int) -> TileTree:
    return TileTree(FolderTiles(grown.log), size)


def directions(index: int, size: int) -> list[int]:
    """For each step of a path, from the leaf up: 1 if its hash is to the left."""
    steps, start, end = [], 0, size
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        steps.append(int(index >= middle))
        start, end = (middle, end) if index >= middle else (start, middle)
    return steps[::-1]


def as_theirs(
    size: int, rule: list[int], subset: list[int], path: list[bytes]
) -> MerkleProof:
    security = True  # the prefixes of RFC 6962
    return MerkleProof("sha256", security, size, rule, subset, path)


def as_our_path(proof: MerkleProof) -> tuple[bytes, ...]:
    """Their proof of growth in the form of RFC 9162.

    Theirs begins at the first leaf that is new, the standard's at the last whole part
    of the old tree; and the standard leaves that one out if it is the old tree.
    """
    if all(proof.subset):
        return ()
    first = proof.subset.index(1)
    below = MerkleProof(
        proof.algorithm, proof.security, 0, proof.rule[:first], [], proof.path[:first]
    )
    rest = (below.resolve(), *proof.path[first + 1 :])
    return rest if sum(proof.subset) == 1 else (proof.path[first], *rest)


def test_log_is_accepted(grown) -> None:
    assert PROGRAM.verify(grown.log) == 700


def test_growth_is_accepted(grown) -> None:
    for note in grown.checkpoints.values():
        PROGRAM.verify(grown.log, note.decode())


def test_damaged_entry_is_refused(damaged) -> None:
    """Their tree is made of entries and a root: damage elsewhere is not seen."""
    entries = PROGRAM.read_entries(damaged.log, 700)
    root = damaged.log.joinpath("checkpoint").read_bytes().splitlines()[:3]
    if entries == damaged.entries and root == damaged.checkpoints[700].splitlines()[:3]:
        assert PROGRAM.verify(damaged.log) == 700
        return
    with pytest.raises((ValueError, FileNotFoundError)):
        PROGRAM.verify(damaged.log)


def test_fork_is_refused(grown, forked) -> None:
    with pytest.raises(InvalidProof):
        PROGRAM.verify(grown.log, forked.read_text())


def test_roots_are_the_same(grown, theirs) -> None:
    for size in SIZES:
        assert our_tree(grown, size).root() == theirs.get_state(size)


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_holds_for_the_other(grown, theirs, size) -> None:
    tree = our_tree(grown, size)
    for index in {0, size // 3, size // 2, size - 1}:
        leaf, root = leaf_hash(grown.entries[index]), tree.root()
        proof = theirs.prove_inclusion(index + 1, size)
        path = tuple(proof.path[1:])
        assert path == tree.inclusion_path(index)
        verify_our_inclusion(leaf, index=index, tree_size=size, path=path, root=root)
        rule = [*directions(index, size), 0]
        verify_inclusion(leaf, root, as_theirs(size, rule, [], [leaf, *path]))


def test_inclusion_of_another_entry_fails_for_both(grown, theirs) -> None:
    tree = our_tree(grown, 700)
    path, root = tree.inclusion_path(300), tree.root()
    leaf = leaf_hash(grown.entries[301])
    with pytest.raises(ProofError):
        verify_our_inclusion(leaf, index=300, tree_size=700, path=path, root=root)
    rule = [*directions(300, 700), 0]
    with pytest.raises(InvalidProof):
        verify_inclusion(leaf, root, as_theirs(700, rule, [], [leaf, *path]))


@pytest.mark.parametrize("new", SIZES)
def test_growth_holds_for_the_other(grown, theirs, new) -> None:
    tree = our_tree(grown, new)
    for old in SIZES[: SIZES.index(new)]:
        roots = {"old_root": our_tree(grown, old).root(), "new_root": tree.root()}
        path = as_our_path(theirs.prove_consistency(old, new))
        assert path == tree.consistency_path(old)
        verify_our_consistency(old_size=old, new_size=new, path=path, **roots)
        proof = growth_as_theirs(old, new, path, roots["old_root"])
        verify_consistency(*roots.values(), proof)


def growth_as_theirs(
    old: int, new: int, path: tuple[bytes, ...], old_root: bytes
) -> MerkleProof:
    """A path of RFC 9162 in their form, by the steps of section 2.1.4.2."""
    parts = [old_root, *path] if old & (old - 1) == 0 else list(path)
    steps = directions(old - 1, new)
    # The first steps stay inside the last whole part of the old tree.
    steps = steps[len(steps) - len(parts) + 1 :]
    return as_theirs(new, [*steps, 0], [1, *steps], parts)


def test_growth_from_another_tree_fails_for_both(grown, theirs) -> None:
    tree = our_tree(grown, 700)
    path, other = tree.consistency_path(256), our_tree(grown, 255).root()
    with pytest.raises(ProofError):
        verify_our_consistency(
            old_size=256, new_size=700, path=path, old_root=other, new_root=tree.root()
        )
    with pytest.raises(InvalidProof):
        verify_consistency(other, tree.root(), growth_as_theirs(256, 700, path, other))
