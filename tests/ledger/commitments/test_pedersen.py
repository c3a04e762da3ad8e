"""Commitments: opened to one number, and added without being opened."""

import hashlib
import hmac
from typing import Any

import pytest

from ledger.commitments import group
from ledger.commitments.pedersen import (
    VALUE_MAX,
    Commitment,
    CommitmentOpening,
    combine,
    combine_openings,
    commit,
    derive_blinding,
)
from ledger.encoding import encode_base64
from ledger.errors import CommitmentError

KEY = bytes(range(32))


def test_commitment_is_the_published_one() -> None:
    assert commit(1234, 5678).data.hex() == (
        "80703331ac734126f3459d1e2d51f301017aa88b85ad429edf5df995d600ccc0"
    )


def test_true_opening_verifies() -> None:
    CommitmentOpening(1234, 5678).verify(commit(1234, 5678))
    CommitmentOpening(0, 5678).verify(commit(0, 5678))


@pytest.mark.parametrize(
    "opening",
    [
        CommitmentOpening(1235, 5678),
        CommitmentOpening(1234, 5679),
        CommitmentOpening(5678, 1234),
        CommitmentOpening(0, 5678),
        CommitmentOpening(VALUE_MAX, 5678),
    ],
)
def test_opening_with_one_thing_changed_is_refused(opening: CommitmentOpening) -> None:
    with pytest.raises(CommitmentError, match="does not fit"):
        opening.verify(commit(1234, 5678))


@pytest.mark.parametrize(
    ("value", "blinding"), [(-1, 1), (VALUE_MAX + 1, 1), (1, -1), (1, group.ORDER)]
)
def test_what_is_out_of_bounds_is_not_committed_to(value: int, blinding: int) -> None:
    with pytest.raises(CommitmentError):
        commit(value, blinding)


def test_commitments_read_back() -> None:
    commitment = commit(7, 8)
    assert Commitment.parse(commitment.text) == commitment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        "AAAA",
        encode_base64(bytes(32)),
        encode_base64(group.IDENTITY),
        encode_base64(b"\xff" * 32),
        commit(7, 8).text[:-1],
        commit(7, 8).text + "\n",
    ],
)
def test_what_is_no_commitment_is_refused(text: str) -> None:
    with pytest.raises(CommitmentError):
        Commitment.parse(text)


def test_openings_read_back() -> None:
    opening = CommitmentOpening(5, group.ORDER - 1)
    assert CommitmentOpening.parse(opening.to_json()) == opening


@pytest.mark.parametrize(
    "changes",
    [
        {"value": -1},
        {"value": VALUE_MAX + 1},
        {"value": True},
        {"value": 1.0},
        {"value": None},
        {"blinding": encode_base64(group.ORDER.to_bytes(32, "little"))},
        {"blinding": encode_base64(bytes(31))},
        {"blinding": 5},
        {"more": 1},
    ],
)
def test_malformed_opening_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CommitmentError):
        CommitmentOpening.parse({**CommitmentOpening(5, 6).to_json(), **changes})


def test_blindings_are_told_apart_by_place() -> None:
    places = [("a", 0), ("a", 1), ("b", 0), ("a0",), ("a", "0"), ("a", 0, "x")]
    blindings = {derive_blinding(KEY, *place) for place in places}
    assert len(blindings) == len(places)
    assert derive_blinding(KEY, "a", 0) == derive_blinding(KEY, "a", 0)
    assert derive_blinding(bytes(32), "a", 0) not in blindings


def test_blinding_is_the_documented_one() -> None:
    """HMAC-SHA512 over the label and the canonical place, modulo the order."""
    message = b'sixfold/blinding/v1\n["agreement",0,"quantity.fuel"]'
    digest = hmac.digest(KEY, message, hashlib.sha512)
    due = int.from_bytes(digest, "little") % (
        2**252 + 27742317777372353535851937790883648493
    )
    assert derive_blinding(KEY, "agreement", 0, "quantity.fuel") == due


def test_sums_and_multiples_follow_the_numbers() -> None:
    openings = [CommitmentOpening(n, derive_blinding(KEY, n)) for n in (3, 0, 5, 7)]
    multiples = [10, 4, 10, 1]
    terms = list(zip(multiples, openings, strict=True))
    total = combine((n, commit(*opening)) for n, opening in terms)
    opened = combine_openings(terms)
    assert opened.value == 87
    assert total is not None
    opened.verify(total)


def test_sum_of_nothing_is_no_commitment() -> None:
    assert combine([]) is None
    assert combine([(0, commit(1, 2))]) is None
    assert combine_openings([]) == CommitmentOpening(0, 0)
    inverse = Commitment(group.multiply(group.ORDER - 1, commit(1, 2).data))
    assert combine([(1, commit(1, 2)), (1, inverse)]) is None
