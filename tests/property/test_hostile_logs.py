"""Whatever a log does, its audit ends soon, with a report or an error of ours."""

import os
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from audited_market import AuditedMarket
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.audit.log_audit import AuditOptions, audit_log
from ledger.audit.log_copy import ENTRIES_MAX, LogCopy
from ledger.audit.report import AuditReport
from ledger.audit.report_page import render_page
from ledger.audit.right_edge import RightEdge, hash_leaves
from ledger.encoding import canonical_json, parse_json
from ledger.errors import EncodingError, LedgerError
from ledger.log import Checkpoint, Frontier, Signer, leaf_hash, sign_note
from ledger.log.merkle import EMPTY_ROOT
from ledger.log.tiles import TILE_WIDTH, TilePath, encode_bundle

SECONDS_MAX = 20.0
"""Each audit here takes a tenth of a second on a machine with nothing else to do."""

MARKET = AuditedMarket().begin()
for _ in range(3):
    MARKET.run_job()
ENTRIES = MARKET.entries
SIGNER: Signer = MARKET.signer


def files_of(entries: list[bytes]) -> dict[str, bytes]:
    """A whole copy of a log that its own key has signed, whatever the entries are."""
    files = {}
    edge = RightEdge()
    for start in range(0, len(entries), TILE_WIDTH):
        part = entries[start : start + TILE_WIDTH]
        hashes = hash_leaves(part)
        number = start // TILE_WIDTH
        files[str(TilePath(None, number, len(part)))] = encode_bundle(part)
        files[str(TilePath(0, number, len(part)))] = b"".join(hashes)
        for path, row in edge.append(hashes):
            files[str(path)] = b"".join(row)
    for path, row in edge.unfinished():
        files[str(path)] = b"".join(row)
    checkpoint = Checkpoint("ledger.example/test", len(entries), edge.root())
    files["checkpoint"] = sign_note(checkpoint.text, [SIGNER])
    return {f"log/{path}": data for path, data in files.items()} | {
        "log.vkey": SIGNER.verifier.vkey.encode()
    }


@cache
def long_files() -> dict[str, bytes]:
    """Two full bundles and one that is not; most of it is no market's."""
    return files_of([*ENTRIES, *(b"entry %d" % number for number in range(530))])


Damage = Callable[[Path], None]


def audited(
    files: dict[str, bytes], *damages: Damage, options: AuditOptions | None = None
) -> AuditReport | LedgerError:
    """What the audit makes of it; no other error may come out of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "copy"
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        for damage in damages:
            damage(folder)
        started_s = time.perf_counter()
        try:
            report = audit_log(LogCopy.at(folder), options=options or AuditOptions())
        except LedgerError as error:
            return error
        assert time.perf_counter() - started_s < SECONDS_MAX
        canonical_json(report.to_json())
        render_page(report)
        return report


def is_ok(result: AuditReport | LedgerError) -> bool:
    return isinstance(result, AuditReport) and result.is_ok


def test_logs_are_true_to_begin_with() -> None:
    assert is_ok(audited(files_of(ENTRIES)))
    result = audited(long_files())
    assert isinstance(result, AuditReport)
    assert {str(problem.rule) for problem in result.problems} == {"STATEMENT.FORM"}
    assert result.problem_count == 530


def replaced(path: str, make: Callable[[Path, Path], None]) -> Damage:
    """Put something else in a file's place; what was there moves out of the copy."""

    def damage(folder: Path) -> None:
        outside = folder.parent / "outside"
        (folder / path).replace(outside)
        make(folder / path, outside)

    return damage


def enlarge(path: Path, _: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


PLACES = sorted(path for path in files_of(ENTRIES))
OTHER_THINGS: dict[str, Callable[[Path, Path], None]] = {
    "nothing": lambda _path, _outside: None,
    "an empty file": lambda path, _: path.touch(),
    "an enormous file": enlarge,
    "a folder": lambda path, _: path.mkdir(),
    "a pipe": lambda path, _: os.mkfifo(path),
    "a link to the same outside": lambda path, outside: path.symlink_to(outside),
    "a link to zeros": lambda path, _: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path, _: path.symlink_to(path),
    "a link to nothing": lambda path, _: path.symlink_to("/no/where"),
}


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("thing", sorted(OTHER_THINGS))
def test_other_things_than_files_are_told(path: str, thing: str) -> None:
    result = audited(files_of(ENTRIES), replaced(path, OTHER_THINGS[thing]))
    is_link_to_key = path == "log.vkey" and thing == "a link to the same outside"
    assert is_ok(result) == is_link_to_key


def test_linked_folder_inside_the_log_is_told() -> None:
    damage = replaced("log/tile/0", lambda path, outside: path.symlink_to(outside))
    result = audited(files_of(ENTRIES), damage)
    assert isinstance(result, AuditReport)
    assert [(item.place, str(item.rule)) for item in result.problems] == [
        ("tile/0", "LOG.FILE")
    ]


@st.composite
def file_damage(draw: st.DrawFn) -> tuple[str, bytes, str]:
    """A file, what it holds instead, and in words what was done."""
    files = long_files()
    path = draw(st.sampled_from(sorted(files)))
    data = files[path]
    place = draw(st.integers(0, len(data) - 1))
    how = draw(st.sampled_from(["flip", "cut", "grow", "insert", "other", "garbage"]))
    match how:
        case "flip":
            bit = 1 << draw(st.integers(0, 7))
            data = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
        case "cut":
            data = data[:place]
        case "grow":
            data += draw(st.binary(min_size=1, max_size=9))
        case "insert":
            data = data[:place] + draw(st.binary(min_size=1, max_size=9)) + data[place:]
        case "other":
            data = files[draw(st.sampled_from(sorted(files)))]
        case "garbage":
            data = draw(st.binary(max_size=200))
    return path, data, how


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(file_damage(), min_size=1, max_size=4))
def test_damaged_files_are_found(damages: list[tuple[str, bytes, str]]) -> None:
    files = {**long_files(), **{path: data for path, data, _ in damages}}
    result = audited(files)
    if files == long_files():
        return
    if isinstance(result, AuditReport):
        # More than the entries that are no statements.
        assert {str(item.rule) for item in result.problems} != {"STATEMENT.FORM"} or (
            result.problem_count != 530
        )


