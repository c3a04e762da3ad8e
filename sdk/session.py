"""A consumer's session with one market: how it is reached, and who it is.

Everything in it was checked against the pin, and does not change while it lasts.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ConfigDict, Field

from ledger.charging.tariff import Tariff
from ledger.document import AccountId, Digest384, Document
from ledger.errors import EncodingError, NoteError
from ledger.log.note import Verifier
from ledger.signing import PrivateKey
from ledger.statements.kinds import AccountStatement
from ledger.statements.statement import make_statement
from sdk.errors import MarketAnswerError
from sdk.order import statement_json
from sdk.pins import Pin, PinStore
from sdk.transport import Transport


class Description(Document):
    """What a market says of itself; what else it says is not needed here."""

    model_config = ConfigDict(extra="ignore")

    market: AccountId
    log_key: str
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
    log_verifier: Verifier
    """The key of its log, as pinned."""
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
        verifier = Verifier.parse(description.log_key)
    except (EncodingError, NoteError) as error:
        message = f"The market's description is not in form: {error}"
        raise MarketAnswerError(message) from error
    pins.check(url, Pin(market=description.market, log_key=description.log_key))
    session = Session(
        url=url,
        transport=transport,
        key=key,
        now_ms=now_ms,
        market=description.market,
        log_verifier=verifier,
        runner=description.runner,
        tariff=description.tariff,
        lease_ms=description.lease_ms,
    )
    _register(session)
    return session


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
