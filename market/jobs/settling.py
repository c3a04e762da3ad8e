"""Steps 10 and 11: the consumer countersigns or disputes, and the slice is paid.

The charge, its transfers and its statements are one transaction with the change of
the job's state, so a job is paid once or not at all.
"""

from collections.abc import Mapping
from typing import Literal

from ledger.charging.committed import open_amounts
from ledger.charging.tariff import Rating, RatingGroup, Tariff, rate
from ledger.encoding import Json, canonical_json, sha256_text
from ledger.metering.usage import parse_quantities
from ledger.statements.book_accounts import wallet_of
from ledger.statements.disclosure import opened_numbers, opened_values
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    Posting,
    ReleaseStatement,
)
from ledger.statements.statement import (
    Statement,
    make_statement,
    parse_statement,
    verify_signatures,
)
from market.broker import Broker
from market.errors import NotFoundError, StateError
from market.jobs.leasing import agreement_of
from market.jobs.models import Job, JobCharge, JobEarning, JobState
from market.jobs.schemas import Acceptance
from market.jobs.sealing import sealed_key
from market.transaction import Transaction, load_openings


def settle(
    transaction: Transaction, broker: Broker, consumer: str, acceptance: Acceptance
) -> Json:
    """Take the consumer's signature or dispute for a reported slice.

    Raises:
        NotFoundError: The consumer has no such job.
        StateError: There is no reported slice of this attempt.
        LedgerError: The signature does not hold.
    """
    job = transaction.find(Job, acceptance.job_id)
    if job is None or job.consumer != consumer:
        raise NotFoundError("There is no such job.")
    disputable = job.state is JobState.ATTESTED and acceptance.dispute is not None
    if job.attempt != acceptance.attempt or not (
        job.state is JobState.REPORTED or disputable
    ):
        raise StateError("This attempt has no slice that waits for a signature.")
    if acceptance.dispute is not None:
        if job.state is not JobState.REPORTED and job.node is not None:
            node = job.node
            transaction.after_commit(lambda: broker.fleet.give_back(node))
        release(transaction, broker, job, reason=acceptance.dispute)
        return {"jobId": job.job_id, "state": job.state}
    assert acceptance.signature is not None
    assert job.slice_entry is not None
    statement = parse_statement(job.slice_entry).with_signature(acceptance.signature)
    # The node's was checked when it reported.
    verify_signatures(statement, verified=frozenset({"node"}))
    if statement.key_of("consumer") is None:
        raise StateError("The consumer's signature is due here.")
    charge(transaction, broker, job, statement, acceptance="countersigned")
    return {"jobId": job.job_id, "state": job.state}


def charge(
    transaction: Transaction,
    broker: Broker,
    job: Job,
    slice_statement: Statement,
    *,
    acceptance: Literal["countersigned", "timeout"],
) -> None:
    """Rate a slice and pay everybody; the rest of the hold is free again."""
    agreement = agreement_of(job)
    openings = load_openings(job.slice_openings)
    values = opened_values(openings)
    quantities = parse_quantities(values)
    rating = rate(agreement.tariff, quantities)
    parties = [job.consumer, agreement.provider, agreement.node, broker.market]
    transaction.record(slice_statement, parties=parties, openings=openings)
    job.slice_entry = slice_statement.entry
    postings = _pay(transaction, agreement, rating)
    assert job.agreement_entry is not None
    body = ChargeStatement(
        job_id=job.job_id,
        market=broker.market,
        agreement=sha256_text(job.agreement_entry),
        slice=slice_statement.digest,
        acceptance=acceptance,
        hold_transfer=agreement.hold_transfer,
        postings=postings,
        charged_at_ms=transaction.now_ms,
    )
    statement = make_statement(body).signed_by("market", broker.key)
    job.charge_index = transaction.record(
        statement,
        parties=parties,
        openings=open_amounts(agreement.tariff, opened_numbers(openings)),
        shown={
            payee: [f"amount.{place}"]
            for place, payee in enumerate(rating.by_payee_microcredits, start=1)
            if payee not in parties
        },
    )
    job.state = JobState.CHARGED
    job.updated_at_ms = transaction.now_ms
    by_group = _by_group(agreement.tariff, quantities)
    _keep_charge(
        transaction, job.consumer, agreement, rating, by_group, str(values["outcome"])
    )
    transaction.announce(job.consumer)


