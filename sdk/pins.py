"""Pins: the keys a market showed when it was first met, kept beside the consumer's key.

The first meeting is trusted, every later one must show the same market account and
the same keys of its log, or prove that those have replaced them. So nobody can take
the market's place later, and receipts are checked against the keys that were pinned,
not those that come with them.
"""

import os
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import Field

from ledger.document import AccountId, Document, VerifierKeyText
from ledger.errors import EncodingError
from sdk.errors import PinError

PIN_FILE_BYTES_MAX = 2**20
"""Thousands of markets."""


class Pin(Document):
    """What must not change: who the market is, and the verifier keys of its log."""

    market: AccountId
    log_keys: tuple[VerifierKeyText, ...] = Field(min_length=1, max_length=4)


class _PinFile(Document):
    format: Literal["sixfold-pins/v2"]
    markets: dict[str, Pin]
    """By the address under which the market is reached."""


class PinStore:
    """Pins in a file; without a path they last as long as this object."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Pin] = {}

    def find(self, url: str) -> Pin | None:
        """The pin of a market, None if it was never met.

        Raises:
            PinError: The file is not readable as one of pins.
        """
        return self._load().get(url)

    def check(self, url: str, shown: Pin) -> None:
        """Compare what a market shows with its pin; at the first meeting, pin it.

        Raises:
            PinError: The market shows other keys than before.
        """
        pins = self._load()
        known = pins.get(url)
        if known == shown:
            return
        if known is None:
            self._save({**pins, url: shown})
            return
        what = "account" if known.market != shown.market else "log key"
        where = f" If that is expected, remove its entry from {self._path}."
        raise PinError(
            f"The market at {url} shows another {what} than when it was first met. "
            "Either somebody stands in for it, or it has begun anew."
            + (where if self._path else "")
        )

    def replace(self, url: str, pin: Pin) -> None:
        """Pin other keys, which the market has proved to be its new ones.

        Raises:
            PinError: The file is not readable, or cannot be written.
        """
        self._save({**self._load(), url: pin})

    def _load(self) -> dict[str, Pin]:
        if self._path is None:
            return self._known
        try:
            with self._path.open("rb") as file:
                data = file.read(PIN_FILE_BYTES_MAX + 1)
            return _PinFile.from_bytes(data, size_max=PIN_FILE_BYTES_MAX).markets
        except FileNotFoundError:
            return {}
        except (OSError, EncodingError) as error:
            raise PinError(f"{self._path} is no readable file of pins.") from error

    def _save(self, pins: dict[str, Pin]) -> None:
        self._known = pins
        if self._path is None:
            return
        document = _PinFile(format="sixfold-pins/v2", markets=pins)
        try:
            descriptor, temporary = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(document.to_bytes() + b"\n")
            Path(temporary).replace(self._path)
        except OSError as error:
            raise PinError(f"{self._path} cannot be written.") from error


def pin_path(key_path: Path) -> Path:
    """Where the pins of the holder of a key file are kept."""
    return key_path.with_name(key_path.name + ".pins")
