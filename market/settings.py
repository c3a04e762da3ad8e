"""What an operator can set. The only reader of the environment in this package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Settings of one market process; each has a variable `SIXFOLD_MARKET_<NAME>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Path("sixfold-market")
    """Where database, keys, blobs and the published log lie."""
    host: str = "127.0.0.1"
    """Address to listen on; loopback unless an operator decides otherwise."""
    port: int = Field(default=8600, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    public_url: str | None = None
    """Scheme and authority that clients use, if a proxy stands in front."""
    origin: str = Field(default="sixfold.example/market", min_length=1, max_length=128)
    """Name of the log; never change it once the log has an entry."""
    lease_ms: int = Field(default=6_000, ge=500, le=600_000)
    """A node that is silent for this long loses its jobs.

    Shorter places jobs again sooner, longer forgives slower links.
    """
    acceptance_timeout_ms: int = Field(default=600_000, ge=1_000, le=2_592_000_000)
    """A consumer who has neither signed nor disputed after this long is charged."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **given: object) -> Self:
        """Read the settings that the environment names; the rest has defaults.

        Args:
            environment: Variables such as `SIXFOLD_MARKET_PORT`.
            given: Settings from the command line, which go before.

        Raises:
            ValidationError: A value is out of bounds.
        """
        prefix = "SIXFOLD_MARKET_"
        values = {
            name: environment[prefix + name.upper()]
            for name in cls.model_fields
            if prefix + name.upper() in environment
        }
        return cls.model_validate({**values, **given})
