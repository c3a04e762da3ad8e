"""A consumer's session with one market: how it is reached, and who it is.

Everything in it was checked against the pin, and does not change while it lasts.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ConfigDict, Field

from ledger.audit.errors import RuleError
from ledger.audit.key_rotation import keys_after
from ledger.charging.tariff import Tariff
from ledger.document import AccountId, Digest384, Document, VerifierKeyText
from ledger.errors import EncodingError, NoteError
from ledger.log.log_keys import LogKeys
from ledger.log.proof import PROOF_BYTES_MAX
from ledger.signing import PrivateKey
from ledger.statements.kinds import AccountStatement
from ledger.statements.statement import make_statement
from sdk.errors import MarketAnswerError
from sdk.order import statement_json
from sdk.pins import Pin, PinStore
from sdk.transport import Transport

GENERATIONS_MAX = 1_024
"""A log that changes its keys each week has so many in twenty years."""


class Description(Document):
    """What a market says of itself; what else it says is not needed here."""

    model_config = ConfigDict(extra="ignore")

    market: AccountId
    log_keys: tuple[VerifierKeyText, ...] = Field(min_length=1, max_length=4)
    log_key_generation: int = Field(ge=1, le=GENERATIONS_MAX)
    """Counts the sets of keys that the log has had."""
    runner: Digest384
    tariff: Tariff
    """What the market itself charges in every job."""
    lease_ms: int = Field(ge=1, le=3_600_000)
    """How long a node may be silent before it loses its jobs."""


@dataclass(frozen=True)
class Session:
    """One consumer at one market."""

    url: str
    transport: Transport
    key: PrivateKey
    now_ms: Callable[[], int]
    market: str
    """The market's account, as pinned."""
    log_keys: LogKeys
    """The keys of its log, as pinned."""
    runner: str
    """SHA-384 of the Python runner that it publishes, in hexadecimal."""
    tariff: Tariff
    lease_ms: int
    """How long a node may be silent before it loses its jobs."""

    @property
    def consumer(self) -> str:
        """The account in whose name everything is ordered."""
        return self.key.account_id


def open_session(
    url: str,
    *,
    transport: Transport,
    key: PrivateKey,
    pins: PinStore,
    now_ms: Callable[[], int],
) -> Session:
    """Meet a market: check its pin, and register the key's account.

    Raises:
        PinError: The market is not the one that was met before.
        MarketAnswerError: Its description is not in form.
        SdkError: It cannot be reached, or refuses.
    """
    try:
        description = Description.from_json(
            transport.get_json("/market/v0.1/description")
        )
        keys = _parse_keys(description.log_keys)
    except (EncodingError, NoteError) as error:
        message = f"The market's description is not in form: {error}"
        raise MarketAnswerError(message) from error
    _check_pin(url, pins, description, transport)
    session = Session(
        url=url,
        transport=transport,
        key=key,
        now_ms=now_ms,
        market=description.market,
        log_keys=keys,
        runner=description.runner,
        tariff=description.tariff,
        lease_ms=description.lease_ms,
    )
    _register(session)
    return session


def _check_pin(
    url: str, pins: PinStore, description: Description, transport: Transport
) -> None:
    """Compare with the pin, and follow the log's changes of keys from it."""
    shown = Pin(market=description.market, log_keys=description.log_keys)
    known = pins.find(url)
    if known not in (None, shown) and known.market == shown.market:
        keys = _follow_keys(known, description, transport)
        if keys == shown.log_keys:
            pins.replace(url, shown)
    pins.check(url, shown)


def _follow_keys(
    known: Pin, description: Description, transport: Transport
) -> tuple[str, ...]:
    """The keys that follow from those that were pinned, as far as is proved."""
    try:
        keys = _parse_keys(known.log_keys)
    except NoteError:
        return known.log_keys
    for generation in range(2, description.log_key_generation + 1):
        proof = transport.get_bytes(
            f"/log/keys/{generation}.tlog-proof", size_max=PROOF_BYTES_MAX
        )
        # Changes before those that are known do not follow from them.
        with suppress(RuleError):
            keys = keys_after(keys, proof, market=known.market)
    return keys.vkeys


def _parse_keys(vkeys: tuple[str, ...]) -> LogKeys:
    return LogKeys.parse("\n".join(vkeys))


def _register(session: Session) -> None:
    """Make the account known; the market remembers, so it happens once."""
    body = AccountStatement(
        account=session.consumer,
        public_key=session.key.public.text,
        registered_at_ms=session.now_ms(),
    )
    statement = make_statement(body).signed_by("account", session.key)
    session.transport.post_json(
        "/accounts/v0.1/accounts", {"statement": statement_json(statement)}
    )
