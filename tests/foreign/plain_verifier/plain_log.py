"""The log: tree, signed notes, checkpoints, tiles, proofs."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

LOG_ED25519, WITNESS_ED25519, ML_DSA_44 = 1, 4, 6
TILE_WIDTH = 256


class WrongError(Exception):
    """Something in the copy is not as the page says."""


def demand(holds: object, what: str) -> None:
    """Refuse the copy unless something holds."""
    if not holds:
        raise WrongError(what)


def sha256(*parts: bytes) -> bytes:
    """The hash of parts, one after the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def decode64(text: str, size: int | None = None) -> bytes:
    """Decode base64 in its one canonical spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise WrongError("not base64") from error
    demand(base64.b64encode(data).decode() == text, "base64 that is not canonical")
    demand(size is None or len(data) == size, f"{len(data)} bytes, not {size}")
    return data


# Tree


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry."""
    return sha256(b"\0", entry)


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two hashes."""
    return sha256(b"\1", left, right)


def split(start: int, end: int) -> int:
    """Where a range divides: at the largest power of two below its length."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def root_of(hashes: list[bytes]) -> bytes:
    """The root over leaf hashes."""
    if not hashes:
        return sha256()
    if len(hashes) == 1:
        return hashes[0]
    middle = split(0, len(hashes))
    return node_hash(root_of(hashes[:middle]), root_of(hashes[middle:]))


def fold_inclusion(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion path leads to."""
    demand(index < size, "an index beyond the end of the log")
    is_right = []
    start, end = 0, size
    while end - start > 1:
        middle = split(start, end)
        is_right.append(index < middle)
        start, end = (start, middle) if index < middle else (middle, end)
    demand(len(path) == len(is_right), "a path of another length")
    found = leaf
    for sibling, right in zip(path, reversed(is_right), strict=True):
        found = node_hash(found, sibling) if right else node_hash(sibling, found)
    return found


def fold_consistency(
    old: int, new: int, old_root: bytes, path: list[bytes]
) -> tuple[bytes, bytes]:
    """The old and the new root that a consistency path leads to."""
    demand(0 < old < new, "no two sizes that a path goes between")
    is_right = []
    start, end = 0, new
    while end > old:
        middle = split(start, end)
        is_right.append(old <= middle)
        start, end = (start, middle) if old <= middle else (middle, end)
    first, *siblings = [old_root, *path] if start == 0 else path or [b""]
    demand(len(siblings) == len(is_right), "a path of another length")
    found_old = found_new = first
    for sibling, right in zip(siblings, reversed(is_right), strict=True):
        if right:
            found_new = node_hash(found_new, sibling)
        else:
            found_new = node_hash(sibling, found_new)
            found_old = node_hash(sibling, found_old)
    return found_old, found_new


# Signed notes


@dataclass(frozen=True)
class Key:
    """A verifier key: a name, and the public key of a type that signs for it."""

    name: str
    type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that stand in its signature lines."""
        return sha256(self.name.encode(), b"\n", bytes([self.type]), self.public)[:4]

    @property
    def text(self) -> str:
        """The verifier key as text."""
        data = bytes([self.type]) + self.public
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(data).decode()}"


def parse_key(text: str) -> Key:
    """Parse a verifier key."""
    demand(text.count("+") >= 2, "no verifier key")
    name, key_id, encoded = text.split("+", 2)
    data = decode64(encoded)
    sizes = {LOG_ED25519: 32, WITNESS_ED25519: 32, ML_DSA_44: 1312}
    demand(data and len(data) == 1 + sizes.get(data[0], -1), "no key of a known type")
    key = Key(name, data[0], data[1:])
    demand(key.id.hex() == key_id, "a key id of another key")
    demand(is_name(name), "no name of a key")
    return key


def is_name(name: str) -> bool:
    """Whether a text can be the name of a key."""
    return 0 < len(name.encode()) <= 255 and not re.search(r"[\s+]", name)


