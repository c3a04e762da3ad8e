"""What the books refuse, as pure functions, in the order in which they are asked.

`check_form` looks at the request alone and `refuse_repetition` at what has its id;
then come the accounts and the hold, which `ledger.books.books` finds, and with them
`check_pending`, `check_open` and `check_sums`.
"""

from typing import Never

from ledger.books.account import SUM_MICROCREDITS_MAX, Account, Bound
from ledger.books.errors import (
    AmountDiffersError,
    AmountError,
    CreditClosedError,
    CreditDiffersError,
    CreditsOverflowError,
    DebitClosedError,
    DebitDiffersError,
    DebitsOverflowError,
    FundsError,
    HoldDiffersError,
    HoldTimeoutError,
    IdentifierError,
    KindDiffersError,
    NotPendingError,
    PendingExceededError,
    PendingExpiredError,
    PendingPostedError,
    PendingVoidedError,
    RoomError,
    SameAccountError,
    TimeoutDiffersError,
    TransferExistsError,
)
from ledger.books.transfer import (
    IDENTIFIER_CHARACTERS_MAX,
    TIMEOUT_MS_MAX,
    Hold,
    Movement,
    Post,
    Record,
    Request,
    TransferKind,
    Void,
)
from ledger.limits import AMOUNT_MICROCREDITS_MAX


def check_form(request: Request) -> None:
    """Refuse what is wrong with a request by itself.

    Raises:
        IdentifierError: An id is not 1 to 128 printable ASCII characters.
        AmountError: The amount is not a whole number from 1 to the maximum.
        HoldTimeoutError: The timeout is not a whole number from 1 to the maximum.
        SameAccountError: Debit and credit are one account.
    """
    check_identifier(request.transfer_id)
    if isinstance(request, Movement):
        check_identifier(request.debit)
        check_identifier(request.credit)
        _check_amount(request.amount_microcredits)
        if isinstance(request, Hold) and request.timeout_ms is not None:
            _check_timeout(request.timeout_ms)
        if request.debit == request.credit:
            raise SameAccountError("Debit and credit are one account.")
        return
    check_identifier(request.hold_id)
    if isinstance(request, Post) and request.amount_microcredits is not None:
        _check_amount(request.amount_microcredits)


def check_identifier(identifier: str) -> None:
    """Refuse what a database may cut, fold, or not store at all.

    Raises:
        IdentifierError: The id is not 1 to 128 printable ASCII characters.
    """
    if (
        not 1 <= len(identifier) <= IDENTIFIER_CHARACTERS_MAX
        or not identifier.isascii()
        or not identifier.isprintable()
    ):
        raise IdentifierError(
            f"An id is 1 to {IDENTIFIER_CHARACTERS_MAX} printable ASCII characters."
        )


def refuse_repetition(request: Request, record: Record) -> Never:
    """Say how a request stands to what is recorded under its id.

    A balancing transfer is the same again as long as no more was moved than is wanted
    now, and a post of all is the same as one of the whole amount.

    Raises:
        TransferDiffersError: Another one; the first difference is told.
        TransferExistsError: The very same.
    """
    name = request.transfer_id
    if isinstance(request, Movement):
        flags = (request.kind, request.balancing_debit, request.balancing_credit)
        if flags != (record.kind, record.balancing_debit, record.balancing_credit):
            raise KindDiffersError(f"Transfer {name} is of another kind.")
        if isinstance(request, Hold) and request.timeout_ms != record.timeout_ms:
            raise TimeoutDiffersError(f"Hold {name} has another timeout.")
        if request.debit != record.debit:
            raise DebitDiffersError(f"Transfer {name} debits another account.")
        if request.credit != record.credit:
            raise CreditDiffersError(f"Transfer {name} credits another account.")
    else:
        if request.kind is not record.kind:
            raise KindDiffersError(f"Transfer {name} is of another kind.")
        if request.hold_id != record.resolves:
            raise HoldDiffersError(f"Transfer {name} is about another hold.")
    if not _is_amount_of(request, record):
        raise AmountDiffersError(f"Transfer {name} is of another amount.")
    raise TransferExistsError(f"Transfer {name} was recorded before.")


