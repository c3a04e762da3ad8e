"""The rules of one job's bill, the same for a receipt and for a whole log.

Pure: bodies of statements in, nothing out, or the rule that is broken. The caller
has checked signatures, and that each body is the one the next refers to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ledger.audit.errors import RuleError
from ledger.audit.rules import Rule
from ledger.charging.committed import amount_multiples, commit_amount, open_amounts
from ledger.charging.tariff import RatingGroup, Tariff, rate
from ledger.commitments.pedersen import CommitmentOpening
from ledger.encoding import Json
from ledger.errors import CommitmentError, TariffError
from ledger.limits import AMOUNT_MICROCREDITS_MAX
from ledger.metering.usage import parse_quantities
from ledger.statements.book_accounts import clearing_of, wallet_of
from ledger.statements.disclosure import parse_commitments
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    OfferStatement,
    OrderStatement,
    Posting,
    ReleaseStatement,
    SliceStatement,
)


@dataclass(frozen=True)
class Bill:
    """What a job used and what it cost, by rating group and by payee's account id."""

    quantities: Mapping[RatingGroup, int]
    total_microcredits: int
    by_payee_microcredits: Mapping[str, int]


def check_agreement(order: OrderStatement, agreement: AgreementStatement) -> None:
    """Check that an agreement answers an order, out of the consumer's own wallet.

    Raises:
        RuleError: It does not.
    """
    if (agreement.job_id, agreement.consumer) != (order.job_id, order.consumer):
        raise RuleError(Rule.AGREEMENT, "The agreement is not about this order.")
    accounts = (wallet_of(agreement.consumer), clearing_of(agreement.market))
    if (agreement.debit, agreement.credit) != accounts:
        raise RuleError(
            Rule.AGREEMENT,
            "Money is held in the consumer's wallet, for the market's clearing.",
        )


def check_offer(
    offer: OfferStatement, market_tariff: Tariff, agreement: AgreementStatement
) -> None:
    """Check that an agreement keeps to an offer and to the market's own prices.

    The lines of a workload's owner are left to the caller, who knows what was
    published.

    Raises:
        RuleError: It does not.
    """
    if (agreement.provider, agreement.node) != (offer.provider, offer.node):
        raise RuleError(Rule.AGREEMENT, "The agreement is not about this offer.")
    if agreement.agreed_at_ms >= offer.valid_until_ms:
        raise RuleError(Rule.AGREEMENT, "The offer had expired.")
    lines = agreement.tariff.lines
    if any(line.role not in {"provider", "market", "owner"} for line in lines):
        raise RuleError(Rule.TARIFF, "The tariff pays a role that nobody has.")
    offered = {group: (offer.provider, price) for group, price in offer.prices.items()}
    if _prices(agreement.tariff, "provider") != offered:
        raise RuleError(Rule.TARIFF, "The provider's prices are not those offered.")
    if _prices(agreement.tariff, "market") != _prices(market_tariff, "market"):
        raise RuleError(Rule.TARIFF, "The market's prices are not those published.")


def check_slice(
    agreement: AgreementStatement, usage: SliceStatement, committed: Iterable[str]
) -> None:
    """Check that a slice of usage belongs to an agreement and commits to what it rates.

    Args:
        agreement: With the tariff.
        usage: The slice.
        committed: Names of the fields that the slice commits to.

    Raises:
        RuleError: It does not.
    """
    agreed = (agreement.job_id, agreement.node, agreement.consumer)
    if (usage.job_id, usage.node, usage.consumer) != agreed:
        raise RuleError(
            Rule.SLICE, "The slice is not of the job, node and consumer agreed on."
        )
    rated = {f"quantity.{group}" for group in agreement.tariff.groups}
    if frozenset(committed) != rated:
        raise RuleError(
            Rule.SLICE, "The slice commits to other quantities than the tariff rates."
        )


def check_charge(
    agreement: AgreementStatement,
    usage: SliceStatement,
    charge: ChargeStatement,
    *,
    is_countersigned: bool,
) -> None:
    """Check all of a charge but its amounts.

    Args:
        agreement: To which the slice belongs.
        usage: The slice that is charged.
        charge: The charge.
        is_countersigned: Whether the consumer has signed the slice.

    Raises:
        RuleError: A party, an account or the acceptance is wrong.
    """
    agreed = (agreement.job_id, agreement.market, agreement.hold_transfer)
    if (charge.job_id, charge.market, charge.hold_transfer) != agreed:
        raise RuleError(Rule.CHARGE, "The charge is not of this agreement.")
    _check_accounts(agreement, charge.postings)
    _check_acceptance(agreement, usage, charge, is_countersigned=is_countersigned)


def check_release(agreement: AgreementStatement, release: ReleaseStatement) -> None:
    """Check that a release gives back the hold of an agreement.

    Raises:
        RuleError: It does not.
    """
    agreed = (agreement.job_id, agreement.market, agreement.hold_transfer)
    if (release.job_id, release.market, release.hold_transfer) != agreed:
        raise RuleError(Rule.RELEASE, "The release is not of this agreement.")


