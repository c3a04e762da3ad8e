"""A log in memory that grows, is proven from, and can be made to fork."""

from ledger.encoding import encode_base64
from ledger.log import Checkpoint, Frontier, Signer, leaf_hash, node_hash, sign_note
from ledger.signing import PrivateKey


class GrownLog:
    """Entries and the keys of a log; two with one prefix are a fork of each other."""

    def __init__(
        self,
        entries: list[bytes] | None = None,
        *,
        origin: str = "log.example/main",
        seed: bytes = b"l" * 32,
    ) -> None:
        self.entries = list(entries or [])
        self.signer = Signer(origin, PrivateKey(seed))
        self.signers = [self.signer]

    @property
    def origin(self) -> str:
        return self.signer.verifier.name

    def grow(self, count: int, word: str = "entry") -> "GrownLog":
        """Append so many entries."""
        first = len(self.entries)
        self.entries += [f"{word} {first + at}".encode() for at in range(count)]
        return self

    def fork(self, size: int) -> "GrownLog":
        """The same log up to a size, to go on in another way."""
        other = GrownLog(self.entries[:size], origin=self.origin)
        other.signer, other.signers = self.signer, self.signers
        return other

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = len(self.entries) if size is None else size
        frontier = Frontier()
        frontier.extend(leaf_hash(entry) for entry in self.entries[:size])
        return Checkpoint(self.origin, size, frontier.root())

    def note(self, size: int | None = None) -> bytes:
        return sign_note(self.checkpoint(size).text, self.signers)

    def proof(self, old_size: int, size: int | None = None) -> tuple[bytes, ...]:
        """By the definition in the standard, for logs of a few entries.

        Source: RFC 9162, section 2.1.4.1.
        """
        leaves = [leaf_hash(entry) for entry in self.entries[:size]]
        if old_size in {0, len(leaves)}:
            return ()
        return tuple(_subproof(old_size, leaves, is_whole=True))

    def request(self, old_size: int, size: int | None = None) -> bytes:
        """The body that asks a witness to go from one size to another."""
        hashes = [encode_base64(item) for item in self.proof(old_size, size)]
        lines = [f"old {old_size}", *hashes, "", ""]
        return "\n".join(lines).encode() + self.note(size)


def _subproof(old_size: int, leaves: list[bytes], *, is_whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if is_whole else [_root(leaves)]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:middle], leaves[middle:]
    if old_size <= middle:
        return [*_subproof(old_size, left, is_whole=is_whole), _root(right)]
    return [*_subproof(old_size - middle, right, is_whole=False), _root(left)]


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(_root(leaves[:middle]), _root(leaves[middle:]))
