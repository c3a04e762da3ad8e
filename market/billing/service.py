"""Top-ups, balances, invoices, earnings, and disclosures, as a party sees them."""

import json

from sqlmodel import Session, col, func, select

from ledger.books.books import Books
from ledger.document import Document, Identifier, Microcredits
from ledger.encoding import Json
from ledger.statements.disclosure import conceal
from ledger.statements.kinds import TopUpStatement
from ledger.statements.statement import make_statement
from market.broker import Broker
from market.errors import InvalidError
from market.identity.service import require_account, wallet_of
from market.jobs.models import FINAL_STATES, Job, JobCharge
from market.models import StatementParty, StatementRecord
from market.transaction import Transaction

TOP_UP_MICROCREDITS_MAX = 10**15
"""A thousand million credits; more is a slip of the pen."""
INVOICE_LINES_MAX = 10_000
"""Lines of one answer; the sums cover all charges."""
DISCLOSURES_PER_PAGE_MAX = 1000


class TopUp(Document):
    """A wish for development credit. No money moves: there is none here."""

    transfer_id: Identifier
    amount_microcredits: Microcredits


def top_up(
    transaction: Transaction, broker: Broker, account_id: str, wish: TopUp
) -> Json:
    """Credit a wallet with development credit, which stands for money.

    Raises:
        InvalidError: The amount is not from 1 to 10**15 micro-credits.
        ForbiddenError: The account is not registered.
        TransferError: The transfer id was used before.
    """
    require_account(transaction.session, account_id)
    amount = wish.amount_microcredits
    if not 1 <= amount <= TOP_UP_MICROCREDITS_MAX:
        raise InvalidError(
            f"A top-up is from 1 to {TOP_UP_MICROCREDITS_MAX} micro-credits."
        )
    body = TopUpStatement(
        market=broker.market,
        transfer_id=wish.transfer_id,
        source="development_credit",
        debit=broker.development_credit,
        credit=wallet_of(account_id),
        topped_up_at_ms=transaction.now_ms,
    )
    transaction.books.transfer(
        body.transfer_id,
        debit=body.debit,
        credit=body.credit,
        amount_microcredits=amount,
    )
    openings = conceal({"amount": amount})
    statement = make_statement(body, openings).signed_by("market", broker.key)
    transaction.record(
        statement, parties=[account_id, broker.market], openings=openings
    )
    return {"transferId": body.transfer_id, **balance(transaction.books, account_id)}


def balance(books: Books, account_id: str) -> dict[str, Json]:
    """What an account has, what of it is held, and what is free."""
    wallet = books.balance(wallet_of(account_id))
    return {
        "accountId": account_id,
        "postedMicrocredits": wallet.posted_microcredits,
        "heldMicrocredits": wallet.held_microcredits,
        "freeMicrocredits": wallet.free_microcredits,
    }


def invoice(session: Session, account_id: str) -> dict[str, Json]:
    """All charges of a consumer: sums by rating group and payee, and each line."""
    charges = session.exec(
        select(JobCharge)
        .where(JobCharge.consumer == account_id)
        .order_by(col(JobCharge.charged_at_ms), col(JobCharge.job_id))
    ).all()
    by_group: dict[str, int] = {}
    by_payee: dict[str, int] = {}
    for charge in charges:
        _add(by_group, json.loads(charge.by_group))
        _add(by_payee, json.loads(charge.by_payee))
    lines: list[Json] = [_line(charge) for charge in charges[:INVOICE_LINES_MAX]]
    return {
        "accountId": account_id,
        "totalMicrocredits": sum(charge.total_microcredits for charge in charges),
        "jobs": len(charges),
        "byGroup": dict(by_group),
        "byPayee": dict(by_payee),
        "lines": lines,
    }


def earnings(session: Session, account_id: str) -> dict[str, Json]:
    """What an account earned as provider, by node, and as owner of workloads."""
    by_node: dict[str, Json] = {}
    as_owner = 0
    query = select(JobCharge).where(
        col(JobCharge.by_payee).contains(f'"{account_id}"', autoescape=True)
    )
    for charge in session.exec(query):
        earned = json.loads(charge.by_payee).get(account_id, 0)
        if charge.provider != account_id:
            as_owner += earned
            continue
        row = by_node.setdefault(charge.node, {"jobs": 0, "earnedMicrocredits": 0})
        assert isinstance(row, dict)
        _add(row, {"jobs": 1, "earnedMicrocredits": earned})  # type: ignore[arg-type]
    return {
        "accountId": account_id,
        "byNode": by_node,
        "royaltiesMicrocredits": as_owner,
    }


def disclosures(session: Session, party: str, *, after: int) -> list[dict[str, Json]]:
    """Openings of the statements that a party takes part in, in log order.

    Args:
        session: For reading.
        party: Account that asks.
        after: Only statements with a higher index; -1 for all.

    Returns:
        At most 1,000 items with index, digest, kind, and openings.
    """
    query = (
        select(StatementRecord)
        .join(StatementParty, col(StatementParty.index) == col(StatementRecord.index))
        .where(StatementParty.party == party, col(StatementRecord.index) > after)
        .order_by(col(StatementRecord.index))
        .limit(DISCLOSURES_PER_PAGE_MAX)
    )
    return [
        {
            "index": record.index,
            "digest": record.digest,
            "kind": record.kind,
            "openings": json.loads(record.openings),
        }
        for record in session.exec(query)
    ]


def open_jobs(session: Session, account_id: str) -> int:
    """Jobs of a consumer that have no final state yet."""
    query = select(func.count()).where(
        col(Job.consumer) == account_id, col(Job.state).not_in(FINAL_STATES)
    )
    return session.exec(query).one()


def _line(charge: JobCharge) -> dict[str, Json]:
    return {
        "jobId": charge.job_id,
        "provider": charge.provider,
        "node": charge.node,
        "outcome": charge.outcome,
        "totalMicrocredits": charge.total_microcredits,
        "byGroup": json.loads(charge.by_group),
        "chargedAtMs": charge.charged_at_ms,
    }


def _add(sums: dict[str, int], amounts: dict[str, int]) -> None:
    for name, amount in amounts.items():
        sums[name] = sums.get(name, 0) + amount