def check_bill(
    agreement: AgreementStatement,
    *,
    usage: Mapping[str, CommitmentOpening],
    amounts: Mapping[str, CommitmentOpening],
    hold_microcredits: int | None,
) -> Bill:
    """Compute a charge again from the opened quantities of its slice.

    Args:
        agreement: With the tariff.
        usage: Openings of the slice, checked against its commitments.
        amounts: What the charge's amounts are said to be, by `amount.<place>`.
        hold_microcredits: What the agreement held; None if that is not shown.

    Raises:
        RuleError: An amount is not what it must be, or more than was held.
    """
    quantities = read_quantities(
        {name: opening.value for name, opening in usage.items()}
    )
    try:
        rating = rate(agreement.tariff, quantities)
        due = open_amounts(agreement.tariff, usage)
    except TariffError as error:
        raise RuleError(Rule.RATING, str(error)) from error
    for name, opening in amounts.items():
        if due.get(name) != opening:
            raise RuleError(
                Rule.RATING, f"The field {name} is not what tariff and usage make."
            )
    total = rating.total_microcredits
    if hold_microcredits is not None and total > hold_microcredits:
        raise RuleError(
            Rule.HOLD,
            f"The charge of {total} micro-credits exceeds the hold of "
            f"{hold_microcredits}.",
        )
    return Bill(quantities, total, rating.by_payee_microcredits)


def check_amounts(
    tariff: Tariff,
    commitments: Mapping[str, str],
    amounts: Mapping[str, CommitmentOpening],
) -> None:
    """Check opened amounts of a charge against the commitments of its slice alone.

    Raises:
        RuleError: One does not open what tariff and slice commit to.
    """
    multiples = amount_multiples(tariff)
    try:
        points = parse_commitments(commitments)
        for name, opening in amounts.items():
            place = name.removeprefix("amount.")
            if not place.isdecimal() or int(place) >= len(multiples):
                raise RuleError(Rule.OPENING, f"The charge has no field {name}.")
            committed = commit_amount(multiples[int(place)], points)
            if committed is None:
                raise RuleError(Rule.OPENING, f"There is no commitment to {name}.")
            opening.verify(committed)
    except (CommitmentError, TariffError) as error:
        raise RuleError(Rule.OPENING, str(error)) from error


def check_hold(hold_microcredits: int, order_values: Mapping[str, Json]) -> None:
    """Check that no more is held than the consumer ordered, if the order is opened.

    Raises:
        RuleError: More is held than the order's highest price.
    """
    if "price_max" not in order_values:
        return
    price_max = read_amount(order_values, "price_max", least=0)
    if hold_microcredits > price_max:
        raise RuleError(
            Rule.HOLD,
            f"The hold of {hold_microcredits} micro-credits exceeds the order's "
            f"highest price of {price_max}.",
        )


def read_amount(values: Mapping[str, Json], name: str, *, least: int = 1) -> int:
    """Read an opened amount in micro-credits.

    Raises:
        RuleError: It is missing, or not a whole number within the books' bounds.
    """
    amount = values.get(name)
    if type(amount) is not int or not least <= amount <= AMOUNT_MICROCREDITS_MAX:
        raise RuleError(
            Rule.BALANCE, f"The field {name} is missing or no amount of money."
        )
    return amount


def read_quantities(values: Mapping[str, Json]) -> dict[RatingGroup, int]:
    """Read the opened quantities of a slice.

    Raises:
        RuleError: One is missing or out of bounds.
    """
    try:
        return parse_quantities(values)
    except TariffError as error:
        raise RuleError(Rule.RATING, str(error)) from error


def _prices(tariff: Tariff, role: str) -> dict[RatingGroup, tuple[str, int]]:
    return {
        line.group: (line.payee, line.price_microcredits)
        for line in tariff.lines
        if line.role == role
    }


def _check_accounts(agreement: AgreementStatement, postings: Sequence[Posting]) -> None:
    clearing = agreement.credit
    payees = agreement.tariff.shares
    due = [("post", agreement.debit, clearing)] if payees else []
    due += [("transfer", clearing, wallet_of(payee)) for payee in payees]
    if [(item.action, item.debit, item.credit) for item in postings] != due:
        raise RuleError(
            Rule.CHARGE,
            "The postings are not one out of the hold, and one to each payee of the "
            "tariff in its order.",
        )


def _check_acceptance(
    agreement: AgreementStatement,
    usage: SliceStatement,
    charge: ChargeStatement,
    *,
    is_countersigned: bool,
) -> None:
    if is_countersigned != (charge.acceptance == "countersigned"):
        raise RuleError(
            Rule.ACCEPTANCE,
            "The charge does not say truly whether the consumer signed the slice.",
        )
    if is_countersigned:
        return
    # The node dates the slice; it cannot have ended before there was an agreement.
    known_ms = max(usage.finished_at_ms, agreement.agreed_at_ms)
    if charge.charged_at_ms < known_ms + agreement.acceptance_timeout_ms:
        raise RuleError(
            Rule.ACCEPTANCE,
            "Charged without the consumer's signature before the agreed time was over.",
        )
