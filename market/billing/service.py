"""Top-ups, balances, invoices, earnings, and disclosures, as a party sees them."""

import json
import secrets
from contextlib import closing

from sqlmodel import Session, col, func, select

from ledger.books.books import Books
from ledger.commitments.pedersen import RECORD_KEY_BYTES
from ledger.document import Document, Identifier, Microcredits
from ledger.encoding import Json
from ledger.limits import AMOUNT_MICROCREDITS_MAX
from ledger.log.models import LogEntry
from ledger.statements.book_accounts import wallet_of
from ledger.statements.disclosure import conceal_numbers
from ledger.statements.kinds import TopUpStatement
from ledger.statements.statement import make_statement
from market.broker import Broker
from market.errors import InvalidError, StateError
from market.identity.service import require_account
from market.jobs.models import FINAL_STATES, Job, JobCharge, JobEarning
from market.jobs.payloads import ANSWER_BYTES_MAX
from market.models import StatementParty, StatementRecord
from market.transaction import Transaction

TOP_UP_MICROCREDITS_MAX = 10**12
"""A million credits; more is a slip of the pen."""
WALLET_MICROCREDITS_MAX = AMOUNT_MICROCREDITS_MAX
"""A top-up fills a wallet no further, so that its balance stays exact in JSON."""
CREDIT_MICROCREDITS_MAX = 2**62
"""Development credit in all: the sums in the books have 64 bits with their sign."""
ROWS_READ_AT_ONCE = 1000
INVOICE_LINES_MAX = 10_000
"""Lines of one answer; the sums cover all charges."""
DISCLOSURES_PER_PAGE_MAX = 1000
DISCLOSURES_READ_AT_ONCE = 100


class TopUp(Document):
    """A wish for development credit. No money moves: there is none here."""

    transfer_id: Identifier
    amount_microcredits: Microcredits


def top_up(
    transaction: Transaction, broker: Broker, account_id: str, wish: TopUp
) -> Json:
    """Credit a wallet with development credit, which stands for money.

    Raises:
        InvalidError: The amount is not from 1 to 10**12 micro-credits.
        ForbiddenError: The account is not registered.
        StateError: The wallet is full, or the market has given all that it can.
        TransferError: The transfer id was used before.
    """
    require_account(transaction.session, account_id)
    amount = wish.amount_microcredits
    if not 1 <= amount <= TOP_UP_MICROCREDITS_MAX:
        raise InvalidError(
            f"A top-up is from 1 to {TOP_UP_MICROCREDITS_MAX} micro-credits."
        )
    _check_room(transaction.books, broker, account_id, amount)
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
    record_key = secrets.token_bytes(RECORD_KEY_BYTES)
    openings = conceal_numbers({"amount": amount}, record_key, body.transfer_id)
    statement = make_statement(body, openings).signed_by("market", broker.key)
    transaction.record(
        statement, parties=[account_id, broker.market], openings=openings
    )
    return {"transferId": body.transfer_id, **balance(transaction.books, account_id)}


def _check_room(books: Books, broker: Broker, account_id: str, amount: int) -> None:
    wallet = books.balance(wallet_of(account_id)).posted_microcredits
    if wallet + amount > WALLET_MICROCREDITS_MAX:
        raise StateError(f"A wallet has at most {WALLET_MICROCREDITS_MAX} in it.")
    given = -books.balance(broker.development_credit).posted_microcredits
    if given + amount > CREDIT_MICROCREDITS_MAX:
        raise StateError("This market has given all the development credit it can.")


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
        .execution_options(yield_per=ROWS_READ_AT_ONCE)
    )
    by_group: dict[str, int] = {}
    by_payee: dict[str, int] = {}
    lines: list[Json] = []
    count, total = 0, 0
    for charge in charges:
        _add(by_group, json.loads(charge.by_group))
        _add(by_payee, json.loads(charge.by_payee))
        count, total = count + 1, total + charge.total_microcredits
        if count <= INVOICE_LINES_MAX:
            lines.append(_line(charge))
    return {
        "accountId": account_id,
        "totalMicrocredits": total,
        "jobs": count,
        "byGroup": dict(by_group),
        "byPayee": dict(by_payee),
        "lines": lines,
    }


def earnings(session: Session, account_id: str) -> dict[str, Json]:
    """What an account earned as provider, by node, and as owner of workloads."""
    earned = func.sum(col(JobEarning.amount_microcredits))
    query = (
        select(JobEarning.node, func.count(), earned)
        .where(JobEarning.payee == account_id)
        .group_by(col(JobEarning.node))
        .order_by(col(JobEarning.node))
    )
    # A sum of big integers is a decimal number on PostgreSQL.
    sums = {node: (jobs, int(amount)) for node, jobs, amount in session.exec(query)}
    _, royalties = sums.pop(None, (0, 0))
    by_node: dict[str, Json] = {
        str(node): {"jobs": jobs, "earnedMicrocredits": amount}
        for node, (jobs, amount) in sums.items()
    }
    return {
        "accountId": account_id,
        "byNode": by_node,
        "royaltiesMicrocredits": royalties,
    }


def disclosures(session: Session, party: str, *, after: int) -> list[Json]:
    """The statements that a party takes part in, opened, in log order.

    Args:
        session: For reading.
        party: Account that asks.
        after: Only statements with a higher index; -1 for all.

    Returns:
        At most 1,000 items with index, digest, kind, statement, and openings. Those
        beyond `ANSWER_BYTES_MAX` are left for the next call.
    """
    query = (
        select(StatementRecord, LogEntry.data, StatementParty.fields)
        .join(StatementParty, col(StatementParty.index) == col(StatementRecord.index))
        .join(LogEntry, col(LogEntry.index) == col(StatementRecord.index))
        .where(StatementParty.party == party, col(StatementRecord.index) > after)
        .order_by(col(StatementRecord.index))
        .limit(DISCLOSURES_PER_PAGE_MAX)
        .execution_options(yield_per=DISCLOSURES_READ_AT_ONCE)
    )
    items: list[Json] = []
    size_bytes = 0
    # Closed, as it may be left before its end.
    with closing(session.exec(query)) as rows:
        for record, entry, fields in rows:
            size_bytes += len(entry) + len(record.openings)
            if items and size_bytes > ANSWER_BYTES_MAX:
                break
            items.append(_disclosure(record, entry, fields))
    return items


def _disclosure(
    record: StatementRecord, entry: bytes, fields: str | None
) -> dict[str, Json]:
    return {
        "index": record.index,
        "digest": record.digest,
        "kind": record.kind,
        "statement": json.loads(entry),
        "openings": _shown(record.openings, fields),
    }


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


def _shown(openings: str, fields: str | None) -> dict[str, Json]:
    everything: dict[str, Json] = json.loads(openings)
    if fields is None:
        return everything
    return {name: everything[name] for name in fields.split()}
