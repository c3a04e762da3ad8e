import json
from pathlib import Path

import pytest

from ledger.encoding import encode_base64
from ledger.errors import KeyFileError
from ledger.key_files import (
    KEY_FILE_BYTES_MAX,
    create_key,
    create_ml_dsa_key,
    load_key,
    load_ml_dsa_key,
    load_or_create_key,
)
from ledger.signing import PrivateKey


def write_key_file(path: Path, **changes: object) -> Path:
    create_key(path)
    document = json.loads(path.read_bytes()) | changes
    path.write_text(json.dumps(document))
    return path


def test_created_key_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "alice.key"
    key = create_key(path)
    assert load_key(path).seed == key.seed
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "alice.key"
    before = create_key(path)
    with pytest.raises(KeyFileError, match="File exists"):
        create_key(path)
    assert load_key(path).seed == before.seed


def test_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    link = tmp_path / "alice.key"
    link.symlink_to(tmp_path / "elsewhere.key")
    with pytest.raises(KeyFileError):
        create_key(link)
    with pytest.raises(KeyFileError):
        load_or_create_key(link)
    assert not (tmp_path / "elsewhere.key").exists()


def test_load_or_create_makes_one_key(tmp_path: Path) -> None:
    path = tmp_path / "alice.key"
    assert load_or_create_key(path).seed == load_or_create_key(path).seed


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o602, 0o610])
def test_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "alice.key"
    create_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_key(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "sixfold-key/v2"},
        {"format": None},
        {"seed": None},
        {"seed": ""},
        {"seed": "AAAA"},
        {"seed": "A" * 43},
        {"publicKey": PrivateKey(bytes(32)).public.text},
        {"publicKey": None},
        {"other": 1},
        {"other": "x" * KEY_FILE_BYTES_MAX},
    ],
)
def test_changed_key_file_is_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    path = write_key_file(tmp_path / "alice.key", **changes)
    with pytest.raises(KeyFileError):
        load_key(path)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"null", b'{"seed":'])
def test_garbage_is_refused(tmp_path: Path, data: bytes) -> None:
    path = write_key_file(tmp_path / "alice.key")
    path.write_bytes(data)
    with pytest.raises(KeyFileError, match="damaged, or not a key file"):
        load_key(path)


def test_missing_or_unreadable_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        load_key(tmp_path / "alice.key")
    with pytest.raises(KeyFileError, match="directory"):
        load_key(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="Cannot write"):
        create_key(tmp_path / "file" / "alice.key")


def test_damaged_file_is_not_shown(tmp_path: Path) -> None:
    """Neither the error nor its cause repeats what may be the secret."""
    path = write_key_file(tmp_path / "alice.key")
    data = path.read_text()
    seed = json.loads(data)["seed"]
    path.write_text(data[:-1])
    with pytest.raises(KeyFileError) as caught:
        load_key(path)
    assert seed not in str(caught.value)
    assert caught.value.__cause__ is None


def test_created_ml_dsa_key_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log-mldsa.key"
    key = create_ml_dsa_key(path)
    assert load_ml_dsa_key(path).seed == key.seed
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size <= KEY_FILE_BYTES_MAX
    with pytest.raises(KeyFileError, match="File exists"):
        create_ml_dsa_key(path)
    assert load_ml_dsa_key(path).seed == key.seed
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_ml_dsa_key(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "sixfold-key/v1"},
        {"seed": "AAAA"},
        {"seed": encode_base64(b"s" * 32)},
        {"publicKeyDigest": encode_base64(b"d" * 32)},
        {"other": 1},
    ],
)
def test_changed_ml_dsa_key_file_is_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    path = tmp_path / "log-mldsa.key"
    create_ml_dsa_key(path)
    document = json.loads(path.read_bytes()) | changes
    path.write_text(json.dumps(document))
    with pytest.raises(KeyFileError, match="damaged"):
        load_ml_dsa_key(path)


def test_key_files_of_two_kinds_are_not_mixed(tmp_path: Path) -> None:
    create_key(tmp_path / "ed25519.key")
    create_ml_dsa_key(tmp_path / "mldsa.key")
    with pytest.raises(KeyFileError):
        load_ml_dsa_key(tmp_path / "ed25519.key")
    with pytest.raises(KeyFileError):
        load_key(tmp_path / "mldsa.key")


def test_nothing_is_left_beside_a_key_file(tmp_path: Path) -> None:
    create_key(tmp_path / "alice.key")
    with pytest.raises(KeyFileError):
        create_key(tmp_path / "alice.key")
    assert [path.name for path in tmp_path.iterdir()] == ["alice.key"]
