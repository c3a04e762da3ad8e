"""The key files of the log in the market's folder, and the signers that follow them.

log.key, log-mldsa.key         the first set of keys
log-2.key, log-2-mldsa.key     the second, and so on

A set is there once its Ed25519 file is, which is written last. So making one, by
whatever process, is a single step that a crash cannot divide.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from ledger.errors import KeyFileError
from ledger.key_files import (
    create_key,
    create_ml_dsa_key,
    load_key,
    load_ml_dsa_key,
)
from ledger.log.cosignature import MlDsaSigner, TimedSigner
from ledger.log.log_keys import LogKeys
from ledger.log.log_signers import LogSigners
from ledger.log.note import NoteSigner, Signer
from ledger.log.tiles import KEY_CHANGE_PATH

LOG_FOLDER = "log"
"""Where the log is published, beside the keys."""


class KeyFolder:
    """Sets of keys, counted from 1, under the origin of one log."""

    def __init__(self, folder: Path, origin: str, now_s: Callable[[], int]) -> None:
        self._folder = folder
        self._origin = origin
        self._now_s = now_s

    def has(self, generation: int) -> bool:
        """Whether there is such a set."""
        return os.path.lexists(self._ed25519(generation))

    def newest(self) -> int:
        """The number of the newest set; 0 if there is none."""
        generation = 0
        while self.has(generation + 1):
            generation += 1
        return generation

    def create(self, generation: int) -> None:
        """Make a new set of keys.

        Raises:
            KeyFileError: It is there already, or cannot be written.
        """
        ml_dsa = self._ml_dsa(generation)
        if not os.path.lexists(ml_dsa):
            create_ml_dsa_key(ml_dsa)
        create_key(self._ed25519(generation))

    def create_next(self) -> int:
        """Make the keys that replace the newest ones, and return their number.

        Raises:
            KeyFileError: There are no keys yet; those made before were not taken up
                by the market yet; or a file cannot be written.
        """
        newest = self.newest()
        if newest == 0:
            raise KeyFileError(f"There are no keys of a log in {self._folder}.")
        change = self._folder / LOG_FOLDER / KEY_CHANGE_PATH.format(newest)
        if newest > 1 and not change.exists():
            raise KeyFileError("The log has not taken up the keys made last time.")
        self.create(newest + 1)
        return newest + 1

    def load(self, generation: int) -> tuple[NoteSigner, ...]:
        """Load a set of keys, to sign with.

        A log that was begun without an ML-DSA key goes on without one until its keys
        are changed.

        Raises:
            KeyFileError: A file is missing, damaged, or open to others.
        """
        signer = Signer(self._origin, load_key(self._ed25519(generation)))
        ml_dsa = self._ml_dsa(generation)
        if not os.path.lexists(ml_dsa):
            return (signer,)
        cosigner = MlDsaSigner(self._origin, load_ml_dsa_key(ml_dsa))
        return signer, TimedSigner(cosigner, self._now_s)

    def keys(self, generation: int) -> LogKeys:
        """The verifier keys of a set.

        Raises:
            KeyFileError: As for `load`.
        """
        return LogKeys(tuple(signer.verifier for signer in self.load(generation)))

    def _ed25519(self, generation: int) -> Path:
        return self._folder / f"{_stem(generation)}.key"

    def _ml_dsa(self, generation: int) -> Path:
        return self._folder / f"{_stem(generation)}-mldsa.key"


class FolderSigners(LogSigners):
    """Signs with all keys of a folder that are not retired, also with new ones.

    New keys are looked for at each signature, so that no process, once they are
    there, signs a checkpoint without them.
    """

    def __init__(self, keys: KeyFolder) -> None:
        """Load all keys; the first are made if there are none.

        Raises:
            KeyFileError: A file is damaged, open to others, or cannot be written.
        """
        if not keys.has(1):
            keys.create(1)
        super().__init__(keys.load(1))
        self._keys = keys
        self._lock = threading.Lock()
        self.adopt()

    def adopt(self) -> None:
        """Take up keys that are new in the folder.

        Raises:
            KeyFileError: A file is damaged, or open to others.
        """
        with self._lock:
            while self._keys.has(self.generation + 1):
                self.add(self._keys.load(self.generation + 1))

    def sign(self, text: str) -> bytes:
        """Sign the text of a checkpoint with every key that is due."""
        self.adopt()
        return super().sign(text)


def _stem(generation: int) -> str:
    return "log" if generation == 1 else f"log-{generation}"
