"""Every reason for which the books refuse, and which of them is told first.

TransferError
    ChainLengthError            a chain has no members, or too many
    ChainError                  a chain was refused; it holds each member's own reason
    LinkedFailedError           another member of the same chain was refused
    IdentifierError             an id is not 1 to 128 printable ASCII characters
    AmountError                 the amount is not a whole number from 1 to the maximum
    HoldTimeoutError            the timeout is not a whole number within bounds
    SameAccountError            debit and credit are one account
    TransferDiffersError        the id stands for something else:
        KindDiffersError            of another kind, or balancing otherwise
        HoldDiffersError            about another hold
        TimeoutDiffersError         with another timeout
        DebitDiffersError           from another account
        CreditDiffersError          to another account
        AmountDiffersError          of another amount
    TransferExistsError         the very same was recorded before
    AccountUnknownError         an account does not exist:
        DebitUnknownError           the one to debit
        CreditUnknownError          the one to credit
    AccountDiffersError         the account was opened before with another bound
    PendingUnknownError         there is no transfer of that id to resolve
    NotPendingError             there is one, and it never was pending
    PendingExceededError        more would be posted than was held
    PendingResolvedError        the hold is no longer open:
        PendingPostedError          it was posted
        PendingVoidedError          it was voided
        PendingExpiredError         its time has run out
    AccountClosedError          an account takes part in nothing new:
        DebitClosedError            the one to debit
        CreditClosedError           the one to credit
    SumOverflowError            a sum of an account would not fit 63 bits:
        DebitsOverflowError         the debits of the one to debit
        CreditsOverflowError        the credits of the one to credit
    FundsError                  debits would exceed the credits of the debit account
    RoomError                   credits would exceed the debits of the credit account

`PRECEDENCE` has those in order that a single request can meet. The reasons that have
others below them in this tree are never raised for a request by themselves.

Source: the order follows what TigerBeetle documents for `create_transfers`.
"""

from typing import Self

from ledger.errors import LedgerError


class TransferError(LedgerError):
    """The books refuse; nothing was changed."""

    code = "BOOKS.REFUSED"


class ChainLengthError(TransferError):
    """A chain of linked transfers is empty or too long."""

    code = "BOOKS.CHAIN_LENGTH"


class LinkedFailedError(TransferError):
    """Another transfer of the same chain was refused, so this one was not made."""

    code = "BOOKS.LINKED_FAILED"


class ChainError(TransferError):
    """A chain of linked transfers was refused as a whole."""

    code = "BOOKS.CHAIN"

    def __init__(self, refusals: tuple[TransferError, ...], *, place: int) -> None:
        super().__init__(f"Number {place} of the chain: {refusals[place]}")
        self.refusals = refusals
        """For each member why it was not made: its own reason, or `LinkedFailedError`
        if it fell with another."""
        self.place = place
        """Which member was at fault, counted from 0."""

    @classmethod
    def of(cls, error: TransferError, *, place: int, length: int) -> Self:
        """The refusal of a chain in which one member was at fault."""
        linked = LinkedFailedError("Another transfer of its chain was refused.")
        refusals = (error if each == place else linked for each in range(length))
        return cls(tuple(refusals), place=place)


class IdentifierError(TransferError):
    """An id is not 1 to 128 printable ASCII characters."""

    code = "BOOKS.IDENTIFIER"


class AmountError(TransferError):
    """The amount is not a whole number within bounds."""

    code = "BOOKS.AMOUNT"


class HoldTimeoutError(TransferError):
    """The timeout is not a whole number of milliseconds within bounds."""

    code = "BOOKS.TIMEOUT"


class SameAccountError(TransferError):
    """Debit and credit are one account."""

    code = "BOOKS.SAME_ACCOUNT"


class TransferDiffersError(TransferError):
    """A transfer of this id was recorded before, and it is another one."""

    code = "BOOKS.TRANSFER_DIFFERS"


class KindDiffersError(TransferDiffersError):
    """The recorded transfer is of another kind, or balancing otherwise."""

    code = "BOOKS.KIND_DIFFERS"


class HoldDiffersError(TransferDiffersError):
    """The recorded transfer resolves another hold."""

    code = "BOOKS.HOLD_DIFFERS"


class TimeoutDiffersError(TransferDiffersError):
    """The recorded hold has another timeout."""

    code = "BOOKS.TIMEOUT_DIFFERS"


class DebitDiffersError(TransferDiffersError):
    """The recorded transfer debits another account."""

    code = "BOOKS.DEBIT_DIFFERS"


