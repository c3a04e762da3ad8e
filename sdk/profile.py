"""Who acts at which market by default. The only reader of the environment here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from enclave_sim.sandbox.cache import default_cache

MARKET_URL = "http://127.0.0.1:8600"
"""Where `sixfold market serve` listens unless it is told otherwise."""

MARKET_VARIABLE = "SIXFOLD_MARKET"
KEY_VARIABLE = "SIXFOLD_KEY"


@dataclass(frozen=True)
class Profile:
    """The defaults of a consumer on this machine."""

    market_url: str
    key_path: Path
    is_default_key: bool
    """Whether nobody has named the key's file."""
    cache: Path
    """The folder of the runner and its compiled code."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Profile":
        """Read `SIXFOLD_MARKET`, `SIXFOLD_KEY` and `SIXFOLD_CACHE_DIR`.

        Source: XDG Base Directory Specification 0.8, for the key's folder.
        """
        settings = Path(environment.get("XDG_CONFIG_HOME", ""))
        if not settings.is_absolute():
            settings = Path(environment.get("HOME", "/")) / ".config"
        key = environment.get(KEY_VARIABLE)
        return cls(
            market_url=environment.get(MARKET_VARIABLE, MARKET_URL),
            key_path=Path(key) if key else settings / "sixfold" / "consumer.key",
            is_default_key=not key,
            cache=default_cache(environment),
        )

    @classmethod
    def current(cls) -> "Profile":
        """The profile of this process."""
        return cls.of(os.environ)
