from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdk.credits import format_credits, parse_credits
from sdk.errors import InputError


@given(st.integers(1, 10**15))
def test_credits_survive_their_text(microcredits: int) -> None:
    assert parse_credits(format_credits(microcredits).replace(",", "")) == microcredits


@pytest.mark.parametrize(
    ("value", "microcredits"),
    [("25", 25_000_000), (0.1, 100_000), (Decimal("0.000001"), 1), ("1e3", 10**9)],
)
def test_credits_are_exact(value, microcredits) -> None:
    assert parse_credits(value) == microcredits


@pytest.mark.parametrize(
    "value", ["", "x", "nan", "inf", "0", "-1", "0.0000001", "1e999999", "9" * 99]
)
def test_what_is_no_amount_is_refused(value) -> None:
    with pytest.raises(InputError):
        parse_credits(value)


def test_amounts_have_six_decimals() -> None:
    assert format_credits(0) == "0.000000"
    assert format_credits(1_234_567_890) == "1,234.567890"
    assert format_credits(-1) == "-0.000001"