def release(transaction: Transaction, broker: Broker, job: Job, *, reason: str) -> None:
    """Give the held money back and end the job, or this attempt of it."""
    agreement = agreement_of(job)
    assert job.agreement_entry is not None
    body = ReleaseStatement(
        job_id=job.job_id,
        market=broker.market,
        agreement=sha256_text(job.agreement_entry),
        transfer_id=transaction.books.new_transfer_id("void"),
        hold_transfer=agreement.hold_transfer,
        reason=reason,
        released_at_ms=transaction.now_ms,
    )
    transaction.books.void(agreement.hold_transfer, transfer_id=body.transfer_id)
    statement = make_statement(body).signed_by("market", broker.key)
    transaction.record(
        statement, parties=[job.consumer, agreement.provider, agreement.node]
    )
    job.state = JobState.RELEASED
    job.reason = reason
    job.updated_at_ms = transaction.now_ms
    transaction.announce(job.consumer, sealed_key(job.job_id))


def _keep_charge(
    transaction: Transaction,
    consumer: str,
    agreement: AgreementStatement,
    rating: Rating,
    by_group: dict[str, Json],
    outcome: str,
) -> None:
    by_payee = rating.by_payee_microcredits
    transaction.insert(
        JobCharge,
        job_id=agreement.job_id,
        consumer=consumer,
        provider=agreement.provider,
        node=agreement.node,
        total_microcredits=rating.total_microcredits,
        by_payee=canonical_json(dict(by_payee)).decode(),
        by_group=canonical_json(by_group).decode(),
        outcome=outcome,
        charged_at_ms=transaction.now_ms,
    )
    for payee, amount in by_payee.items():
        if amount > 0:
            transaction.insert(
                JobEarning,
                payee=payee,
                job_id=agreement.job_id,
                node=agreement.node if payee == agreement.provider else None,
                amount_microcredits=amount,
            )


def _pay(
    transaction: Transaction, agreement: AgreementStatement, rating: Rating
) -> tuple[Posting, ...]:
    """Move what is due; a posting of nothing stands in the statement alone."""
    books, hold_id = transaction.books, agreement.hold_transfer
    if not rating.by_payee_microcredits:
        books.void(hold_id)
        return ()
    post = Posting(
        transfer_id=books.new_transfer_id("post"),
        action="post",
        debit=agreement.debit,
        credit=agreement.credit,
    )
    if rating.total_microcredits == 0:
        books.void(hold_id)
    else:
        books.post(
            post.transfer_id,
            hold_id=hold_id,
            amount_microcredits=rating.total_microcredits,
        )
    shares = [
        _share(transaction, agreement.credit, payee, amount)
        for payee, amount in rating.by_payee_microcredits.items()
    ]
    return (post, *shares)


def _share(transaction: Transaction, clearing: str, payee: str, amount: int) -> Posting:
    posting = Posting(
        transfer_id=transaction.books.new_transfer_id("pay"),
        action="transfer",
        debit=clearing,
        credit=wallet_of(payee),
    )
    if amount > 0:
        transaction.books.transfer(
            posting.transfer_id,
            debit=posting.debit,
            credit=posting.credit,
            amount_microcredits=amount,
        )
    return posting


def _by_group(tariff: Tariff, quantities: Mapping[RatingGroup, int]) -> dict[str, Json]:
    amounts: dict[str, int] = {}
    for line in tariff.lines:
        amount = line.price_microcredits * quantities.get(line.group, 0)
        amounts[line.group] = amounts.get(line.group, 0) + amount
    return {group: amount for group, amount in amounts.items() if amount}