class CreditDiffersError(TransferDiffersError):
    """The recorded transfer credits another account."""

    code = "BOOKS.CREDIT_DIFFERS"


class AmountDiffersError(TransferDiffersError):
    """The recorded transfer is of another amount, or of more than is wanted now."""

    code = "BOOKS.AMOUNT_DIFFERS"


class TransferExistsError(TransferError):
    """This very transfer was recorded before; there is nothing left to do."""

    code = "BOOKS.TRANSFER_EXISTS"


class AccountUnknownError(TransferError):
    """There is no such account."""

    code = "BOOKS.ACCOUNT_UNKNOWN"


class DebitUnknownError(AccountUnknownError):
    """The account to debit does not exist."""

    code = "BOOKS.DEBIT_UNKNOWN"


class CreditUnknownError(AccountUnknownError):
    """The account to credit does not exist."""

    code = "BOOKS.CREDIT_UNKNOWN"


class AccountDiffersError(TransferError):
    """The account was opened before, with another bound."""

    code = "BOOKS.ACCOUNT_DIFFERS"


class PendingUnknownError(TransferError):
    """There is no transfer of this id to post or void."""

    code = "BOOKS.PENDING_UNKNOWN"


class NotPendingError(TransferError):
    """The transfer to post or void never was pending."""

    code = "BOOKS.NOT_PENDING"


class PendingExceededError(TransferError):
    """More would be posted than was held."""

    code = "BOOKS.PENDING_EXCEEDED"


class PendingResolvedError(TransferError):
    """The hold is no longer open."""

    code = "BOOKS.PENDING_RESOLVED"


class PendingPostedError(PendingResolvedError):
    """The hold was posted already."""

    code = "BOOKS.PENDING_POSTED"


class PendingVoidedError(PendingResolvedError):
    """The hold was voided already."""

    code = "BOOKS.PENDING_VOIDED"


class PendingExpiredError(PendingResolvedError):
    """The time of the hold has run out."""

    code = "BOOKS.PENDING_EXPIRED"


class AccountClosedError(TransferError):
    """A closed account takes part in nothing new."""

    code = "BOOKS.ACCOUNT_CLOSED"


class DebitClosedError(AccountClosedError):
    """The account to debit is closed."""

    code = "BOOKS.DEBIT_CLOSED"


class CreditClosedError(AccountClosedError):
    """The account to credit is closed."""

    code = "BOOKS.CREDIT_CLOSED"


class SumOverflowError(TransferError):
    """A sum of an account would exceed 2**63 - 1 micro-credits."""

    code = "BOOKS.OVERFLOW"


class DebitsOverflowError(SumOverflowError):
    """Posted and pending debits of the debit account would exceed 2**63 - 1."""

    code = "BOOKS.DEBITS_OVERFLOW"


class CreditsOverflowError(SumOverflowError):
    """Posted and pending credits of the credit account would exceed 2**63 - 1."""

    code = "BOOKS.CREDITS_OVERFLOW"


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


class RoomError(TransferError):
    """The credit account takes no more: its credits may not exceed its debits."""

    code = "BOOKS.ROOM"

    def __init__(self, *, needed_microcredits: int, room_microcredits: int) -> None:
        super().__init__(
            f"{needed_microcredits} micro-credits would come in, "
            f"there is room for {room_microcredits}."
        )
        self.needed_microcredits = needed_microcredits
        self.room_microcredits = room_microcredits


PRECEDENCE: tuple[type[TransferError], ...] = (
    # Of the chain that it is part of.
    ChainLengthError,
    LinkedFailedError,
    # Of the request by itself.
    IdentifierError,
    AmountError,
    HoldTimeoutError,
    SameAccountError,
    # Of what was recorded before under its id.
    KindDiffersError,
    HoldDiffersError,
    TimeoutDiffersError,
    DebitDiffersError,
    CreditDiffersError,
    AmountDiffersError,
    TransferExistsError,
    # Of its accounts, or of its hold.
    DebitUnknownError,
    CreditUnknownError,
    PendingUnknownError,
    NotPendingError,
    PendingExceededError,
    PendingPostedError,
    PendingVoidedError,
    PendingExpiredError,
    DebitClosedError,
    CreditClosedError,
    # Of the money.
    DebitsOverflowError,
    CreditsOverflowError,
    FundsError,
    RoomError,
)
"""If several reasons hold, the first of these is told."""
