"""Private fields: a digest opens to one name and one value."""

from typing import Any

import pytest

from ledger.commitments.pedersen import CommitmentOpening
from ledger.encoding import decode_base64
from ledger.errors import DisclosureError
from ledger.statements.disclosure import (
    SALT_BYTES,
    Opening,
    commit_openings,
    conceal,
    conceal_numbers,
    digest_openings,
    opened_values,
    openings_json,
    parse_openings,
    verify_openings,
)

RECORD_KEY = bytes(range(32))
ZERO = "A" * 43 + "="
SALT = "c2FsdHNhbHRzYWx0c2FsdA=="


def test_true_openings_fit() -> None:
    openings = conceal({"hold": 5, "decision": None})
    digests = digest_openings(openings)
    verify_openings(digests, {}, openings, required=digests)
    verify_openings(digests, {}, {"hold": openings["hold"]}, required=["hold"])
    verify_openings(digests, {}, {})


def test_true_openings_of_numbers_fit() -> None:
    openings = conceal_numbers({"fuel": 5, "memory": 0}, RECORD_KEY, "slice", 0)
    commitments = commit_openings(openings)
    verify_openings({}, commitments, openings, required=commitments)
    assert digest_openings(openings) == {}
    assert opened_values(openings) == {"fuel": 5, "memory": 0}
    again = conceal_numbers({"fuel": 5, "memory": 0}, RECORD_KEY, "slice", 0)
    assert commit_openings(again) == commitments
    other = conceal_numbers({"fuel": 5, "memory": 0}, RECORD_KEY, "slice", 1)
    assert not commit_openings(other).items() & commitments.items()


def test_changed_number_is_refused() -> None:
    openings = conceal_numbers({"fuel": 5, "memory": 5}, RECORD_KEY, "slice", 0)
    commitments = commit_openings(openings)
    swapped = {"fuel": openings["memory"], "memory": openings["fuel"]}
    more = {"fuel": CommitmentOpening(6, openings["fuel"].blinding)}
    blinded = {"fuel": CommitmentOpening(5, openings["fuel"].blinding + 1)}
    for wrong in (swapped, more, blinded):
        with pytest.raises(DisclosureError, match="does not fit"):
            verify_openings({}, commitments, wrong)


def test_digest_is_not_opened_as_a_number() -> None:
    numbers = conceal_numbers({"hold": 5}, RECORD_KEY, "slice", 0)
    salted = conceal({"hold": 5})
    for digests, commitments, openings in (
        (digest_openings(salted), {}, numbers),
        ({}, commit_openings(numbers), salted),
    ):
        with pytest.raises(DisclosureError, match="no such field"):
            verify_openings(digests, commitments, openings)


def test_digest_is_frozen() -> None:
    """SHA-256 over `sixfold/opening/v1`, a newline, and canonical [salt, name, value].

    Computed with hashlib from that sentence alone.
    """
    assert Opening(salt=SALT, value=5).digest("hold") == (
        "nrHlEdtIcqYIdsUJ0z94DfXrTWzGT/Lf0GbHnE6B3tk="
    )


def test_salts_are_fresh() -> None:
    one, two = conceal({"hold": 5}), conceal({"hold": 5})
    assert one["hold"].salt != two["hold"].salt
    assert len(decode_base64(one["hold"].salt)) == SALT_BYTES


@pytest.mark.parametrize(
    "changed",
    [
        Opening(salt=SALT, value=6),
        Opening(salt=SALT, value="5"),
        Opening(salt=SALT, value=[5]),
        Opening(salt=SALT.replace("c", "d", 1), value=5),
    ],
)
def test_changed_opening_is_refused(changed: Opening) -> None:
    digests = digest_openings({"hold": Opening(salt=SALT, value=5)})
    with pytest.raises(DisclosureError, match="does not fit"):
        verify_openings(digests, {}, {"hold": changed})


def test_opening_under_other_name_is_refused() -> None:
    opening = Opening(salt=SALT, value=5)
    digests = {"total": opening.digest("hold")}
    with pytest.raises(DisclosureError, match="does not fit"):
        verify_openings(digests, {}, {"total": opening})


def test_unknown_field_is_refused() -> None:
    with pytest.raises(DisclosureError, match="no such field"):
        verify_openings({}, {}, conceal({"hold": 5}))


def test_missing_field_is_refused() -> None:
    openings = conceal({"hold": 5})
    with pytest.raises(DisclosureError, match="not opened"):
        verify_openings(digest_openings(openings), {}, {}, required=["hold"])


def test_openings_read_back() -> None:
    openings = conceal({"hold": 5, "list": [1, None, {"a": "b"}]})
    openings |= conceal_numbers({"fuel": 5}, RECORD_KEY, "slice", 0)
    assert parse_openings(openings_json(openings)) == openings


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "openings",
        {"hold": 5},
        {"hold": {"salt": SALT}},
        {"hold": {"salt": 5, "value": 5}},
        {"hold": {"salt": "no base64!", "value": 5}},
        {"hold": {"salt": SALT, "value": 1.5}},
        {"hold": {"salt": SALT, "value": 5, "more": 1}},
        {"hold": {"salt": SALT, "blinding": ZERO, "value": 5}},
        {"hold": {"blinding": ZERO, "value": -1}},
        {"hold": {"blinding": ZERO, "value": True}},
        {"hold": {"blinding": ZERO, "value": "5"}},
        {"hold": {"blinding": ZERO, "value": 2**53}},
        {"hold": {"blinding": SALT, "value": 5}},
        {"hold": {"blinding": "/" * 43 + "=", "value": 5}},
        {"hold": {"blinding": 5, "value": 5}},
        {"hold": {"blinding": ZERO}},
        {f"field{place}": {"salt": SALT, "value": 5} for place in range(65)},
    ],
)
def test_malformed_openings_are_refused(value: Any) -> None:
    with pytest.raises(DisclosureError):
        parse_openings(value)
