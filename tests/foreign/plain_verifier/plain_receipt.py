"""Receipts: one job's bill, proven offline."""

from collections.abc import Mapping
from typing import Any

from plain_group import parse_opening
from plain_history import check_acceptance, due_postings
from plain_log import Keys, WrongError, demand, read_extra, verify_proof
from plain_money import due_amounts, verify_amounts
from plain_statements import (
    Statement,
    canonical,
    parse_json,
    read_quantities,
    read_statement,
    verify_account,
    verify_openings,
)

KINDS = ["order", "agreement", "slice", "charge"]


def verify_receipt(receipt: bytes, keys: Keys) -> int:
    """Check a receipt; return the total that was charged, in micro-credits."""
    try:
        return _verify(receipt, keys)
    except (KeyError, TypeError, AttributeError) as error:
        raise WrongError(f"a receipt out of form: {error}") from error


def _verify(receipt: bytes, keys: Keys) -> int:
    demand(len(receipt) <= 199_441, "a receipt that is too long")
    statements, openings, charge_entry = read_statements(receipt)
    verify_proof(receipt, charge_entry, keys)
    order, agreed, usage, charge = statements
    demand([it.kind for it in statements] == KINDS, "other statements than are due")
    demand(charge.body["agreement"] == agreed.digest, "a charge of another agreement")
    demand(charge.body["slice"] == usage.digest, "a charge of another slice")
    demand(usage.body["agreement"] == agreed.digest, "a slice of another agreement")
    demand(agreed.body["order"] == order.digest, "an agreement on another order")
    check_parties(order.body, agreed.body, usage.body, charge.body)
    check_acceptance(agreed.body, usage, charge.body)
    for statement, opened in zip(statements[:3], openings[:3], strict=True):
        verify_openings(statement, opened)
    if "account" in openings[0]:
        verify_account(order, openings[0]["account"])
    quantities = read_quantities(openings[2])
    demand(len(quantities) == len(usage.commitments), "quantities that are not opened")
    due = due_amounts(agreed, quantities)
    amounts = {name: parse_opening(item) for name, item in openings[3].items()}
    verify_amounts(agreed, usage, amounts)
    total = due["amount.0"].value if due else 0
    hold = openings[1]["hold"]["value"]
    demand(total <= hold, "more is charged than was held")
    if "price_max" in openings[0]:
        demand(hold <= openings[0]["price_max"]["value"], "too much is held")
    return total


def read_statements(
    receipt: bytes,
) -> tuple[list[Statement], list[Mapping[str, Any]], bytes]:
    """The four statements of a receipt, what is opened of each, and the charge."""
    extra = parse_json(read_extra(receipt))
    demand(set(extra) == {"statements", "version"}, "no receipt")
    demand(extra["version"] == 1 and len(extra["statements"]) == 4, "no receipt")
    entries = [canonical(item["statement"]) for item in extra["statements"]]
    openings = [item["openings"] for item in extra["statements"]]
    return list(map(read_statement, entries)), openings, entries[3]


def check_parties(
    order: Mapping[str, Any],
    agreed: Mapping[str, Any],
    usage: Mapping[str, Any],
    charge: Mapping[str, Any],
) -> None:
    """Check that all four are about the same job, parties and hold."""
    bodies = (order, agreed, usage, charge)
    for name in ("jobId", "consumer", "node", "market", "holdTransfer"):
        values = {body[name] for body in bodies if name in body}
        demand(len(values) == 1, f"not everywhere the same {name}")
    demand(agreed["debit"] == f"{agreed['consumer']}/wallet", "somebody else's money")
    demand(agreed["credit"] == f"{agreed['market']}/clearing", "somebody else's money")
    moves = [(it["action"], it["debit"], it["credit"]) for it in charge["postings"]]
    demand(moves == due_postings(agreed), "other postings than are due")
