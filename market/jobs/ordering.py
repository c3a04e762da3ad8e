"""Step 3: a consumer's signed order comes in, is checked, and is placed at once."""

from dataclasses import dataclass

from ledger.books.models import BookAccount, BookTransfer
from ledger.commitments.pedersen import RECORD_KEY_BYTES
from ledger.encoding import Json, canonical_json, decode_base64, sha256_text
from ledger.errors import LedgerError
from ledger.statements.book_accounts import wallet_of
from ledger.statements.disclosure import Openings, parse_openings, verify_openings
from ledger.statements.kinds import OrderStatement
from ledger.statements.order_terms import OrderTerms
from ledger.statements.pseudonyms import verify_authorisation
from ledger.statements.statement import Statement, parse_statement, verify_signatures
from market.broker import Broker
from market.catalog.workloads import find_workload
from market.errors import InvalidError, MarketError
from market.identity.models import Account
from market.identity.service import require_account
from market.jobs.agreement import Placement, hold_of, place
from market.jobs.models import Job, JobPayload, JobState
from market.jobs.payloads import keep_payload
from market.jobs.schemas import OrderItem
from market.refusals import refusal_of
from market.transaction import Transaction, openings_text
from market.writer import Command

ORDER_AGE_MS_MAX = 300_000
"""An order older than this, or as far in the future, is not what somebody wants now."""


@dataclass(frozen=True)
class _Order:
    """An order that was checked as far as that goes without the database."""

    consumer: str
    record_key: bytes
    statement: Statement
    openings: Openings
    terms: OrderTerms
    item: OrderItem


def order_command(
    broker: Broker, consumer: str, item: OrderItem
) -> tuple[str, Command]:
    """Check an order without the database and make a command of it.

    Returns:
        The job's id and the command.

    Raises:
        MarketError: The order is malformed, or signed by somebody else.
    """
    try:
        statement = parse_statement(canonical_json(item.order))
        verify_signatures(statement)
        openings = parse_openings(item.openings)
        terms = OrderTerms.from_openings(openings)
        verify_openings(statement.private, statement.commitments, openings)
        record_key = decode_base64(item.record_key, size=RECORD_KEY_BYTES)
    except LedgerError as error:
        raise refusal_of(error) from error
    body = statement.body
    if not isinstance(body, OrderStatement):
        raise InvalidError("An order statement is due here.")
    _check_account(terms, body, consumer)
    _check_content(terms, item)
    order = _Order(consumer, record_key, statement, openings, terms, item)

    def apply(transaction: Transaction) -> Json:
        return _order(transaction, broker, order)

    return body.job_id, Command(
        party=consumer,
        command_id=f"order/{body.job_id}",
        # Binds everything: the source by its digest, the input by its own.
        payload=[statement.digest, item.record_key],
        apply=apply,
        reads=(
            (Account, (consumer,)),
            (Job, (body.job_id,)),
            (JobPayload, (body.job_id, "input")),
            (BookAccount, (wallet_of(consumer),)),
            (BookAccount, (broker.clearing,)),
            (BookTransfer, (hold_of(body.job_id, 1),)),
        ),
    )


def _check_content(terms: OrderTerms, item: OrderItem) -> None:
    workload, protection = terms.workload, terms.data_policy.protection
    if workload.kind == "python_source":
        if item.source is None or sha256_text(item.source.encode()) != (
            workload.content
        ):
            raise InvalidError("The source is missing, or not the one ordered.")
        if protection == "homomorphic":
            raise InvalidError("Source cannot run on encrypted data; use a circuit.")
        if workload.workload_id is not None:
            raise InvalidError("An ad-hoc source has no workload id.")
    elif protection != "homomorphic" or workload.workload_id is None:
        raise InvalidError("A circuit is a published workload, run under encryption.")
    sealed_later = protection == "enclave"
    if sealed_later != (item.input is None) or sealed_later != (terms.input is None):
        raise InvalidError(
            "The input comes with the order, except for an enclave: there it is "
            "sealed once the evidence has been appraised."
        )
    if sealed_later != (terms.recipient is not None):
        raise InvalidError("A recipient belongs to enclave orders, and only to them.")


def _check_account(terms: OrderTerms, body: OrderStatement, consumer: str) -> None:
    try:
        verify_authorisation(terms.account, body.job_id, body.consumer)
        is_own = terms.account.account_id == consumer
    except LedgerError as error:
        raise refusal_of(error) from error
    if not is_own:
        raise InvalidError("The order is another consumer's.")


def _order(transaction: Transaction, broker: Broker, order: _Order) -> Json:
    statement, item, terms = order.statement, order.item, order.terms
    body = statement.body
    assert isinstance(body, OrderStatement)
    session = transaction.session
    require_account(session, order.consumer)
    if abs(transaction.now_ms - body.ordered_at_ms) > ORDER_AGE_MS_MAX:
        raise InvalidError("The order's time is more than five minutes off.")
    if transaction.find(Job, body.job_id) is not None:
        raise InvalidError("This job id is taken.")
    job = Job(
        job_id=body.job_id,
        consumer=order.consumer,
        pseudonym=body.consumer,
        record_key=order.record_key,
        state=JobState.REFUSED,
        order_entry=statement.entry,
        order_openings=openings_text(order.openings),
        source=item.source,
        decision="{}",
        created_at_ms=transaction.now_ms,
        updated_at_ms=transaction.now_ms,
    )
    transaction.add(job)
    if item.input is not None:
        _keep_input(transaction, job, terms, item)
    if terms.workload.workload_id is not None:
        workload = find_workload(session, terms.workload.workload_id)
        if workload.content_digest != terms.workload.content:
            raise InvalidError("The order names other content than was published.")
    placement = Placement.of(transaction, job)
    # The order goes into the log only with the agreement that answers it.
    mark = transaction.savepoint()
    transaction.record(
        statement, parties=[job.consumer, broker.market], openings=order.openings
    )
    if not place(transaction, broker, placement):
        transaction.rollback_to(mark)
        job.reason = "no_offer"
    return {"jobId": job.job_id, "state": job.state, "attempt": job.attempt}


def _keep_input(
    transaction: Transaction, job: Job, terms: OrderTerms, item: OrderItem
) -> None:
    assert item.input is not None
    row = keep_payload(
        transaction,
        job_id=job.job_id,
        attempt=0,
        name="input",
        payload=item.input,
        sender=job.consumer,
    )
    if row.digest != terms.input:
        raise InvalidError("The input is not the one that was ordered.")
    if row.size_bytes > terms.limits.input_bytes:
        raise InvalidError("The input is larger than the order's limit.")


def refused_item(job_id: str | None, error: MarketError) -> dict[str, Json]:
    """How a batch answers for one item that was refused."""
    return {
        "jobId": job_id,
        "status": error.status,
        "code": error.code,
        "message": error.message,
    }
