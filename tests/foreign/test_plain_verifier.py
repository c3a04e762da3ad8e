"""The verifier that was written from the reference page alone, put to work."""

import ast
import base64
import re
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from document_tables import REFERENCE
from notes import spoil_signature
from page_programs import PLAIN_VERIFIER, load_plain

from ledger.log import FolderTiles, TileTree

copies, plain = load_plain("plain_copy"), load_plain("plain_log")
SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 700)


def imported_by(source: str) -> set[str]:
    """The top-level names of all modules that a source imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names.update(name.name for name in node.names)
    return {name.partition(".")[0] for name in names}


def test_it_imports_no_code_of_ours() -> None:
    files = list(PLAIN_VERIFIER.glob("*.py"))
    imported = set().union(*(imported_by(path.read_text()) for path in files))
    own = {path.stem for path in files}
    assert imported - own - sys.stdlib_module_names == {"cryptography"}


def test_log_is_accepted(grown) -> None:
    assert copies.verify_copy(grown.folder).entries == 700


def test_damaged_copy_is_refused(damaged) -> None:
    with pytest.raises(plain.WrongError):
        copies.verify_copy(damaged.folder)


@pytest.mark.parametrize("place", range(4))
def test_wrong_signature_is_refused(grown, witness_keys, place) -> None:
    note = (grown.log / "checkpoint").read_bytes()
    keys = [plain.parse_key(text) for text in grown.vkeys + witness_keys]
    assert plain.open_note(note, keys)[1] == keys
    with pytest.raises(plain.WrongError):
        plain.open_note(spoil_signature(note, place), keys)


@pytest.mark.parametrize("new", SIZES)
def test_paths_are_accepted(grown, new) -> None:
    tree = TileTree(FolderTiles(grown.log), new)
    for index in {0, new // 2, new - 1}:
        leaf, path = plain.leaf_hash(grown.entries[index]), tree.inclusion_path(index)
        assert plain.fold_inclusion(leaf, index, new, list(path)) == tree.root()
    for old in SIZES[: SIZES.index(new)]:
        old_root = TileTree(FolderTiles(grown.log), old).root()
        path = list(tree.consistency_path(old))
        roots = plain.fold_consistency(old, new, old_root, path)
        assert roots == (old_root, tree.root())


def test_paths_of_another_length_are_refused(grown) -> None:
    tree = TileTree(FolderTiles(grown.log), 700)
    path = list(tree.inclusion_path(3))
    for wrong in (path[:-1], [*path, path[0]]):
        with pytest.raises(plain.WrongError):
            plain.fold_inclusion(plain.leaf_hash(b""), 3, 700, wrong)
    path = list(tree.consistency_path(3))
    for wrong in ([], path[:-1], [*path, path[0]]):
        with pytest.raises(plain.WrongError):
            plain.fold_consistency(3, 700, tree.root(), wrong)


# The example of the page


def example_blocks() -> list[str]:
    text = (REFERENCE / "ledger-format.md").read_text()
    section = text.partition("\n### Example\n")[2].partition("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_example_of_the_page_is_true(tmp_path) -> None:
    keys, note, inclusion, consistency = example_blocks()
    bundle, *vkeys = keys.split()
    log_key, witness = map(plain.parse_key, vkeys)
    text, signed_by = plain.open_note(note.encode(), [log_key, witness])
    assert signed_by == [log_key, witness]
    checkpoint = plain.parse_checkpoint(text)
    path = tmp_path / "tile" / "entries" / "000.p" / "5"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes.fromhex(bundle))
    entries = plain.Tiles(tmp_path, 5).read_bundle(0, 5)
    assert entries == b"one two three four five".split()
    leaves = list(map(plain.leaf_hash, entries))
    assert plain.root_of(leaves) == checkpoint.root
    hashes = list(map(plain.decode64, inclusion.split()))
    assert plain.fold_inclusion(leaves[3], 3, 5, hashes) == checkpoint.root
    hashes = list(map(plain.decode64, consistency.split()))
    old_root = plain.root_of(leaves[:3])
    roots = (old_root, checkpoint.root)
    assert plain.fold_consistency(3, 5, old_root, hashes) == roots
    shown = (REFERENCE / "ledger-format.md").read_text()
    assert f"`{base64.b64encode(old_root).decode()}`" in shown
    seed = bytes(range(64, 96))
    public = MLDSA44PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    key = plain.Key(log_key.name, plain.ML_DSA_44, public)
    message = plain.subtree_message(key.name, (1_700_000_000).to_bytes(8), text)
    assert len(message) == 108
    for value in (key.id, plain.sha256(public), plain.sha256(message)):
        assert f"`{value.hex()}`" in shown
