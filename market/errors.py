"""Errors of the market, each with its HTTP status and stable code (CAMARA form).

MarketError
    InvalidError            400 INVALID_ARGUMENT      not in form, or out of bounds
    UnauthenticatedError    401 UNAUTHENTICATED       signature, nonce or key
    ForbiddenError          403 PERMISSION_DENIED     known, and may not do this
    NotFoundError           404 NOT_FOUND             none that this caller may see
    SlowError               408 REQUEST_TIMEOUT       the body took too long
    ConflictError           409 ABORTED               same id, other payload
    StateError              409 INCOMPATIBLE_STATE    well formed, but not now
        LeaseLostError      409 NODE_AGENT.LEASE_LOST another attempt holds the job
        FundsShortError     409 BILLING.INSUFFICIENT_FUNDS
    TooLargeError           413 INVALID_ARGUMENT      beyond a stated size
    LimitError              429 TOO_MANY_REQUESTS     more than a stated rate or queue
    UnavailableError        503 UNAVAILABLE           repeat it later, with the same id
        DatabaseError       503 UNAVAILABLE           the database does not answer
        QuorumShortError    503 MARKET.QUORUM         witnesses have yet to cosign
    SchemaError             503 MARKET.SCHEMA         tables of another version
"""

from typing import ClassVar


class MarketError(Exception):
    """Root of all refusals. The message is public; it holds no secret or payload."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidError(MarketError):
    """The request is not in form, or a value is out of bounds."""

    status = 400
    code = "INVALID_ARGUMENT"


class UnauthenticatedError(MarketError):
    """The request's signature, nonce, time or digest does not hold."""

    status = 401
    code = "UNAUTHENTICATED"


class ForbiddenError(MarketError):
    """The caller is known and may not do this."""

    status = 403
    code = "PERMISSION_DENIED"


class NotFoundError(MarketError):
    """There is no such thing, or none that this caller may see."""

    status = 404
    code = "NOT_FOUND"


class SlowError(MarketError):
    """The request's body did not arrive in time."""

    status = 408
    code = "REQUEST_TIMEOUT"


class ConflictError(MarketError):
    """This id was used before with another payload."""

    status = 409
    code = "ABORTED"


class StateError(MarketError):
    """Well formed, but not possible in the present state."""

    status = 409
    code = "INCOMPATIBLE_STATE"


class LeaseLostError(StateError):
    """The lease has expired, or a later attempt holds the job."""

    code = "NODE_AGENT.LEASE_LOST"


class FundsShortError(StateError):
    """The consumer has less free money than the hold needs."""

    code = "BILLING.INSUFFICIENT_FUNDS"


class TooLargeError(MarketError):
    """A body is larger than the stated limit."""

    status = 413
    code = "INVALID_ARGUMENT"


class LimitError(MarketError):
    """More than a stated rate, queue or count."""

    status = 429
    code = "TOO_MANY_REQUESTS"


class UnavailableError(MarketError):
    """A part that is needed is not there now. Repeating the same command is safe."""

    status = 503
    code = "UNAVAILABLE"


class DatabaseError(UnavailableError):
    """The database cannot be reached, or does not answer in time."""


class QuorumShortError(UnavailableError):
    """Too few witnesses have cosigned by now, and this market asks for them."""

    code = "MARKET.QUORUM"


class SchemaError(MarketError):
    """The database is not one that this version of the market can work with."""

    status = 503
    code = "MARKET.SCHEMA"
