"""Names of accounts in the books, as statements write them: `<party>/<purpose>`."""

WALLET_SUFFIX = "/wallet"


def wallet_of(party_id: str) -> str:
    """The account from which a party pays and into which it is paid.

    In the log a consumer's has the name of the job's pseudonym.
    """
    return party_id + WALLET_SUFFIX


def clearing_of(market_id: str) -> str:
    """The account through which charges pass to payees; empty between two charges."""
    return f"{market_id}/clearing"


def development_credit_of(market_id: str) -> str:
    """The account from which development credit comes; it alone may overdraw."""
    return f"{market_id}/development_credit"
