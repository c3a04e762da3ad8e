"""Files from others are read, and nothing else that has a path."""

import os
from pathlib import Path

import pytest

from ledger.regular_file import open_regular_file, read_regular_file


def test_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert read_regular_file(path, bytes_max=4) == b"0123"
    assert read_regular_file(path, bytes_max=40) == b"0123456789"
    with open_regular_file(path) as file:
        assert file.readline() == b"0123456789"


def test_what_would_make_a_reader_wait_is_refused(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="Not a regular file"):
            read_regular_file(path, bytes_max=1)
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "none", bytes_max=1)
