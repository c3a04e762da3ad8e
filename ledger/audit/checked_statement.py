"""One statement taken by itself: its form, its signatures, what opens it."""

from ledger.audit.errors import RuleError
from ledger.audit.rules import Rule
from ledger.commitments.pedersen import CommitmentOpening
from ledger.errors import (
    CommitmentError,
    DisclosureError,
    EncodingError,
    LedgerError,
    StatementError,
)
from ledger.statements.disclosure import (
    Openings,
    parse_commitments,
    parse_openings,
    verify_openings,
)
from ledger.statements.kinds import (
    AccountStatement,
    ChargeStatement,
    OfferStatement,
    OrderStatement,
)
from ledger.statements.pseudonyms import Authorisation, verify_authorisation
from ledger.statements.statement import Statement, parse_statement, verify_signatures


def read_statement(entry: bytes) -> Statement:
    """Parse an entry of the log.

    Raises:
        RuleError: It is no statement in canonical form.
    """
    try:
        return parse_statement(entry)
    except (StatementError, EncodingError) as error:
        raise RuleError(Rule.FORM, f"This is no statement: {error}") from error


def check_signatures(statement: Statement) -> None:
    """Check that exactly the right parties have signed, with the keys they name.

    Raises:
        RuleError: A signature is missing, wrong, or somebody else's.
    """
    try:
        verify_signatures(statement)
    except LedgerError as error:
        raise RuleError(Rule.SIGNATURE, str(error)) from error
    match statement.body:
        case AccountStatement(public_key=named):
            signed = statement.key_of("account")
        case OfferStatement(node_key=named):
            signed = statement.key_of("node")
        case _:
            return
    if signed is None or signed.text != named:
        raise RuleError(
            Rule.SIGNATURE, "The statement names another key than the one that signed."
        )


def check_commitments(statement: Statement) -> None:
    """Check that every committed number of a statement is a commitment at all.

    Raises:
        RuleError: One is no point of the prime-order group.
    """
    try:
        parse_commitments(statement.commitments)
    except CommitmentError as error:
        raise RuleError(Rule.COMMITMENT, str(error)) from error


def check_openings(statement: Statement, value: object) -> Openings:
    """Check openings, given as plain JSON, against what a statement conceals.

    Those of a charge are only read: its amounts are committed to by its slice.

    Raises:
        RuleError: They are malformed, or one does not fit.
    """
    try:
        openings = parse_openings(value)
        if isinstance(statement.body, ChargeStatement):
            _check_numbers(openings)
        else:
            verify_openings(statement.private, statement.commitments, openings)
        if isinstance(statement.body, OrderStatement) and "account" in openings:
            read_account(statement.body, openings)
    except (DisclosureError, EncodingError) as error:
        raise RuleError(Rule.OPENING, str(error)) from error
    return openings


def read_account(order: OrderStatement, openings: Openings) -> str:
    """The account behind an order's pseudonym, from the opened field `account`.

    Raises:
        RuleError: The account did not sign for this job and pseudonym.
        EncodingError: The field does not have its form.
    """
    authorisation = Authorisation.from_json(openings["account"].value)
    try:
        verify_authorisation(authorisation, order.job_id, order.consumer)
    except LedgerError as error:
        raise RuleError(
            Rule.PSEUDONYM, "The account has not signed for this pseudonym."
        ) from error
    return authorisation.account_id


def _check_numbers(openings: Openings) -> None:
    for name, opening in openings.items():
        if not isinstance(opening, CommitmentOpening):
            raise DisclosureError(f"The field {name} is not opened as an amount.")
