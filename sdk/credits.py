"""Credits as people write them: a million micro-credits, with six decimals."""

from decimal import Decimal

from sdk.errors import InputError

MICROCREDITS_PER_CREDIT = 10**6

CREDITS_CHARACTERS_MAX = 32
"""Ten digits, a point and six decimals, and room; more digits are no amount."""


def parse_credits(value: str | float | Decimal) -> int:
    """Turn credits into micro-credits, exactly.

    Raises:
        InputError: No number, not above 0, or finer than a micro-credit.
    """
    text = str(value)
    if len(text) > CREDITS_CHARACTERS_MAX:
        raise InputError("That is more than there are credits.")
    try:
        amount = Decimal(text) * MICROCREDITS_PER_CREDIT
        microcredits = int(amount)
    except (ArithmeticError, ValueError) as error:
        raise InputError(f"{text} is no number of credits.") from error
    if microcredits != amount or microcredits <= 0:
        raise InputError("Credits are above 0 and have at most six decimals.")
    return microcredits


def format_credits(microcredits: int) -> str:
    """Write micro-credits as credits with six decimals."""
    sign = "-" if microcredits < 0 else ""
    whole, rest = divmod(abs(microcredits), MICROCREDITS_PER_CREDIT)
    return f"{sign}{whole:,}.{rest:06}"