SIZES = [0, 2, len(ENTRIES) - 1, len(ENTRIES) + 1, 255, 256, 257, 65_536]
SIZES += [ENTRIES_MAX, ENTRIES_MAX + 1, 2**32, 2**62, 2**63 - 1]


@pytest.mark.parametrize("size", SIZES)
def test_any_signed_size_is_judged_soon(size: int) -> None:
    files = files_of(ENTRIES)
    root = EMPTY_ROOT if size == 0 else Frontier(1, [leaf_hash(ENTRIES[0])]).root()
    checkpoint = Checkpoint("ledger.example/test", size, root)
    files["log/checkpoint"] = sign_note(checkpoint.text, [SIGNER])
    for options in (AuditOptions(), AuditOptions(is_structure_only=True)):
        # A log of no entries is a true one; what else lies there is not covered.
        assert is_ok(audited(files, options=options)) == (size == 0)


@given(st.text(max_size=200))
@example("ledger.example/test\n1\n")
@settings(deadline=None)
def test_any_signed_text_is_judged(text: str) -> None:
    text = "".join(mark for mark in text if mark >= " " or mark == "\n") + "\n"
    files = files_of(ENTRIES)
    try:
        files["log/checkpoint"] = sign_note(text, [SIGNER])
    except (LedgerError, UnicodeEncodeError):
        return
    assert not is_ok(audited(files))


@st.composite
def edited_entries(draw: st.DrawFn) -> list[bytes]:
    """Statements moved, repeated, dropped or edited; a market could sign such a log."""
    entries = list(ENTRIES)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(entries) - 1))
        to = draw(st.integers(0, len(entries) - 1))
        match draw(st.sampled_from(["move", "repeat", "drop", "flip", "edit", "any"])):
            case "move":
                entries.insert(to, entries.pop(at))
            case "repeat":
                entries.insert(to, entries[at])
            case "drop" if len(entries) > 1:
                del entries[at]
            case "flip":
                data = bytearray(entries[at] or b"x")
                data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(
                    st.integers(0, 7)
                )
                entries[at] = bytes(data)
            case "edit":
                entries[at] = draw(edited(entries[at]))
            case _:
                entries[at] = draw(st.binary(max_size=65_535))
    return entries


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(max_size=50)
    | st.lists(st.integers(0, 9), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=3)
)


@st.composite
def edited(draw: st.DrawFn, entry: bytes) -> bytes:
    """A statement in canonical form with one value changed, and its old signatures."""
    try:
        value = parse_json(entry, size_max=65_535)
    except EncodingError:
        return entry
    target = value
    while isinstance(target, dict | list) and target:
        is_list = isinstance(target, list)
        keys = range(len(target)) if is_list else sorted(target)  # type: ignore[type-var]
        key = draw(st.sampled_from(list(keys)))
        inner = target[key]  # type: ignore[index, call-overload]
        if not isinstance(inner, dict | list) or draw(st.booleans()):
            target[key] = draw(VALUES)  # type: ignore[index, call-overload]
            break
        target = inner
    try:
        return canonical_json(value)[:65_535]
    except EncodingError:
        return entry


@pytest.mark.slow
@settings(deadline=None)
@given(edited_entries())
def test_any_log_that_a_market_could_sign_is_judged(entries: list[bytes]) -> None:
    result = audited(files_of(entries))
    assert isinstance(result, AuditReport)
    assert result.statements == len(entries)
    kinds_in_order = [entry for entry in entries if entry in ENTRIES]
    if result.is_ok:
        assert kinds_in_order == entries
        assert len(set(entries)) == len(entries)


def test_log_of_the_largest_entries_is_judged_in_little_memory() -> None:
    largest = b'{"body":' + b"[" * 65_527
    result = audited(files_of([ENTRIES[0], *[largest] * 300]))
    assert isinstance(result, AuditReport)
    assert result.problem_count == 300