def open_note(note: bytes, keys: list[Key]) -> tuple[str, list[Key]]:
    """Check a note; return its text and which of the keys have signed it."""
    demand(len(note) <= 65_536, "a note that is too long")
    try:
        content = note.decode()
    except UnicodeDecodeError as error:
        raise WrongError("a note that is not UTF-8") from error
    demand(not re.search(r"[\0-\x09\x0b-\x1f]", content), "a control character")
    text, blank, ending = content.rpartition("\n\n")
    demand(blank and ending.endswith("\n"), "no note")
    text += "\n"
    lines = ending[:-1].split("\n")
    demand(len(lines) <= 64, "a note with too many signatures")
    known = {(key.name, key.id): key for key in keys}
    signed_by: list[Key] = []
    for line in lines:
        name, signature = parse_signature_line(line)
        key = known.get((name, signature[:4]))
        if key is None:
            continue
        demand(key not in signed_by, "two signatures of one key")
        verify_signature(key, text, signature[4:])
        signed_by.append(key)
    demand(signed_by, "no signature of a known key")
    return text, signed_by


def parse_signature_line(line: str) -> tuple[str, bytes]:
    """The name in a signature line, and key id and signature."""
    match line.split(" "):
        case ["\N{EM DASH}", name, encoded]:
            demand(is_name(name), "no name of a key")
            return name, decode64(encoded)
    raise WrongError("no signature line")


def verify_signature(key: Key, text: str, signature: bytes) -> None:
    """Check what follows the key id in a signature line."""
    time, rest = signature[:8], signature[8:]
    seconds = int.from_bytes(time, "big")
    try:
        if key.type == LOG_ED25519:
            verify_ed25519(key.public, signature, text.encode())
        elif key.type == WITNESS_ED25519:
            signed = f"cosignature/v1\ntime {seconds}\n{text}"
            verify_ed25519(key.public, rest, signed.encode())
        else:
            public = MLDSA44PublicKey.from_public_bytes(key.public)
            public.verify(rest, subtree_message(key.name, time, text))
    except (InvalidSignature, ValueError) as error:
        raise WrongError(f"a wrong signature of {key.name}") from error
    demand(key.type == LOG_ED25519 or seconds < 2**63, "a time without end")


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    """Check a signature."""
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def subtree_message(name: str, time: bytes, text: str) -> bytes:
    """What an ML-DSA-44 key signs for a checkpoint."""
    checkpoint = parse_checkpoint(text)
    signer, origin = name.encode(), checkpoint.origin.encode()
    demand(len(origin) < 256, "an origin that is too long")
    label = b"subtree/v1\n\0"
    names = bytes([len(signer)]) + signer + time + bytes([len(origin)]) + origin
    sizes = bytes(8) + checkpoint.size.to_bytes(8, "big")
    return label + names + sizes + checkpoint.root


# Checkpoints


