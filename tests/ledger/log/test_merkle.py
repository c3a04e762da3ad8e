from collections.abc import Sequence
from typing import Any

import pytest

from ledger.errors import ProofError
from ledger.log import (
    EMPTY_ROOT,
    Frontier,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)


def make_frontier(leaves: list[bytes]) -> Frontier:
    frontier = Frontier()
    frontier.extend(map(leaf_hash, leaves))
    return frontier


@pytest.fixture
def tree(vectors: Any) -> Any:
    return vectors["rfc6962_tree"]


@pytest.fixture
def leaves(tree: Any) -> list[bytes]:
    return [bytes.fromhex(leaf) for leaf in tree["leaves"]]


@pytest.fixture
def roots(tree: Any) -> list[bytes]:
    return [bytes.fromhex(root) for root in tree["roots"]]


def make_inclusion(
    tree: Any, leaves: list[bytes], roots: list[bytes], case: int = 0
) -> dict[str, Any]:
    vector = tree["inclusion"][case]
    return {
        "leaf": leaf_hash(leaves[vector["index"]]),
        "index": vector["index"],
        "tree_size": vector["tree_size"],
        "path": [bytes.fromhex(item) for item in vector["path"]],
        "root": roots[vector["tree_size"]],
    }


def make_consistency(tree: Any, roots: list[bytes], case: int = 0) -> dict[str, Any]:
    vector = tree["consistency"][case]
    return {
        "old_size": vector["old_size"],
        "new_size": vector["new_size"],
        "path": [bytes.fromhex(item) for item in vector["path"]],
        "old_root": roots[vector["old_size"]],
        "new_root": roots[vector["new_size"]],
    }


def test_frontier_gives_published_roots(
    leaves: list[bytes], roots: list[bytes]
) -> None:
    assert [make_frontier(leaves[:size]).root() for size in range(9)] == roots
    assert roots[0] == EMPTY_ROOT


def test_frontier_goes_on_from_stored_edge(
    leaves: list[bytes], roots: list[bytes]
) -> None:
    stored = make_frontier(leaves[:5])
    resumed = Frontier(stored.size, stored.peaks)
    resumed.extend(map(leaf_hash, leaves[5:]))
    assert resumed.root() == roots[8]
    assert stored.root() == roots[5]


@pytest.mark.parametrize(
    ("size", "peaks"),
    [
        (3, [b"a" * 32]),
        (0, [b"a" * 32]),
        (1, [b"a" * 31]),
        (-1, [b"a" * 32]),
        (2**63, [b"a" * 32]),
    ],
)
def test_frontier_refuses_wrong_edge(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(ProofError):
        Frontier(size, peaks)


@pytest.mark.parametrize("case", [0, 1])
def test_verify_inclusion_accepts_published_paths(
    tree: Any, leaves: list[bytes], roots: list[bytes], case: int
) -> None:
    verify_inclusion(**make_inclusion(tree, leaves, roots, case))


@pytest.mark.parametrize(
    "change",
    [
        {"index": 4},
        {"index": 7},
        {"index": 8},
        {"index": -1},
        {"tree_size": 5},
        {"tree_size": 0},
        {"tree_size": 2**63},
        {"leaf": leaf_hash(b"another")},
        {"leaf": b""},
        {"root": EMPTY_ROOT},
        {"root": b"short"},
    ],
)
def test_verify_inclusion_refuses_near_miss(
    tree: Any,
    leaves: list[bytes],
    roots: list[bytes],
    change: Any,
) -> None:
    with pytest.raises(ProofError):
        verify_inclusion(**(make_inclusion(tree, leaves, roots) | change))


def test_verify_inclusion_refuses_changed_path(
    tree: Any, leaves: list[bytes], roots: list[bytes]
) -> None:
    proof = make_inclusion(tree, leaves, roots)
    first, second, third = proof["path"]
    for path in (
        [],
        [first, second],
        [first, second, third, third],
        [second, first, third],
        [first, second, EMPTY_ROOT],
        [first, second, third[:31]],
    ):
        with pytest.raises(ProofError):
            verify_inclusion(**(proof | {"path": path}))


def test_verify_inclusion_refuses_inner_node_as_leaf(
    leaves: list[bytes], roots: list[bytes]
) -> None:
    """A node two leaves below the root is no leaf, though its hash leads there."""
    inner = make_frontier(leaves[:2]).root()
    sibling = make_frontier(leaves[2:4]).root()
    verify_inclusion(inner, index=0, tree_size=2, path=[sibling], root=roots[4])
    with pytest.raises(ProofError):
        verify_inclusion(inner, index=0, tree_size=4, path=[sibling], root=roots[4])


@pytest.mark.parametrize("case", [0, 1])
def test_verify_consistency_accepts_published_paths(
    tree: Any, roots: list[bytes], case: int
) -> None:
    verify_consistency(**make_consistency(tree, roots, case))


@pytest.mark.parametrize(
    "change",
    [
        {"old_size": 5},
        {"old_size": 4},
        {"old_size": 7},
        {"old_size": 8},
        {"old_size": 0},
        {"old_size": -1},
        {"new_size": 9},
        {"new_size": 5},
        {"new_size": 2**63},
        {"old_root": EMPTY_ROOT},
        {"new_root": EMPTY_ROOT},
        {"new_root": b""},
        {"path": []},
    ],
)
def test_verify_consistency_refuses_near_miss(
    tree: Any, roots: list[bytes], change: Any
) -> None:
    with pytest.raises(ProofError):
        verify_consistency(**(make_consistency(tree, roots) | change))


def test_verify_consistency_refuses_changed_path(tree: Any, roots: list[bytes]) -> None:
    for case in (0, 1):
        proof = make_consistency(tree, roots, case)
        path = proof["path"]
        for changed in (
            path[:-1],
            path[1:],
            [*path, EMPTY_ROOT],
            path[::-1],
            [*path[:-1], EMPTY_ROOT],
        ):
            with pytest.raises(ProofError):
                verify_consistency(**(proof | {"path": changed}))


def test_verify_consistency_knows_trivial_cases(roots: list[bytes]) -> None:
    def verify(
        old_size: int,
        new_size: int,
        old_root: bytes,
        new_root: bytes,
        path: Sequence[bytes] = (),
    ) -> None:
        verify_consistency(
            old_size=old_size,
            new_size=new_size,
            path=path,
            old_root=old_root,
            new_root=new_root,
        )

    verify(0, 0, EMPTY_ROOT, EMPTY_ROOT)
    verify(0, 8, EMPTY_ROOT, roots[8])
    verify(8, 8, roots[8], roots[8])
    for wrong in (
        (0, 0, EMPTY_ROOT, roots[8]),
        (0, 0, roots[8], roots[8]),
        (0, 8, roots[8], roots[8]),
        (8, 8, roots[7], roots[8]),
        (0, 8, EMPTY_ROOT, roots[8], [EMPTY_ROOT]),
        (8, 8, roots[8], roots[8], [EMPTY_ROOT]),
    ):
        with pytest.raises(ProofError):
            verify(*wrong)
