"""The folder of a witness: its keys, what it remembers, and forks that it has met.

DIR/witness.key       its name and its two keys
DIR/witness.vkey      their verifier keys, to hand to others
DIR/witness.db        the last checkpoint that it cosigned, log by log
DIR/evidence/...      two notes for each fork

The keys are worth what the memory is worth. So keys without it are never used again:
they might cosign what contradicts the memory that was lost.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import KeyFileError
from ledger.witness.errors import WitnessConfigError, WitnessStoreError
from ledger.witness.keys import WitnessKeys, create_witness_keys, load_witness_keys
from ledger.witness.store import WitnessStore


@dataclass(frozen=True)
class WitnessFolder:
    """An open folder of one witness."""

    keys: WitnessKeys
    store: WitnessStore
    evidence: Path
    vkeys: Path


def open_witness(folder: Path, *, name: str | None) -> WitnessFolder:
    """Open the folder of a witness, or make a new one; several processes may.

    Args:
        folder: Made if it is not there.
        name: Of a new witness. One that is there has its name for ever.

    Raises:
        WitnessConfigError: It has another name, or is new and none is given.
        WitnessStoreError: What it remembers is missing or damaged.
        KeyFileError: Its keys are missing, open to others, or damaged.
    """
    keys, database = folder / "witness.key", folder / "witness.db"
    if name is None and not folder.is_dir():
        raise WitnessConfigError(f"There is no witness in {folder} yet; name it.")
    with _setting_up(folder):
        has_keys, has_memory = os.path.lexists(keys), database.exists()
        if has_keys and not has_memory:
            raise WitnessStoreError(
                f"{database} is missing. Without it the keys in {folder} must not be "
                "used again: start a new witness in another folder."
            )
        if not has_keys and name is None:
            raise WitnessConfigError(f"There is no witness in {folder} yet; name it.")
        loaded = load_witness_keys(keys) if has_keys else None
        if loaded is not None and name not in {None, loaded.name}:
            raise WitnessConfigError(
                f"The witness in {folder} is called {loaded.name}, not {name}."
            )
        vkeys = folder / "witness.vkey"
        # The memory is there before the keys: never keys without it.
        with ExitStack() as stack:
            store = stack.enter_context(closing(WitnessStore(database)))
            witness_keys = loaded or create_witness_keys(keys, str(name))
            _write_vkeys(vkeys, witness_keys)
            stack.pop_all()
    return WitnessFolder(witness_keys, store, folder / "evidence", vkeys)


@contextmanager
def _setting_up(folder: Path) -> Iterator[None]:
    """Let one process at a time look for keys and make them."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeyFileError(f"Cannot open {folder}: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_vkeys(path: Path, keys: WitnessKeys) -> None:
    text = "".join(f"{vkey}\n" for vkey in keys.vkeys)
    try:
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"Cannot write {path}: {error}.") from error
