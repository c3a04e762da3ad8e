"""Every reason for which the books refuse a transfer, in order of precedence.

TransferError
    AmountError             the amount is not a whole number from 1 to the maximum
    SameAccountError        debit and credit are one account
    AccountUnknownError     an account does not exist
    TransferExistsError     the id was used before
    PendingUnknownError     there is no pending transfer of that id
    PendingResolvedError    it was posted or voided already
    PendingExceededError    more would be posted than was held
    FundsError              the debit account does not have that much
"""

from ledger.errors import LedgerError


class TransferError(LedgerError):
    """The books refuse a transfer; nothing was changed."""

    code = "BOOKS.REFUSED"


class AmountError(TransferError):
    """The amount is not a whole number within bounds."""

    code = "BOOKS.AMOUNT"


class SameAccountError(TransferError):
    """Debit and credit are one account."""

    code = "BOOKS.SAME_ACCOUNT"


class AccountUnknownError(TransferError):
    """The debit or the credit account does not exist."""

    code = "BOOKS.ACCOUNT_UNKNOWN"


class TransferExistsError(TransferError):
    """A transfer of this id was recorded before."""

    code = "BOOKS.TRANSFER_EXISTS"


class PendingUnknownError(TransferError):
    """There is no pending transfer of this id."""

    code = "BOOKS.PENDING_UNKNOWN"


class PendingResolvedError(TransferError):
    """The pending transfer was posted or voided already."""

    code = "BOOKS.PENDING_RESOLVED"


class PendingExceededError(TransferError):
    """More would be posted than was held."""

    code = "BOOKS.PENDING_EXCEEDED"


class FundsError(TransferError):
    """The debit account does not have that much free."""

    code = "BOOKS.FUNDS"

    def __init__(self, *, needed_microcredits: int, free_microcredits: int) -> None:
        super().__init__(
            f"{needed_microcredits} micro-credits are needed, "
            f"{free_microcredits} are free."
        )
        self.needed_microcredits = needed_microcredits
        self.free_microcredits = free_microcredits
