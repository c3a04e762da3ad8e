"""The folder of a witness: made once, and never half of it used."""

import json
from pathlib import Path

import pytest
from grown_log import GrownLog

from ledger.errors import KeyFileError
from ledger.log import Verifier
from ledger.log.signature_types import SignatureType
from ledger.witness.errors import WitnessConfigError, WitnessStoreError
from ledger.witness.folder import WitnessFolder, open_witness
from ledger.witness.keys import create_witness_keys, load_witness_keys
from ledger.witness.store import Head


def open_and_close(folder: Path, name: str | None) -> WitnessFolder:
    opened = open_witness(folder, name=name)
    opened.store.close()
    return opened


def test_witness_is_made_once(tmp_path) -> None:
    folder = tmp_path / "new" / "witness"
    made = open_and_close(folder, "witness.example/1")
    again = open_and_close(folder, "witness.example/1")
    unnamed = open_and_close(folder, None)
    assert made.keys.vkeys == again.keys.vkeys == unnamed.keys.vkeys
    types = [Verifier.parse(vkey).signature_type for vkey in made.keys.vkeys]
    assert types == [
        SignatureType.COSIGNATURE_ED25519,
        SignatureType.COSIGNATURE_ML_DSA_44,
    ]
    assert made.vkeys.read_text().splitlines() == list(made.keys.vkeys)
    assert (folder / "witness.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_name_stays(tmp_path) -> None:
    open_and_close(tmp_path, "witness.example")
    with pytest.raises(WitnessConfigError, match="is called"):
        open_witness(tmp_path, name="other.example")


def test_new_witness_needs_a_name(tmp_path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(WitnessConfigError, match="name it"):
            open_witness(folder, name=None)
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("name", ["", "two words", "a+b", "x" * 256])
def test_impossible_name_is_refused(tmp_path, name) -> None:
    with pytest.raises(WitnessConfigError):
        open_witness(tmp_path, name=name)
    assert not (tmp_path / "witness.key").exists()


def test_keys_without_their_memory_are_not_used(tmp_path) -> None:
    open_and_close(tmp_path, "witness.example")
    for path in tmp_path.glob("witness.db*"):
        path.unlink()
    for name in ("witness.example", None):
        with pytest.raises(WitnessStoreError, match="must not be used again"):
            open_witness(tmp_path, name=name)
    assert not (tmp_path / "witness.db").exists()


def test_memory_without_its_keys_gets_new_ones(tmp_path) -> None:
    log = GrownLog().grow(3)
    opened = open_witness(tmp_path, name="witness.example")
    head = Head(log.checkpoint(), log.note(), 1)
    opened.store.advance(log.origin, lambda _: (head, None))
    (tmp_path / "witness.key").unlink()
    again = open_witness(tmp_path, name="witness.example")
    assert again.keys.vkeys != opened.keys.vkeys
    assert again.vkeys.read_text().splitlines() == list(again.keys.vkeys)
    assert again.store.heads() == [head]
    for folder in (opened, again):
        folder.store.close()


def test_folder_that_is_a_file_is_refused(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError):
        open_witness(tmp_path / "file", name="witness.example")


def test_key_file_that_is_open_to_others_is_refused(tmp_path) -> None:
    path = tmp_path / "witness.key"
    create_witness_keys(path, "witness.example")
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="open to others"):
        load_witness_keys(path)


def test_key_file_is_never_overwritten(tmp_path) -> None:
    path = tmp_path / "witness.key"
    made = create_witness_keys(path, "witness.example")
    with pytest.raises(KeyFileError):
        create_witness_keys(path, "witness.example")
    assert load_witness_keys(path).vkeys == made.vkeys


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "sixfold-key/v1"},
        {"name": "two words"},
        {"ed25519Seed": "AAAA"},
        {"mlDsa44Seed": "AAAA"},
        {"mlDsa44Seed": None},
        {"more": 1},
    ],
)
def test_damaged_key_file_is_refused_without_its_secrets(tmp_path, changes) -> None:
    path = tmp_path / "witness.key"
    create_witness_keys(path, "witness.example")
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | changes))
    with pytest.raises(KeyFileError) as caught:
        load_witness_keys(path)
    assert document["ed25519Seed"] not in str(caught.value)
    assert caught.value.__cause__ is None
