"""Pseudonyms: one for each job, and only its account can open it."""

import pytest

from ledger.errors import SignatureError
from ledger.signing import PrivateKey
from ledger.statements.pseudonyms import (
    authorise,
    pseudonym_key,
    record_key,
    verify_authorisation,
)

KEY = PrivateKey(bytes(range(32)))
JOB = "job_" + "1" * 20
OTHER_JOB = "job_" + "2" * 20


def pseudonym(job_id: str = JOB) -> str:
    return pseudonym_key(KEY, job_id).public.pseudonym_id


def test_each_job_has_its_own() -> None:
    assert pseudonym() == pseudonym()
    assert pseudonym() != pseudonym(OTHER_JOB)
    assert pseudonym().startswith("psn_")
    assert record_key(KEY, JOB) != record_key(KEY, OTHER_JOB)
    assert record_key(KEY, JOB) not in {pseudonym_key(KEY, JOB).seed, KEY.seed}


def test_account_signs_for_its_pseudonym() -> None:
    authorisation = authorise(KEY, JOB, pseudonym())
    verify_authorisation(authorisation, JOB, pseudonym())
    assert authorisation.account_id == KEY.account_id


@pytest.mark.parametrize(
    ("job_id", "name"),
    [(OTHER_JOB, pseudonym()), (JOB, pseudonym(OTHER_JOB)), (JOB, "")],
)
def test_other_job_or_pseudonym_is_refused(job_id: str, name: str) -> None:
    with pytest.raises(SignatureError):
        verify_authorisation(authorise(KEY, JOB, pseudonym()), job_id, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": PrivateKey(bytes(32)).public.text},
        {"key": "A" * 44},
        {"signature": "A" * 86 + "=="},
        {"signature": "AAAA"},
        {"signature": "A"},
    ],
)
def test_authorisation_with_one_thing_changed_is_refused(
    changes: dict[str, str],
) -> None:
    altered = authorise(KEY, JOB, pseudonym()).model_copy(update=changes)
    with pytest.raises(SignatureError):
        verify_authorisation(altered, JOB, pseudonym())
