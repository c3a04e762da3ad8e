"""The private terms of an order, through its openings and back."""

from typing import Any

import pytest
from audited_market import DIGEST

from ledger.errors import EncodingError, StatementError
from ledger.signing import PrivateKey
from ledger.statements.disclosure import conceal
from ledger.statements.order_terms import (
    DataPolicy,
    JobLimits,
    OrderTerms,
    Recipient,
    WorkloadReference,
)
from ledger.statements.pseudonyms import authorise

TERMS = OrderTerms(
    account=authorise(PrivateKey(bytes(32)), "job_" + "1" * 20, "psn_" + "a" * 26),
    workload=WorkloadReference(kind="python_source", content=DIGEST, entry="risk"),
    data_policy=DataPolicy(
        sensitivity="confidential", categories=("health",), protection="enclave"
    ),
    limits=JobLimits(
        fuel=10**9,
        memory_bytes=2**26,
        time_ms=1000,
        input_bytes=4096,
        output_bytes=4096,
    ),
    input=None,
    price_max=5000,
    recipient=Recipient(public_key="AAAA", challenge=DIGEST),
)


def test_terms_read_back_from_openings() -> None:
    assert OrderTerms.from_openings(conceal(TERMS.private_values())) == TERMS


def test_all_fields_must_be_opened() -> None:
    values = TERMS.private_values()
    for name in values:
        openings = conceal({key: item for key, item in values.items() if key != name})
        with pytest.raises(StatementError, match="all of its private fields"):
            OrderTerms.from_openings(openings)
    with pytest.raises(StatementError):
        OrderTerms.from_openings(conceal({**values, "more": 1}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("price_max", -1),
        ("price_max", 2**53),
        ("price_max", "5000"),
        ("price_max", True),
        ("input", "short"),
        ("limits", {}),
        ("limits", None),
        ("recipient", {"publicKey": "AAAA", "challenge": "AAAA"}),
        ("workload", {"kind": "binary", "content": DIGEST}),
        ("data_policy", {"sensitivity": "secret", "protection": "enclave"}),
    ],
)
def test_value_out_of_form_is_refused(name: str, value: Any) -> None:
    if value == 2**53:
        # Not even the opening of such a number has a canonical form.
        value = float(value)
    openings = conceal(TERMS.private_values())
    openings[name] = openings[name].model_copy(update={"value": value})
    with pytest.raises(EncodingError):
        OrderTerms.from_openings(openings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("fuel", -1), ("fuel", 10**13 + 1), ("timeMs", 0), ("memoryBytes", 2**31 + 1)],
)
def test_limits_are_bounded(name: str, value: int) -> None:
    values = TERMS.limits.to_json()
    with pytest.raises(EncodingError):
        JobLimits.from_json({**values, name: value})
