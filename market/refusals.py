"""Turns the lower packages' errors into refusals that a caller can act on."""

from enclave_sim.errors import EnclaveError
from ledger.books.errors import FundsError, TransferError
from ledger.errors import (
    BusyError,
    CommandError,
    DisclosureError,
    EncodingError,
    LedgerError,
    RequestError,
    SignatureError,
    StatementError,
    TariffError,
)
from market.errors import (
    ConflictError,
    FundsShortError,
    InvalidError,
    LimitError,
    MarketError,
    StateError,
    UnauthenticatedError,
    UnavailableError,
)

_REFUSALS: tuple[tuple[type[LedgerError], type[MarketError]], ...] = (
    (FundsError, FundsShortError),
    (TransferError, StateError),
    (RequestError, UnauthenticatedError),
    (CommandError, ConflictError),
    (BusyError, LimitError),
    (EncodingError, InvalidError),
    (SignatureError, InvalidError),
    (StatementError, InvalidError),
    (DisclosureError, InvalidError),
    (TariffError, InvalidError),
    (LedgerError, UnavailableError),
)
"""First match wins; the last line is for faults of log and database."""


def refusal_of(error: MarketError | LedgerError | EnclaveError) -> MarketError:
    """The refusal to answer with."""
    if isinstance(error, MarketError):
        return error
    if isinstance(error, EnclaveError):
        return InvalidError(str(error))
    for kind, refusal in _REFUSALS:
        if isinstance(error, kind):
            answer = refusal(str(error))
            answer.__cause__ = error
            return answer
    raise AssertionError(error)
