"""Credits as people write them: a million micro-credits, with six decimals."""

from decimal import Decimal, InvalidOperation

from sdk.errors import InputError

MICROCREDITS_PER_CREDIT = 10**6

CREDITS_CHARACTERS_MAX = 32
"""Ten digits, a point and six decimals, and room."""


def parse_credits(value: str | float | Decimal) -> int:
    """Turn credits into micro-credits, exactly.

    Raises:
        InputError: No number, not above 0, or finer than a micro-credit.
    """
    text = str(value)
    try:
        amount = Decimal(text[:CREDITS_CHARACTERS_MAX]) * MICROCREDITS_PER_CREDIT
        microcredits = int(amount)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise InputError(f"{text[:CREDITS_CHARACTERS_MAX]} is no number.") from error
    if microcredits != amount or microcredits <= 0:
        raise InputError("Credits are above 0 and have at most six decimals.")
    return microcredits


def format_credits(microcredits: int) -> str:
    """Write micro-credits as credits with six decimals."""
    sign = "-" if microcredits < 0 else ""
    whole, rest = divmod(abs(microcredits), MICROCREDITS_PER_CREDIT)
    return f"{sign}{whole:,}.{rest:06}"
