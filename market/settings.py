"""What an operator can set. The only reader of the environment in this package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from sqlalchemy import URL

from market.database import parse_database_url
from market.errors import InvalidError


class Settings(BaseModel):
    """Settings of one market process; each has a variable `SIXFOLD_MARKET_<NAME>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Path("sixfold-market")
    """Where database, keys, blobs and the published log lie."""
    database_url: SecretStr | None = None
    """A PostgreSQL database instead of a SQLite file in the folder."""
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
    witness_policy: Path | None = None
    """A file that names the witnesses of the log and the quorum (C2SP tlog-policy)."""
    require_quorum: bool = False
    """Whether receipts wait for the quorum, however long it takes."""
    log_key_transition_ms: int = Field(default=604_800_000, ge=0, le=31_536_000_000)
    """How long the old keys of the log sign beside new ones: a week."""

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                parse_database_url(value.get_secret_value())
            except InvalidError as error:
                raise ValueError(error.message) from None
        return value

    @property
    def database_address(self) -> Path | URL:
        """Where the database is, for `Database`."""
        if self.database_url is None:
            return self.folder / "market.sqlite"
        return parse_database_url(self.database_url.get_secret_value())

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