def check_pending(request: Post | Void, hold: Record, now_ms: int) -> None:
    """Refuse to resolve what is not an open hold of enough.

    Raises:
        NotPendingError: It never was pending.
        PendingExceededError: More would be posted than was held.
        PendingResolvedError: It was posted or voided, or its time has run out.
    """
    name = request.hold_id
    if hold.kind is not TransferKind.HOLD:
        raise NotPendingError(f"Transfer {name} never was pending.")
    wanted = request.amount_microcredits if isinstance(request, Post) else None
    if wanted is not None and wanted > hold.amount_microcredits:
        raise PendingExceededError(
            f"{wanted} micro-credits of a hold of {hold.amount_microcredits}."
        )
    if hold.resolution is TransferKind.POST:
        raise PendingPostedError(f"Hold {name} was posted before.")
    if hold.resolution is TransferKind.VOID:
        raise PendingVoidedError(f"Hold {name} was voided before.")
    if hold.resolution is TransferKind.EXPIRE or hold.is_overdue(now_ms):
        raise PendingExpiredError(f"The time of hold {name} has run out.")


def check_open(debit: Account, credit: Account) -> None:
    """Refuse to move money of or to a closed account.

    Raises:
        DebitClosedError: The debit account is closed.
        CreditClosedError: The credit account is closed.
    """
    if debit.closed:
        raise DebitClosedError("The account to debit is closed.")
    if credit.closed:
        raise CreditClosedError("The account to credit is closed.")


def check_sums(request: Movement, debit: Account, credit: Account) -> int:
    """Work out how much moves, and refuse what an account cannot bear.

    Returns:
        Micro-credits: as asked for, or less if the request balances.

    Raises:
        DebitsOverflowError: All debits of the debit account would not fit 63 bits.
        CreditsOverflowError: All credits of the credit account would not fit.
        FundsError: Debits would exceed credits where they must not, or a transfer
            that balances the debit account finds nothing there.
        RoomError: The same of the credit account, with the sides exchanged.
    """
    amount = request.amount_microcredits
    if request.balancing_debit:
        amount = min(amount, max(debit.free, 0))
    if request.balancing_credit:
        amount = min(amount, max(credit.room, 0))
    if debit.debits_posted + debit.debits_pending + amount > SUM_MICROCREDITS_MAX:
        raise DebitsOverflowError("The debits of an account have 63 bits.")
    if credit.credits_posted + credit.credits_pending + amount > SUM_MICROCREDITS_MAX:
        raise CreditsOverflowError("The credits of an account have 63 bits.")
    free, room = debit.free, credit.room
    is_bounded = debit.bound is Bound.DEBITS_MUST_NOT_EXCEED_CREDITS
    if (is_bounded and amount > free) or (request.balancing_debit and free < 1):
        raise FundsError(needed_microcredits=max(amount, 1), free_microcredits=free)
    is_bounded = credit.bound is Bound.CREDITS_MUST_NOT_EXCEED_DEBITS
    if (is_bounded and amount > room) or (request.balancing_credit and room < 1):
        raise RoomError(needed_microcredits=max(amount, 1), room_microcredits=room)
    return amount


def _is_amount_of(request: Request, record: Record) -> bool:
    if isinstance(request, Movement):
        wanted, moved = request.amount_microcredits, record.amount_microcredits
        is_balancing = request.balancing_debit or request.balancing_credit
        return moved <= wanted if is_balancing else moved == wanted
    if isinstance(request, Void):
        return True
    whole = record.held_microcredits
    wanted_of_hold = request.amount_microcredits
    return record.amount_microcredits == (
        whole if wanted_of_hold is None else wanted_of_hold
    )


def _check_amount(amount: int) -> None:
    if type(amount) is not int or not 1 <= amount <= AMOUNT_MICROCREDITS_MAX:
        raise AmountError(
            f"An amount is a whole number from 1 to {AMOUNT_MICROCREDITS_MAX}."
        )


def _check_timeout(timeout_ms: int) -> None:
    if type(timeout_ms) is not int or not 1 <= timeout_ms <= TIMEOUT_MS_MAX:
        raise HoldTimeoutError(
            f"A timeout is a whole number of milliseconds from 1 to {TIMEOUT_MS_MAX}."
        )
