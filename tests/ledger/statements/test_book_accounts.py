"""Names of accounts in the books."""

from pydantic import TypeAdapter

from ledger.document import BookAccountId
from ledger.signing import PrivateKey
from ledger.statements.book_accounts import (
    clearing_of,
    development_credit_of,
    wallet_of,
)


def test_names_have_the_form_of_statements() -> None:
    account = PrivateKey(bytes(32)).account_id
    names = [wallet_of(account), clearing_of(account), development_credit_of(account)]
    assert len(set(names)) == 3
    for name in names:
        assert TypeAdapter(BookAccountId).validate_python(name) == name
