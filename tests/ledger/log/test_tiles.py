from pathlib import Path
from typing import Any

import pytest

from ledger.errors import TileError
from ledger.log import FolderTiles, TilePath, leaf_hash, parse_path
from ledger.log.tiles import encode_bundle, parse_bundle, parse_tile, truncate_tile

HASHES = [leaf_hash(bytes([index])) for index in range(256)]
ENTRIES = [b"e" * index for index in range(256)]


def write(folder: Path, path: str, data: bytes) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)


def test_tile_path_spells_index_in_groups(vectors: Any) -> None:
    for index, path in vectors["tile_layout"]["paths"].items():
        assert str(TilePath(0, int(index))) == path
        assert parse_path(path) == TilePath(0, int(index))


@pytest.mark.parametrize(
    "path",
    [
        TilePath(None, 0),
        TilePath(None, 5, 1),
        TilePath(7, 10**20, 255),
        TilePath(0, 1000),
        TilePath(1, 999_999, 44),
    ],
)
def test_tile_path_round_trips(path: TilePath) -> None:
    assert parse_path(str(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0/0",
        "tile/0/1234",
        "tile/00/000",
        "tile/8/000",
        "tile/63/000",
        "tile/-1/000",
        "tile/0/000/",
        "tile/0/x000/005",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/" + "x001/" * 7 + "001",
        "tile/0/000.p",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/-1",
        "tile/Entries/000",
        "/tile/0/000",
        "tile/0/../0/000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "checkpoint",
        "../secret",
        "tile/0/000\0",
    ],
)
def test_parse_path_refuses_near_miss(path: str) -> None:
    with pytest.raises(TileError):
        parse_path(path)


def test_bundle_has_frozen_bytes(vectors: Any) -> None:
    own = vectors["own_log"]
    entries = tuple(word.encode() for word in own["entries"])
    bundle = bytes.fromhex(own["bundle"])
    assert encode_bundle(entries) == bundle
    assert parse_bundle(bundle, width=5) == entries


def test_bundle_holds_longest_entries() -> None:
    entries = (b"", b"x" * 65_535)
    assert parse_bundle(encode_bundle(entries), width=2) == entries


def test_parse_bundle_refuses_near_miss(vectors: Any) -> None:
    bundle = bytes.fromhex(vectors["own_log"]["bundle"])
    for data, width in [
        (bundle, 4),
        (bundle, 6),
        (bundle[:-1], 5),
        (bundle + b"\0", 5),
        (bundle + b"\0\0", 5),
        (b"", 1),
        (b"\0", 1),
        (b"\xff\xff", 1),
    ]:
        with pytest.raises(TileError):
            parse_bundle(data, width=width)


def test_parse_tile_counts_hashes() -> None:
    assert parse_tile(b"".join(HASHES[:3]), width=3) == HASHES[:3]
    for data in (b"", b"".join(HASHES[:2]), b"".join(HASHES[:4]), b"x" * 95):
        with pytest.raises(TileError):
            parse_tile(data, width=3)


def test_truncate_tile_keeps_front() -> None:
    tile, bundle = b"".join(HASHES), encode_bundle(ENTRIES)
    assert truncate_tile(tile, TilePath(3, 0, 9)) == b"".join(HASHES[:9])
    assert truncate_tile(bundle, TilePath(None, 0, 9)) == encode_bundle(ENTRIES[:9])
    assert truncate_tile(bundle, TilePath(None, 0)) == bundle
    with pytest.raises(TileError):
        truncate_tile(tile[:-1], TilePath(3, 0))
    with pytest.raises(TileError):
        truncate_tile(bundle[:-1], TilePath(None, 0))


def test_folder_cuts_narrower_from_wider(tmp_path: Path) -> None:
    write(tmp_path, "tile/0/000.p/20", b"".join(HASHES[:20]))
    write(tmp_path, "tile/0/000.p/30", b"".join(HASHES[:30]))
    write(tmp_path, "tile/0/000.p/40.new", b"half")
    write(tmp_path, "tile/entries/001", encode_bundle(ENTRIES))
    tiles = FolderTiles(tmp_path)
    assert tiles.read("tile/0/000.p/20") == b"".join(HASHES[:20])
    assert tiles.read("tile/0/000.p/21") == b"".join(HASHES[:21])
    assert tiles.read("tile/entries/001.p/7") == encode_bundle(ENTRIES[:7])
    for wider in ("tile/0/000.p/31", "tile/0/000", "tile/1/000", "tile/entries/000"):
        with pytest.raises(TileError, match="no"):
            tiles.read(wider)


def test_folder_reads_checkpoint(tmp_path: Path) -> None:
    tiles = FolderTiles(tmp_path)
    with pytest.raises(TileError, match="no checkpoint"):
        tiles.read("checkpoint")
    write(tmp_path, "checkpoint", b"note")
    assert tiles.read("checkpoint") == b"note"


def test_folder_opens_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "secret", b"secret")
    write(tmp_path, "tile/secret", b"secret")
    tiles = FolderTiles(tmp_path / "tile")
    for path in ("secret", "../secret", "tile/../secret", "", "."):
        with pytest.raises(TileError):
            tiles.read(path)


def test_folder_refuses_hostile_copy(tmp_path: Path) -> None:
    write(tmp_path, "tile/0/000", b"x" * 8193)
    write(tmp_path, "checkpoint", b"x" * 65_537)
    (tmp_path / "tile/0/001").mkdir()
    tiles = FolderTiles(tmp_path)
    for path in ("tile/0/000", "checkpoint", "tile/0/001"):
        with pytest.raises(TileError):
            tiles.read(path)
