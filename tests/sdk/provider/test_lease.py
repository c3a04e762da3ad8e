from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.encoding import encode_base64
from sdk.errors import MarketAnswerError
from sdk.provider.lease import parse_leases

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_lease_is_read(lease_json: Callable[..., Any]) -> None:
    (lease,) = parse_leases({"leases": [lease_json(7)]})
    assert lease.key == ("job_" + "7".zfill(20), 1)
    assert lease.reference() == {"jobId": lease.job_id, "attempt": 1}


def test_no_leases_are_read() -> None:
    assert parse_leases({"leases": []}) == []


@given(JSON)
def test_garbage_is_refused(value) -> None:
    for answer in (value, {"leases": value}, {"leases": [value]}):
        if answer in ({"leases": []}, {"leases": [[]]}):
            continue
        with pytest.raises(MarketAnswerError):
            parse_leases(answer)


@pytest.mark.parametrize(
    "change",
    [
        {"jobId": "../input"},
        {"attempt": 0},
        {"attempt": "1"},
        {"consumer": "psn_nobody"},
        {"consumer": "acc_" + "a" * 26},
        {"recordKey": None},
        {"recordKey": encode_base64(bytes(31))},
        {"recordKey": encode_base64(bytes(33))},
        {"recordKey": "A" * 42 + "B="},
        {"ratingGroups": None},
        {"ratingGroups": ["fuel", "goodwill"]},
        {"ratingGroups": ["fuel"] * 7},
        {"agreement": "short"},
        {"protection": "trust_me"},
        {"limits": {"fuel": -1}},
        {"limits": {"timeMs": 1.5}},
        {"source": 7},
        {"circuit": "no base64!"},
        {"input": []},
    ],
)
def test_lease_with_one_thing_changed_is_refused(lease_json, change) -> None:
    with pytest.raises(MarketAnswerError):
        parse_leases({"leases": [lease_json(1, **change)]})
