"""Evidence lies in a folder that is there whole or not at all."""

import pytest
from served_log import files_in

from ledger.log.evidence import ForkEvidence, list_evidence

FIRST = "log.example\n5\nroot\n\n— log.example c2ln\n".encode()
SECOND = "log.example\n5\nother\n\n— log.example c2ln\n".encode()
EVIDENCE = ForkEvidence(
    keys="log.example+00000000+key\n",
    first=FIRST,
    second=SECOND,
    account="Something has {happened}.",
    tiles={"tile/0/000.p/5": b"hashes"},
)


def test_evidence_is_written_once(tmp_path) -> None:
    folder = tmp_path / "new" / "evidence"
    written = EVIDENCE.write(folder)
    files = files_in(written)
    readme = files.pop("README").decode()
    assert "Something has {happened}." in readme
    assert files == {
        "checkpoint.first": FIRST,
        "checkpoint.second": SECOND,
        "log.vkey": b"log.example+00000000+key\n",
        "log/tile/0/000.p/5": b"hashes",
    }
    (written / "README").write_text("annotated")
    assert EVIDENCE.write(folder) == written
    assert (written / "README").read_text() == "annotated"
    assert list_evidence(folder) == [written]


def test_other_signatures_on_the_same_texts_are_the_same_fork(tmp_path) -> None:
    resigned = ForkEvidence(
        EVIDENCE.keys, FIRST, SECOND + "— other.example c2ln\n".encode(), "Again."
    )
    assert resigned.write(tmp_path) == EVIDENCE.write(tmp_path)
    swapped = ForkEvidence(EVIDENCE.keys, SECOND, FIRST, "Turned round.")
    assert swapped.name != EVIDENCE.name


def test_interrupted_evidence_is_not_listed_and_written_again(tmp_path) -> None:
    unfinished = tmp_path / f"{EVIDENCE.name}.new"
    unfinished.mkdir()
    (unfinished / "half").touch()
    assert list_evidence(tmp_path) == []
    written = EVIDENCE.write(tmp_path)
    assert list_evidence(tmp_path) == [written]
    assert "half" not in files_in(written)


def test_no_folder_is_no_evidence(tmp_path) -> None:
    assert list_evidence(tmp_path / "missing") == []


def test_evidence_that_cannot_be_written_is_told(tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        EVIDENCE.write(tmp_path / "file")
