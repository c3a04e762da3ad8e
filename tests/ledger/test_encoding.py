"""Canonical JSON and base64: one form for each value, and no other is read."""

from typing import Any

import pytest

from ledger.encoding import canonical_json, decode_base64, encode_base64, parse_json
from ledger.errors import EncodingError
from ledger.limits import JSON_DEPTH_MAX

EXACT_MAX = 2**53 - 1


def nested(depth: int) -> Any:
    value: Any = 5
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (None, b"null"),
        (True, b"true"),
        (-EXACT_MAX, b"-9007199254740991"),
        ({"b": 1, "a": [None, ""]}, b'{"a":[null,""],"b":1}'),
        # The sample of RFC 8785, section 3.2.2, without its floats.
        (
            {"string": '\u20ac$\u000f\nA\'B"\\\\"/'},
            b'{"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
        ),
        # Section 3.2.3: keys are sorted by UTF-16 code units.
        (
            {"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "\r": 4, "1": 5},
            b'{"\\r":4,"1":5,"\xe2\x82\xac":3,"\xf0\x9f\x98\x80":2,"\xef\xac\xb3":1}',
        ),
    ],
)
def test_value_has_one_form(value: Any, encoded: bytes) -> None:
    assert canonical_json(value) == encoded
    assert parse_json(encoded, size_max=len(encoded)) == value


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        EXACT_MAX + 1,
        -EXACT_MAX - 1,
        b"bytes",
        {1: 2},
        {"a": {1}},
        object(),
        "\ud800",
        {"\ud800": 1},
        nested(JSON_DEPTH_MAX + 1),
    ],
)
def test_value_without_form_is_refused(value: Any) -> None:
    with pytest.raises(EncodingError):
        canonical_json(value)


def test_depth_is_bounded_where_it_is_said() -> None:
    value = nested(JSON_DEPTH_MAX)
    assert parse_json(canonical_json(value), size_max=99) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"1.0",
        b"1e2",
        b"-0.0",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b"9" * 10_000,
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b"1 2",
        b"[" * 100_000,
        b"\xef\xbb\xbf1",
    ],
)
def test_other_json_is_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        parse_json(data, size_max=200_000)


def test_size_is_checked_first() -> None:
    with pytest.raises(EncodingError, match="at most 3"):
        parse_json(b"[" * 4, size_max=3)


def test_base64_reads_back() -> None:
    for size in range(50):
        data = bytes(range(size))
        assert decode_base64(encode_base64(data), size=size) == data


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AA=", "AB==", "AAB=", "AA==\n", "A A=", "_-==", "é==="]
)
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        decode_base64(text)


def test_base64_of_other_size_is_refused() -> None:
    with pytest.raises(EncodingError, match="3 bytes where 4"):
        decode_base64("AAAA", size=4)
