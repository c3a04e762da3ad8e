"""Who is known to the market. A key is an identity; registering costs nothing."""

from sqlmodel import Session

from ledger.encoding import Json
from ledger.signing import PublicKey
from ledger.statements.book_accounts import wallet_of
from ledger.statements.kinds import AccountStatement
from ledger.statements.statement import Statement, verify_signatures
from market.errors import ForbiddenError, InvalidError
from market.identity.models import Account
from market.transaction import Transaction


def know_market(transaction: Transaction, key: PublicKey) -> None:
    """Make the market's own account known, so that its operator can call it too."""
    transaction.session.add(
        Account(
            account_id=key.account_id,
            public_key=key.text,
            registered_at_ms=transaction.now_ms,
        )
    )
    transaction.session.flush()


def require_account(session: Session, account_id: str) -> None:
    """Refuse a caller who has not registered.

    Raises:
        ForbiddenError: The account is unknown.
    """
    if session.get(Account, account_id) is None:
        raise ForbiddenError("Register this key first (POST /accounts).")


def register_account(transaction: Transaction, statement: Statement) -> Json:
    """Make a party known; doing it again changes nothing.

    Raises:
        InvalidError: Not a signed account statement of the key it names.
        LedgerError: A signature does not hold.
    """
    body = statement.body
    if not isinstance(body, AccountStatement):
        raise InvalidError("An account statement is due here.")
    verify_signatures(statement)
    key = statement.key_of("account")
    if key is None or key.text != body.public_key:
        raise InvalidError("The statement names another key than the one that signed.")
    if transaction.find(Account, body.account) is None:
        transaction.add(
            Account(
                account_id=body.account,
                public_key=body.public_key,
                registered_at_ms=transaction.now_ms,
            )
        )
        transaction.session.flush()
        transaction.books.open_account(wallet_of(body.account))
        transaction.record(statement, parties=[body.account])
    return {"accountId": body.account}
