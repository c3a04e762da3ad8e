"""Placing an order: decide, hold the money, and agree, in one transaction (4, 5)."""

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ledger.charging.tariff import Quantities, RatingGroup, Tariff, TariffLine, rate
from ledger.encoding import sha256_text
from ledger.errors import TariffError
from ledger.identifiers import derived_identifier
from ledger.metering.usage import Usage
from ledger.statements.book_accounts import wallet_of
from ledger.statements.disclosure import conceal
from ledger.statements.kinds import AgreementStatement, OfferStatement
from ledger.statements.order_terms import OrderTerms
from ledger.statements.statement import make_statement
from market.broker import LINES_KEPT_MAX, Broker, role_lines
from market.catalog.models import Workload
from market.catalog.workloads import circuit_operations
from market.jobs.models import Job, JobState
from market.placement.decision import Decision, decide
from market.placement.rules import Candidate, Request
from market.transaction import Transaction, load_openings, openings_text

PLACEMENT_LEASE_FACTOR = 3
"""A node has this many lease times to fetch a job before it is placed again."""


@dataclass(frozen=True)
class Placement:
    """A job with everything that its placement and price depend on."""

    job: Job
    terms: OrderTerms
    workload: Workload | None

    @classmethod
    def of(cls, transaction: Transaction, job: Job) -> "Placement":
        """Gather it from a stored job."""
        terms = _parse_terms(job.order_openings)
        workload_id = terms.workload.workload_id
        workload = (
            transaction.session.get(Workload, workload_id) if workload_id else None
        )
        return cls(job, terms, workload)

    @cached_property
    def usage_max(self) -> Usage:
        """The most that the order's limits allow."""
        limits = self.terms.limits
        operations = 0
        if self.terms.workload.kind == "linear_circuit" and self.workload is not None:
            operations = circuit_operations(self.workload.content, limits.rows)
        return Usage(
            fuel=limits.fuel,
            memory_limit_bytes=limits.memory_bytes,
            bytes_up=limits.input_bytes,
            bytes_down=limits.output_bytes,
            homomorphic_operations=operations,
            royalty_runs=1 if self.workload is not None else 0,
        )

    @cached_property
    def quantities_max(self) -> Quantities:
        """The same in charged units."""
        return self.usage_max.quantities()

    def tariff(self, broker: Broker, offer: OfferStatement) -> Tariff:
        """All prices under one offer: the provider's, the market's, the owner's."""
        lines = role_lines("provider", offer.provider, offer.prices)
        lines += broker.tariff_lines
        if self.workload is not None:
            royalty = {RatingGroup.ROYALTY: self.workload.royalty_microcredits}
            lines += role_lines("owner", self.workload.owner, royalty)
        return _join_lines(lines)

    def hold_microcredits(self, tariff: Tariff) -> int | None:
        """What the limits could cost; at least one, so that there is a hold.

        Returns:
            Micro-credits, or None if it is more than the books can hold.
        """
        try:
            rating = rate(tariff, self.quantities_max)
        except TariffError:
            return None
        return max(rating.total_microcredits, 1)


@lru_cache(maxsize=LINES_KEPT_MAX)
def _join_lines(lines: tuple[TariffLine, ...]) -> Tariff:
    return Tariff(lines=lines)


@lru_cache(maxsize=4096)
def _parse_terms(openings: str) -> OrderTerms:
    return OrderTerms.from_openings(load_openings(openings))


def place(transaction: Transaction, broker: Broker, placement: Placement) -> bool:
    """Find a node for a job, hold the money and record the agreement.

    The job's row is changed accordingly; `decision` is kept in any case.

    Returns:
        False if no offer may take the job; then nothing was held.

    Raises:
        FundsError: The consumer cannot pay the hold.
    """
    job = placement.job
    decision = decide_placement(transaction, broker, placement)
    job.decision = decision.record.decode()
    job.updated_at_ms = transaction.now_ms
    if decision.chosen is None:
        return False
    _agree(transaction, broker, placement, decision, decision.chosen)
    return True


def decide_placement(
    transaction: Transaction, broker: Broker, placement: Placement
) -> Decision:
    """Judge all live offers for a job."""
    fleet, now_ms = broker.fleet, transaction.now_ms
    request = Request(
        consumer=placement.job.consumer,
        terms=placement.terms,
        runner=broker.runner,
        homomorphic_operations=placement.usage_max.homomorphic_operations,
        excluded_nodes=frozenset(json.loads(placement.job.excluded_nodes)),
        now_ms=now_ms,
    )
    candidates = [
        Candidate(
            offer=offer,
            digest=digest,
            silent_ms=fleet.silent_ms(offer.node, now_ms),
            jobs=fleet.jobs_of(offer.node),
            hold_microcredits=placement.hold_microcredits(
                placement.tariff(broker, offer)
            ),
        )
        for offer, digest in fleet.offers()
    ]
    return decide(request, candidates)


def hold_of(job_id: str, attempt: int) -> str:
    """The id of the transfer that holds an attempt's money, known before it is made."""
    return derived_identifier("hold", job_id, attempt)


def _agree(
    transaction: Transaction,
    broker: Broker,
    placement: Placement,
    decision: Decision,
    chosen: Candidate,
) -> None:
    job, offer = placement.job, chosen.offer
    hold_id = hold_of(job.job_id, job.attempt + 1)
    hold_microcredits = chosen.hold_microcredits
    assert hold_microcredits is not None, "the price rule refuses it"
    transaction.books.hold(
        hold_id,
        debit=wallet_of(job.consumer),
        credit=broker.clearing,
        amount_microcredits=hold_microcredits,
    )
    openings = conceal({"hold": hold_microcredits, "decision": decision.digest()})
    body = AgreementStatement(
        job_id=job.job_id,
        market=broker.market,
        consumer=job.pseudonym,
        provider=offer.provider,
        node=offer.node,
        order=sha256_text(job.order_entry),
        offer=chosen.digest,
        attempt=job.attempt + 1,
        tariff=placement.tariff(broker, offer),
        hold_transfer=hold_id,
        # The public name of the same wallet.
        debit=wallet_of(job.pseudonym),
        credit=broker.clearing,
        agreed_at_ms=transaction.now_ms,
        acceptance_timeout_ms=broker.terms.acceptance_timeout_ms,
    )
    statement = make_statement(body, openings).signed_by("market", broker.key)
    parties = [job.consumer, offer.provider, offer.node, broker.market]
    transaction.record(statement, parties=parties, openings=openings)
    job.state = JobState.PLACED
    job.attempt += 1
    job.node = offer.node
    job.agreement_entry = statement.entry
    job.agreement_openings = openings_text(openings)
    job.lease_expires_ms = (
        transaction.now_ms + PLACEMENT_LEASE_FACTOR * broker.terms.lease_ms
    )
    # The rest of this batch must see the node as busier already.
    transaction.at_once(
        lambda: broker.fleet.take(offer.node),
        undo=lambda: broker.fleet.give_back(offer.node),
    )
    transaction.announce(offer.node)
