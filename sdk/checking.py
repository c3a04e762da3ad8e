"""What a consumer checks before it signs: agreement and slice (step 10).

Pure. The market chose the node and wrote the agreement, the node wrote the slice;
neither is believed. What does not hold is disputed with the reason given here, and
nothing is signed.
"""

from dataclasses import dataclass

from ledger.audit.bill import check_agreement as check_accounts
from ledger.audit.bill import check_slice as check_parties
from ledger.charging.tariff import Quantities, Tariff, TariffLine, rate
from ledger.encoding import Json, canonical_json
from ledger.errors import LedgerError
from ledger.metering.usage import parse_quantities
from ledger.statements.disclosure import (
    opened_values,
    parse_openings,
    verify_blindings,
    verify_openings,
)
from ledger.statements.kinds import AgreementStatement, SliceStatement
from ledger.statements.statement import Statement, parse_statement, verify_signatures
from sdk.errors import JobDisputedError
from sdk.order import Order
from sdk.work import Opened


@dataclass(frozen=True)
class Agreed:
    """An agreement that holds, for one order at one market."""

    body: AgreementStatement
    digest: str


@dataclass(frozen=True)
class Reported:
    """A slice that belongs to an agreement, with its private fields opened."""

    statement: Statement
    quantities: Quantities
    total_microcredits: int
    outcome: str
    input_digest: str
    result_digest: str


def read_agreement(
    value: Json, order: Order, *, market: str, market_tariff: Tariff
) -> Agreed:
    """Check that an agreement is the market's word on exactly this order.

    Args:
        value: The statement, as the market shows it.
        order: What was ordered.
        market: The pinned account of the market.
        market_tariff: What the market itself said that it charges.

    Raises:
        JobDisputedError: It does not hold, for the reason `usage_wrong`.
    """
    try:
        statement = parse_statement(canonical_json(value))
        verify_signatures(statement)
        body = statement.body
        if not isinstance(body, AgreementStatement):
            raise _wrong("The market's agreement is another statement.")
        check_accounts(order.body, body)
        if body.market != market:
            raise _wrong("The agreement is signed by another market.")
        if body.order != order.statement.digest:
            raise _wrong("The agreement answers another order.")
        _check_tariff(body, order, market_tariff)
    except LedgerError as error:
        raise _wrong(f"The agreement does not hold: {error}") from error
    return Agreed(body, statement.digest)


def read_slice(value: Json, openings: Json, agreed: Agreed, order: Order) -> Reported:
    """Check that a slice is the agreed node's word on exactly this agreement.

    Raises:
        JobDisputedError: It does not hold, for the reason `usage_wrong`.
    """
    try:
        statement = parse_statement(canonical_json(value))
        verify_signatures(statement)
        body = statement.body
        if not isinstance(body, SliceStatement):
            raise _wrong("The node's slice is another statement.")
        check_parties(agreed.body, body, statement.commitments)
        if body.agreement != agreed.digest:
            raise _wrong("The slice belongs to another agreement.")
        opened = parse_openings(openings)
        private, commitments = statement.private, statement.commitments
        verify_openings(private, commitments, opened, required=[*private, *commitments])
        # Else what the consumer keeps could not open the slice again.
        verify_blindings(opened, order.record_key, body.agreement, body.sequence)
        values = opened_values(opened)
        quantities = parse_quantities(values)
        total = rate(agreed.body.tariff, quantities).total_microcredits
    except LedgerError as error:
        raise _wrong(f"The slice does not hold: {error}") from error
    for group, bound in order.quantities_max.items():
        if quantities.get(group, 0) > bound:
            raise _wrong(f"The slice has more {group} than was ordered.")
    return Reported(
        statement=statement,
        quantities=quantities,
        total_microcredits=total,
        outcome=str(values["outcome"]),
        input_digest=str(values["input_digest"]),
        result_digest=str(values["result_digest"]),
    )


def check_usage(reported: Reported, opened: Opened) -> None:
    """Compare what the node wants to be paid for with what it did.

    Raises:
        JobDisputedError: They differ, for the reason `usage_wrong`.
    """
    if (reported.outcome, reported.input_digest) != (
        opened.status,
        opened.input_digest,
    ):
        raise _wrong("The slice tells of another input or another outcome.")
    due = opened.usage.quantities()
    for group, quantity in reported.quantities.items():
        if quantity != due[group]:
            raise _wrong(
                f"The slice charges {quantity} units of {group} where "
                f"{due[group]} were used."
            )


def _check_tariff(body: AgreementStatement, order: Order, market: Tariff) -> None:
    by_role: dict[str, list[TariffLine]] = {"market": [], "provider": [], "owner": []}
    for line in body.tariff.lines:
        if line.role not in by_role:
            raise _wrong(f"The tariff pays a {line.role}, whom nobody asked for.")
        by_role[line.role].append(line)
    if sorted(by_role["market"], key=_group) != sorted(market.lines, key=_group):
        raise _wrong("The market's prices are not those that it published.")
    if any(line.payee != body.provider for line in by_role["provider"]):
        raise _wrong("The tariff pays somebody else for the provider.")
    royalty = order.draft.royalty
    if by_role["owner"] != ([] if royalty is None else [royalty]):
        raise _wrong("The owner's royalty is not the one that was published.")
    hold = order.hold_microcredits(body.tariff)
    if hold > order.draft.price_max_microcredits:
        raise _wrong(
            f"The limits cost {hold} micro-credits under the tariff agreed on; "
            f"{order.draft.price_max_microcredits} were ordered at most."
        )


def _group(line: TariffLine) -> str:
    return line.group


def _wrong(message: str) -> JobDisputedError:
    return JobDisputedError("usage_wrong", message)
