"""One statement taken by itself: its form, its signatures, what opens it."""

from ledger.audit.errors import RuleError
from ledger.audit.rules import Rule
from ledger.errors import DisclosureError, EncodingError, LedgerError, StatementError
from ledger.statements.disclosure import Openings, parse_openings, verify_openings
from ledger.statements.kinds import AccountStatement, OfferStatement
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


def check_openings(statement: Statement, value: object) -> Openings:
    """Check openings, given as plain JSON, against a statement's digests.

    Raises:
        RuleError: They are malformed, or one does not fit.
    """
    try:
        openings = parse_openings(value)
        verify_openings(statement.private, openings)
    except (DisclosureError, EncodingError) as error:
        raise RuleError(Rule.OPENING, str(error)) from error
    return openings
