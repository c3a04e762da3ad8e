"""Reads a log as an implementation of other authors does (tlog-scales)."""

from pathlib import Path

from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash


def read_whole_log(folder: Path, vkey: str) -> list[bytes]:
    """Check signature, root, and each entry's inclusion; return the entries.

    Raises:
        Exception: Of the foreign package, whatever it refuses.
    """
    reader = TilesReader(make_backend(str(folder)))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(vkey))
    assert reader.calculate_root_hash() == checkpoint.root_hash
    entries = []
    for index in range(checkpoint.size):
        entry = reader.get_entry(index)
        proof = reader.get_inclusion_proof(index, checkpoint.size)
        proof.check(leaf_hash(entry), checkpoint.root_hash)
        entries.append(entry)
    return entries