@dataclass(frozen=True)
class Checkpoint:
    """What a log says of itself."""

    origin: str
    size: int
    root: bytes


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse the text of a checkpoint."""
    lines = text.split("\n")
    demand(len(lines) == 4 and lines[3] == "" and lines[0], "no checkpoint")
    checkpoint = Checkpoint(lines[0], parse_number(lines[1]), decode64(lines[2], 32))
    demand(checkpoint.size or checkpoint.root == root_of([]), "a root of nothing")
    return checkpoint


def parse_number(text: str) -> int:
    """Parse a size or an index."""
    demand(re.fullmatch("0|[1-9][0-9]{0,18}", text), "no decimal number")
    number = int(text)
    demand(number < 2**63, "a number without end")
    return number


def open_checkpoint(note: bytes, keys: list[Key]) -> Checkpoint:
    """Check that all keys of a log have signed a checkpoint."""
    text, signed_by = open_note(note, keys)
    demand(len(signed_by) == len(keys), "not all keys of the log have signed")
    checkpoint = parse_checkpoint(text)
    demand(checkpoint.origin == keys[0].name, "a checkpoint of another log")
    return checkpoint


def read_log_keys(lines: list[str]) -> list[Key]:
    """The keys of a log."""
    keys = [parse_key(line) for line in lines]
    demand(keys and keys[0].type == LOG_ED25519, "no Ed25519 key of the log")
    demand({key.name for key in keys} == {keys[0].name}, "keys of several logs")
    return keys


@dataclass(frozen=True)
class Keys:
    """The keys of a log through all its changes: of now, and of before each change.

    Each change is the index of its entry and the keys before it, oldest first.
    """

    newest: list[Key]
    changes: list[tuple[int, list[Key]]] = field(default_factory=list)

    def at(self, size: int) -> list[Key]:
        """The keys that must have signed a checkpoint of this many entries."""
        for index, before in self.changes:
            if size <= index:
                return before
        return self.newest

    def open(self, note: bytes) -> Checkpoint:
        """Open a checkpoint of any time."""
        lines = note.split(b"\n", 2)
        demand(len(lines) == 3, "no checkpoint")
        return open_checkpoint(
            note, self.at(parse_number(lines[1].decode("ascii", "replace")))
        )


# Tiles and bundles


class Tiles:
    """The files of a log in a folder."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size

    def entries(self) -> Iterator[bytes]:
        """All entries, each checked against the hash that lies in its tile."""
        for number in range(-(-self.size // TILE_WIDTH)):
            width = min(TILE_WIDTH, self.size - number * TILE_WIDTH)
            entries = self.read_bundle(number, width)
            demand(
                self.read_hashes(0, number, width) == list(map(leaf_hash, entries)),
                f"tile {number} does not go with its entries",
            )
            yield from entries

    def verify_levels(self, leaves: list[bytes]) -> None:
        """Check the tiles above level 0; each hash is the root of a full tile."""
        level, below = 0, leaves
        while len(below) >= TILE_WIDTH:
            level += 1
            starts = range(0, len(below) - TILE_WIDTH + 1, TILE_WIDTH)
            above = [root_of(below[start : start + TILE_WIDTH]) for start in starts]
            for number in range(-(-len(above) // TILE_WIDTH)):
                part = above[number * TILE_WIDTH : (number + 1) * TILE_WIDTH]
                found = self.read_hashes(level, number, len(part))
                demand(found == part, f"tile {number} of level {level} is wrong")
            below = above

    def read_hashes(self, level: int, number: int, width: int) -> list[bytes]:
        """The hashes of a tile."""
        data = self.read(str(level), number, width)
        demand(len(data) % 32 == 0 and len(data) >= 32 * width, "a tile that is short")
        return [data[32 * place : 32 * (place + 1)] for place in range(width)]

    def read_bundle(self, number: int, width: int) -> list[bytes]:
        """The entries of a bundle."""
        data = self.read("entries", number, width)
        entries, end = [], 0
        for _ in range(width):
            start = end + 2
            end = start + int.from_bytes(data[end:start], "big")
            demand(len(data) >= start and len(data) >= end, "a bundle that is short")
            entries.append(data[start:end])
        return entries

    def read(self, kind: str, number: int, width: int) -> bytes:
        """The file of a tile; a full one where the partial one is gone."""
        groups = re.findall("...", str(number).zfill(-(-len(str(number)) // 3) * 3))
        name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        full = self.folder / "tile" / kind / name
        partial = full.with_name(f"{full.name}.p") / str(width)
        for path in [partial, full] if width < TILE_WIDTH else [full]:
            if path.is_file():
                return path.read_bytes()
        raise WrongError(f"there is no {partial}")


# Proofs


def verify_proof(proof: bytes, entry: bytes, keys: Keys) -> int:
    """Check a `.tlog-proof` file for an entry; return its index."""
    head, blank, note = proof.partition(b"\n\n")
    demand(blank, "no proof")
    header, *lines = head.decode("ascii", "replace").split("\n")
    demand(header == "c2sp.org/tlog-proof@v1", "no proof")
    if lines and lines[0].startswith("extra "):
        del lines[0]
    demand(lines and lines[0].startswith("index "), "a proof without an index")
    index = parse_number(lines[0].removeprefix("index "))
    path = [decode64(line, 32) for line in lines[1:]]
    checkpoint = keys.open(note)
    found = fold_inclusion(leaf_hash(entry), index, checkpoint.size, path)
    demand(found == checkpoint.root, "a proof that leads elsewhere")
    return index


def read_extra(proof: bytes) -> bytes:
    """What a proof carries, which nothing has signed."""
    line = proof.partition(b"\nextra ")[2].partition(b"\n")[0]
    return decode64(line.decode("ascii", "replace"))


# All of it


def verify_log(folder: Path, keys: list[Key]) -> tuple[Checkpoint, list[bytes]]:
    """Check the files of a log; return its checkpoint and entries."""
    checkpoint = open_checkpoint((folder / "checkpoint").read_bytes(), keys)
    tiles = Tiles(folder, checkpoint.size)
    entries = list(tiles.entries())
    leaves = list(map(leaf_hash, entries))
    tiles.verify_levels(leaves)
    demand(root_of(leaves) == checkpoint.root, "the tiles do not lead to the root")
    return checkpoint, entries
