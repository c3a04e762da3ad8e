"""Each damaged file of a log is named, and none of its neighbours."""

import itertools
from functools import cache

import pytest

from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.audit.tree_audit import TreeAudit
from ledger.errors import TileError
from ledger.log import Checkpoint, Frontier, leaf_hash
from ledger.log.tiles import TILE_WIDTH, TilePath, encode_bundle

ORIGIN = "ledger.example/test"


class MemoryTiles:
    """A log in memory, to be damaged."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise TileError(f"There is no {path} in this log.")
        return self.files[path]

    def flip(self, path: str, place: int) -> None:
        data = bytearray(self.files[path])
        data[place] ^= 1
        self.files[path] = bytes(data)


def root_of(hashes: list[bytes]) -> bytes:
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier.root()


@cache
def _files(size: int) -> tuple[dict[str, bytes], bytes]:
    """Write out by definition: every level is the roots of the tiles below it."""
    entries = [b"entry %d" % index for index in range(size)]
    files: dict[str, bytes] = {}
    hashes = leaves = [leaf_hash(entry) for entry in entries]
    for level in (None, *range(8)):
        items = entries if level is None else hashes
        for index in range(-(-len(items) // TILE_WIDTH)):
            part = items[index * TILE_WIDTH : (index + 1) * TILE_WIDTH]
            data = encode_bundle(part) if level is None else b"".join(part)
            files[str(TilePath(level, index, len(part)))] = data
        if level is not None:
            full = len(hashes) // TILE_WIDTH
            hashes = [
                root_of(hashes[at * TILE_WIDTH : (at + 1) * TILE_WIDTH])
                for at in range(full)
            ]
    return files, root_of(leaves)


def made_log(size: int) -> tuple[MemoryTiles, Checkpoint]:
    files, root = _files(size)
    return MemoryTiles(dict(files)), Checkpoint(ORIGIN, size, root)


def audited(
    tiles: MemoryTiles, checkpoint: Checkpoint, earlier: Checkpoint | None = None
) -> tuple[AuditReport, list[bytes | None]]:
    report = AuditReport()
    entries: list[bytes | None] = []
    for bundle in TreeAudit(tiles, checkpoint, earlier).bundles():
        assert bundle.start == len(entries)
        entries.extend(bundle.entries)
        report.add_problems(bundle.problems)
        if bundle.is_extension:
            report.earlier = earlier
    return report, entries


def found(report: AuditReport) -> list[tuple[str, Rule]]:
    return [(problem.place, problem.rule) for problem in report.problems]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 600, 1000])
def test_true_log_has_no_problems(size: int) -> None:
    report, entries = audited(*made_log(size))
    assert report.is_ok
    assert entries == [b"entry %d" % index for index in range(size)]


@pytest.mark.slow
def test_two_full_levels_have_no_problems() -> None:
    tiles, checkpoint = made_log(65_536 + 256 + 1)
    assert audited(tiles, checkpoint)[0].is_ok
    for path in ("tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"):
        damaged, _ = made_log(checkpoint.size)
        damaged.flip(path, 5)
        assert found(audited(damaged, checkpoint)[0]) == [(path, Rule.TILE)]


@pytest.mark.parametrize(
    ("size", "path", "place"),
    [
        (600, "tile/0/000", 32 * 7),
        (600, "tile/0/001", 8191),
        (600, "tile/0/002.p/88", 0),
        (600, "tile/1/000.p/2", 33),
        (512, "tile/0/001", 0),
        (10, "tile/0/000.p/10", 319),
    ],
)
def test_changed_tile_is_named(size: int, path: str, place: int) -> None:
    tiles, checkpoint = made_log(size)
    tiles.flip(path, place)
    report, entries = audited(tiles, checkpoint)
    assert found(report) == [(path, Rule.TILE)]
    assert f"Hash {place // 32} " in report.problems[0].message
    assert None not in entries


@pytest.mark.parametrize(("size", "index"), [(600, 0), (600, 300), (600, 599), (10, 9)])
def test_changed_entry_is_named(size: int, index: int) -> None:
    tiles, checkpoint = made_log(size)
    number, offset = divmod(index, TILE_WIDTH)
    width = min(TILE_WIDTH, size - number * TILE_WIDTH)
    path = str(TilePath(None, number, width))
    place = sum(2 + len(b"entry %d" % (number * 256 + at)) for at in range(offset))
    tiles.flip(path, place + 2)
    report, entries = audited(tiles, checkpoint)
    assert found(report) == [(f"entry {index} in {path}", Rule.ENTRY)]
    assert entries[index] is None
    assert sum(entry is None for entry in entries) == 1


def test_swapped_entries_are_named() -> None:
    tiles, checkpoint = made_log(10)
    entries = [b"entry %d" % index for index in (0, 2, 1, *range(3, 10))]
    tiles.files["tile/entries/000.p/10"] = encode_bundle(entries)
    report, _ = audited(tiles, checkpoint)
    assert [place.split()[1] for place, _ in found(report)] == ["1", "2"]


def test_entry_and_tile_changed_together_are_found() -> None:
    tiles, checkpoint = made_log(600)
    entries = [b"entry %d" % index for index in range(256, 512)]
    entries[4] = b"forged"
    tiles.files["tile/entries/001"] = encode_bundle(entries)
    tiles.files["tile/0/001"] = b"".join(map(leaf_hash, entries))
    report, _ = audited(tiles, checkpoint)
    assert found(report) == [
        ("tile/1/000.p/2", Rule.TILE),
        ("checkpoint", Rule.ROOT),
    ]


def test_whole_forged_tree_is_found() -> None:
    tiles, _ = made_log(599)
    _, checkpoint = made_log(600)
    forged = Checkpoint(ORIGIN, 599, checkpoint.root)
    assert found(audited(tiles, forged)[0]) == [("checkpoint", Rule.ROOT)]


def test_entry_and_tile_damaged_apart_are_found() -> None:
    tiles, checkpoint = made_log(300)
    tiles.flip("tile/entries/000", 2)
    tiles.flip("tile/1/000.p/1", 0)
    assert found(audited(tiles, checkpoint)[0]) == [
        ("entry 0 in tile/entries/000", Rule.ENTRY),
        ("tile/1/000.p/1", Rule.TILE),
    ]


def test_entry_changed_and_tile_above_missing_are_found() -> None:
    tiles, checkpoint = made_log(300)
    tiles.flip("tile/entries/000", 2)
    del tiles.files["tile/1/000.p/1"]
    assert found(audited(tiles, checkpoint)[0]) == [
        ("entry 0 in tile/entries/000", Rule.ENTRY),
        ("tile/1/000.p/1", Rule.TILE),
    ]


def test_missing_bundle_is_named() -> None:
    tiles, checkpoint = made_log(600)
    del tiles.files["tile/entries/001"]
    report, entries = audited(tiles, checkpoint)
    assert found(report) == [("tile/entries/001", Rule.BUNDLE)]
    assert entries[256:512] == [None] * 256
    assert entries[512] == b"entry 512"


def test_bundle_with_wrong_length_is_named() -> None:
    tiles, checkpoint = made_log(10)
    tiles.flip("tile/entries/000.p/10", 1)
    report, _ = audited(tiles, checkpoint)
    assert found(report) == [("tile/entries/000.p/10", Rule.BUNDLE)]


@pytest.mark.parametrize("path", ["tile/0/001", "tile/1/000.p/2"])
def test_missing_tile_is_named(path: str) -> None:
    tiles, checkpoint = made_log(600)
    del tiles.files[path]
    report, entries = audited(tiles, checkpoint)
    assert found(report) == [(path, Rule.TILE)]
    assert None not in entries


def test_tile_with_a_hash_too_many_is_named() -> None:
    tiles, checkpoint = made_log(600)
    tiles.files["tile/0/002.p/88"] += bytes(32)
    report, _ = audited(tiles, checkpoint)
    assert found(report) == [("tile/0/002.p/88", Rule.TILE)]


def test_audit_ends_where_nothing_is_left() -> None:
    """A checkpoint can claim any size; it takes files to make the audit go on."""
    tiles, _ = made_log(300)
    claimed = Checkpoint(ORIGIN, 2**62, bytes(32))
    report, entries = audited(tiles, claimed)
    assert found(report)[-1] == ("entry 256", Rule.ROOT)
    assert len(entries) == 256


@pytest.mark.parametrize("size", [0, 1, 256, 300, 512, 599, 600])
def test_earlier_checkpoint_is_extended(size: int) -> None:
    _, earlier = made_log(size)
    report, _ = audited(*made_log(600), earlier)
    assert report.is_ok
    assert report.earlier == earlier


@pytest.mark.parametrize("size", [1, 256, 300, 600])
def test_rewritten_log_is_found(size: int) -> None:
    report, _ = audited(*made_log(600), Checkpoint(ORIGIN, size, bytes(32)))
    assert found(report) == [("checkpoint.earlier", Rule.GROWTH)]
    assert report.earlier is None


@pytest.mark.parametrize("done", [1, 2])
def test_audit_goes_on_after_any_bundle(done: int) -> None:
    tiles, checkpoint = made_log(600)
    tiles.flip("tile/1/000.p/2", 40)
    *_, last = itertools.islice(TreeAudit(tiles, checkpoint).bundles(), done)
    rest = TreeAudit(tiles, checkpoint, edge=last.edge).bundles()
    entries, problems = [], []
    for bundle in rest:
        entries.extend(bundle.entries)
        problems.extend(bundle.problems)
    assert entries == [b"entry %d" % index for index in range(done * 256, 600)]
    assert [problem.place for problem in problems] == ["tile/1/000.p/2"]


def test_earlier_checkpoint_that_was_met_is_not_met_again() -> None:
    tiles, checkpoint = made_log(600)
    _, earlier = made_log(300)
    bundles = list(TreeAudit(tiles, checkpoint, earlier).bundles())
    assert [bundle.is_extension for bundle in bundles] == [False, True, False, False]
    for place, bundle in enumerate(bundles[:3]):
        rest = TreeAudit(tiles, checkpoint, earlier, edge=bundle.edge).bundles()
        assert sum(item.is_extension for item in rest) == (place == 0)
