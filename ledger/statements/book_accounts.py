"""Names of accounts in the books, as statements write them: `<party>/<purpose>`."""


def wallet_of(account_id: str) -> str:
    """The account from which a party pays and into which it is paid."""
    return f"{account_id}/wallet"


def clearing_of(market_id: str) -> str:
    """The account through which charges pass to payees; empty between two charges."""
    return f"{market_id}/clearing"


def development_credit_of(market_id: str) -> str:
    """The account from which development credit comes; it alone may overdraw."""
    return f"{market_id}/development_credit"
