import threading
from pathlib import Path

import pytest

from enclave_sim.errors import CodeCacheError
from enclave_sim.sandbox.cache import (
    MAC_BYTES,
    default_cache,
    locked,
    read_sealed,
    remove_sealed,
    write_sealed,
    write_whole,
)


def find_entry(cache: Path) -> Path:
    (entry,) = (cache / "sealed").iterdir()
    return entry


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"SIXFOLD_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/sixfold"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/c"}, "/c/.cache/sixfold"),
        ({"SIXFOLD_CACHE_DIR": "", "HOME": "/c"}, "/c/.cache/sixfold"),
    ],
)
def test_default_cache_follows_environment(
    environment: dict[str, str], folder: str
) -> None:
    assert default_cache(environment) == Path(folder)


def test_default_cache_needs_no_home() -> None:
    assert default_cache({}).is_absolute()


def test_sealed_bytes_are_found_again(tmp_path: Path) -> None:
    assert read_sealed(tmp_path, "name") is None
    write_sealed(tmp_path, "name", b"code")
    assert read_sealed(tmp_path, "name") == b"code"
    remove_sealed(tmp_path, "name")
    assert read_sealed(tmp_path, "name") is None
    remove_sealed(tmp_path, "name")


@pytest.mark.parametrize("place", [0, MAC_BYTES - 1, MAC_BYTES, -1])
def test_flipped_byte_is_refused(tmp_path: Path, place: int) -> None:
    write_sealed(tmp_path, "name", b"code")
    entry = find_entry(tmp_path)
    data = bytearray(entry.read_bytes())
    data[place] ^= 1
    entry.write_bytes(data)
    assert read_sealed(tmp_path, "name") is None


@pytest.mark.parametrize("size", [0, MAC_BYTES - 1, MAC_BYTES, MAC_BYTES + 3])
def test_shortened_entry_is_refused(tmp_path: Path, size: int) -> None:
    write_sealed(tmp_path, "name", b"code")
    entry = find_entry(tmp_path)
    entry.write_bytes(entry.read_bytes()[:size])
    assert read_sealed(tmp_path, "name") is None


def test_entry_under_another_name_is_refused(tmp_path: Path) -> None:
    write_sealed(tmp_path, "name", b"code")
    first = find_entry(tmp_path)
    data = first.read_bytes()
    write_sealed(tmp_path, "other", b"more")
    first.unlink()
    find_entry(tmp_path).write_bytes(data)
    assert read_sealed(tmp_path, "other") is None


def test_entry_of_another_folder_is_refused(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write_sealed(ours, "name", b"good")
    write_sealed(theirs, "name", b"evil")
    find_entry(ours).write_bytes(find_entry(theirs).read_bytes())
    assert read_sealed(ours, "name") is None


def test_key_is_for_its_owner_only(tmp_path: Path) -> None:
    write_sealed(tmp_path, "name", b"code")
    assert (tmp_path / "cache.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", ["shared", "short", "long", "link"])
def test_key_others_may_know_is_replaced(tmp_path: Path, spoil: str) -> None:
    write_sealed(tmp_path, "name", b"code")
    path = tmp_path / "cache.key"
    key = path.read_bytes()
    if spoil == "shared":
        path.chmod(0o644)
    elif spoil == "short":
        path.write_bytes(key[:-1])
    elif spoil == "long":
        path.write_bytes(key + b"x")
    else:
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    assert read_sealed(tmp_path, "name") is None
    assert path.read_bytes() != key
    assert not path.is_symlink()
    write_sealed(tmp_path, "name", b"code")
    assert read_sealed(tmp_path, "name") == b"code"


def test_folder_that_is_none_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(CodeCacheError):
        write_sealed(file, "name", b"code")
    with pytest.raises(CodeCacheError):
        read_sealed(file, "name")
    with pytest.raises(CodeCacheError), locked(file, "name"):
        pass


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_lock_lets_in_one_at_a_time(tmp_path: Path) -> None:
    inside = 0
    seen: list[int] = []

    def work() -> None:
        nonlocal inside
        for _ in range(50):
            with locked(tmp_path, "name"):
                inside += 1
                seen.append(inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 200
