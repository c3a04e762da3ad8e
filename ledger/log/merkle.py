"""The Merkle tree of the log: hashes, proofs checked, and the growing right edge.

Pure: bytes in, bytes out. Whoever trusts a root needs nothing but this file to
check that an entry is under it, or that a later root only added to it.

Source: RFC 9162, sections 2.1.1 to 2.1.4 (the same tree as RFC 6962).
"""

import hashlib
from collections.abc import Iterable, Sequence

from ledger.errors import ProofError

HASH_BYTES = 32
"""SHA-256, the only hash of the tree."""

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree that has no leaves."""

TREE_SIZE_MAX = 2**63 - 1
"""A path then has at most 63 hashes, and a size fits a signed 64-bit column."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry of the log; returns 32 bytes."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two sub-trees of 32 bytes each into their parent."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def hash_pairs(row: bytes) -> bytes:
    """Hash a row of nodes, side by side, into the row above; an odd last one is left.

    As `node_hash` for each pair of 32 bytes, at three quarters of the cost.
    """
    pairs = range(0, len(row) - HASH_BYTES, 2 * HASH_BYTES)
    return b"".join(
        [hashlib.sha256(b"\x01" + row[at : at + 64]).digest() for at in pairs]
    )


def join_peaks(peaks: Sequence[bytes]) -> bytes:
    """Hash perfect sub-trees that stand side by side into one root.

    Args:
        peaks: Roots of perfect sub-trees, left to right and so from the largest
            to the smallest; none for the empty tree.
    """
    if not peaks:
        return EMPTY_ROOT
    *rest, root = peaks
    for peak in reversed(rest):
        root = node_hash(peak, root)
    return root


class Frontier:
    """The right edge of a tree: all it takes to append to it and know its root.

    Holds one hash for each one-bit of the size, at most 63.
    """

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """Begin an empty tree, or go on from a stored edge.

        Args:
            size: Count of leaves so far.
            peaks: `peaks` of the frontier that was stored.

        Raises:
            ProofError: The peaks are not those of a tree of this size.
        """
        self.size = size
        self._peaks = list(peaks)
        if not 0 <= size <= TREE_SIZE_MAX or len(self._peaks) != size.bit_count():
            raise ProofError(f"{len(self._peaks)} peaks are no edge of size {size}.")
        _check_hashes(*self._peaks)

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Roots of the perfect sub-trees, from the largest to the smallest."""
        return tuple(self._peaks)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaf hashes of 32 bytes each."""
        peaks = self._peaks
        for leaf in leaves:
            peak = leaf
            # Each trailing one-bit of the size is a sub-tree that this leaf completes.
            carry = self.size
            while carry & 1:
                peak = node_hash(peaks.pop(), peak)
                carry >>= 1
            peaks.append(peak)
            self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree as it stands."""
        return join_peaks(self._peaks)


def verify_inclusion(
    leaf: bytes, *, index: int, tree_size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf sits where a proof claims.

    Args:
        leaf: 32-byte hash of the entry, from `leaf_hash`.
        index: Position of the leaf, counted from 0.
        tree_size: Count of leaves under `root`; more than `index`.
        path: Sibling hashes of 32 bytes each, the leaf's own sibling first.
        root: 32-byte root, from a checkpoint whose signature was checked.

    Raises:
        ProofError: The path has not the one length that fits, or does not lead to
            `root`. No other error leaves this function, whatever the input.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < tree_size <= TREE_SIZE_MAX:
        raise ProofError(f"No leaf {index} in a tree of {tree_size} leaves.")
    _check_hashes(leaf, root, *path)
    are_left = _left_siblings(index, tree_size)
    if len(path) != len(are_left):
        raise ProofError(
            f"An inclusion path of {len(path)} hashes, not {len(are_left)}."
        )
    if _climb(leaf, zip(path, are_left, strict=True)) != root:
        raise ProofError("The inclusion path does not lead to the root.")


def verify_consistency(
    *,
    old_size: int,
    new_size: int,
    path: Sequence[bytes],
    old_root: bytes,
    new_root: bytes,
) -> None:
    """Check that a tree only grew: its old leaves are the first of the new ones.

    Args:
        old_size: Count of leaves under `old_root`.
        new_size: Count of leaves under `new_root`; at least `old_size`.
        path: The proof's hashes of 32 bytes each, lowest first.
        old_root: 32-byte root that was trusted before.
        new_root: 32-byte root to be trusted now.

    Raises:
        ProofError: The path has not the one length that fits, or does not lead to
            both roots. No other error leaves this function, whatever the input.

    Source: RFC 9162, section 2.1.4.2.
    """
    if not 0 <= old_size <= new_size <= TREE_SIZE_MAX:
        raise ProofError(f"A tree of {old_size} leaves cannot grow to {new_size}.")
    _check_hashes(old_root, new_root, *path)
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise ProofError("The empty tree has another root.")
    if old_size == new_size and old_root != new_root:
        raise ProofError("Two roots for one size.")
    if old_size in {0, new_size}:
        if path:
            raise ProofError("There is nothing to prove, and yet a path.")
        return
    # Both trees hold the perfect sub-tree at the end of the old one. The path starts
    # with its root; or, if it is all of the old tree, the verifier has that root.
    height = (old_size & -old_size).bit_length() - 1
    hashes = [*path] if old_size.bit_count() > 1 else [old_root, *path]
    are_left = _left_siblings(old_size - 1, new_size)[height:]
    if len(hashes) != 1 + len(are_left):
        raise ProofError(f"A consistency path of {len(path)} hashes.")
    start, *siblings = hashes
    steps = list(zip(siblings, are_left, strict=True))
    # What stands to the right was added later, so the old root is without it.
    old_steps = [(sibling, is_left) for sibling, is_left in steps if is_left]
    if _climb(start, old_steps) != old_root or _climb(start, steps) != new_root:
        raise ProofError("The consistency path does not lead to both roots.")


def _left_siblings(index: int, tree_size: int) -> list[bool]:
    """Tell, for each hash of a leaf's path from below, if it stands to the left.

    Up to where the path meets that of the last leaf, the bits of the index decide.
    Above, the node is on the right edge and all siblings stand to the left; there
    are as many as there are one-bits left.
    """
    meeting = (index ^ (tree_size - 1)).bit_length()
    below = [bool(index >> height & 1) for height in range(meeting)]
    return below + [True] * (index >> meeting).bit_count()


def _climb(start: bytes, steps: Iterable[tuple[bytes, bool]]) -> bytes:
    result = start
    for sibling, is_left in steps:
        result = node_hash(sibling, result) if is_left else node_hash(result, sibling)
    return result


def _check_hashes(*hashes: bytes) -> None:
    if any(len(item) != HASH_BYTES for item in hashes):
        raise ProofError(f"A hash of the tree has {HASH_BYTES} bytes.")
