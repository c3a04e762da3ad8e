"""Documents: strict, closed, camelCase outside."""

from typing import Any

import pytest
from pydantic import ValidationError

from ledger.document import Document, Microcredits
from ledger.errors import EncodingError


class Price(Document):
    amount_microcredits: Microcredits
    names: tuple[str, ...] = ()


def test_names_are_camel_case_outside() -> None:
    price = Price(amount_microcredits=5, names=("a",))
    assert price.to_json() == {"amountMicrocredits": 5, "names": ["a"]}
    assert price.to_bytes() == b'{"amountMicrocredits":5,"names":["a"]}'
    assert Price.from_bytes(price.to_bytes(), size_max=99) == price


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        [],
        {},
        {"amount_microcredits": 5},
        {"amountMicrocredits": "5"},
        {"amountMicrocredits": 5.0},
        {"amountMicrocredits": True},
        {"amountMicrocredits": -1},
        {"amountMicrocredits": 2**53},
        {"amountMicrocredits": 5, "more": 1},
        {"amountMicrocredits": 5, "names": "a"},
        {"amountMicrocredits": 5, "names": [1]},
        {"amountMicrocredits": 5, "names": ["\ud800"]},
        {"amountMicrocredits": {1, 2}},
    ],
)
def test_other_form_is_refused(value: Any) -> None:
    with pytest.raises(EncodingError):
        Price.from_json(value)


def test_refusal_names_places_and_no_values() -> None:
    with pytest.raises(EncodingError) as caught:
        Price.from_json({"amountMicrocredits": "secret", "names": list(range(9))})
    message = str(caught.value)
    assert message.startswith("amountMicrocredits: ")
    assert "names.0: " in message
    assert message.endswith("; and 5 more")
    assert "secret" not in message


def test_document_does_not_change() -> None:
    price = Price(amount_microcredits=5)
    with pytest.raises(ValidationError):
        price.amount_microcredits = 6  # type: ignore[misc]
