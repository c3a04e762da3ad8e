"""Orders: what a consumer signs for one job (step 3 of the life of a job).

The public part says who orders and when. What, on which data and under which policy
is private: the log gets salted digests, the market and the node the openings.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from pydantic import ValidationError

from ledger.charging.tariff import Quantities, Tariff, TariffLine, rate
from ledger.document import describe_validation
from ledger.encoding import Json, encode_base64, parse_json, sha256_text
from ledger.identifiers import new_identifier
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.metering.usage import Usage
from ledger.signing import PrivateKey
from ledger.statements.disclosure import Openings, conceal, openings_json
from ledger.statements.kinds import OrderStatement
from ledger.statements.order_terms import (
    DataPolicy,
    JobLimits,
    OrderTerms,
    Recipient,
    WorkloadReference,
)
from ledger.statements.pseudonyms import authorise, pseudonym_key, record_key
from ledger.statements.statement import Statement, make_statement
from sdk.errors import InputError


@dataclass(frozen=True)
class Draft:
    """What is to be ordered, before it has an id and a signature."""

    workload: WorkloadReference
    policy: DataPolicy
    limits: JobLimits
    price_max_microcredits: int
    source: str | None = None
    """Text of the source, if that is what runs."""
    input: bytes | None = None
    """The input payload; None where it is sealed only later."""
    recipient: Recipient | None = None
    operations: int = 0
    """Homomorphic operations that the job takes, known beforehand."""
    royalty: TariffLine | None = None
    """What the owner of a published workload gets for the run."""


@dataclass(frozen=True)
class Order:
    """A signed order with what belongs to it."""

    draft: Draft
    statement: Statement
    openings: Openings
    key: PrivateKey
    """Of the pseudonym under which the consumer appears in this job's records."""
    record_key: bytes
    """Blinds the numbers of the job's records."""

    @property
    def body(self) -> OrderStatement:
        """The public part."""
        return cast("OrderStatement", self.statement.body)

    @property
    def job_id(self) -> str:
        """The job that it orders."""
        return self.body.job_id

    @property
    def protection(self) -> str:
        """How it is to run."""
        return self.draft.policy.protection

    @cached_property
    def quantities_max(self) -> Quantities:
        """The most that the limits allow, in units of each rating group."""
        draft = self.draft
        usage = Usage(
            fuel=draft.limits.fuel,
            memory_limit_bytes=draft.limits.memory_bytes,
            bytes_up=draft.limits.input_bytes,
            bytes_down=draft.limits.output_bytes,
            homomorphic_operations=draft.operations,
            royalty_runs=0 if draft.royalty is None else 1,
        )
        return usage.quantities()

    def hold_microcredits(self, tariff: Tariff) -> int:
        """What a market must hold for this order under a tariff."""
        return max(rate(tariff, self.quantities_max).total_microcredits, 1)

    def to_item(self, payload: dict[str, Json] | None) -> dict[str, Json]:
        """The order as a batch carries it.

        Args:
            payload: The input as `send_payload` describes it, if there is one.
        """
        return {
            "order": statement_json(self.statement),
            "openings": openings_json(self.openings),
            "recordKey": encode_base64(self.record_key),
            "source": self.draft.source,
            "input": payload,
        }


def sign_order(draft: Draft, *, key: PrivateKey, now_ms: int) -> Order:
    """Make a draft an order of this key's account, under a pseudonym of its own.

    Args:
        draft: What to order.
        key: The consumer's.
        now_ms: The market takes orders that are at most five minutes off its clock.
    """
    job_id = new_identifier("job")
    pseudonym = pseudonym_key(key, job_id)
    terms = OrderTerms(
        account=authorise(key, job_id, pseudonym.public.pseudonym_id),
        workload=draft.workload,
        data_policy=draft.policy,
        limits=draft.limits,
        input=None if draft.input is None else sha256_text(draft.input),
        price_max=draft.price_max_microcredits,
        recipient=draft.recipient,
    )
    openings = conceal(cast("dict[str, Json]", terms.private_values()))
    body = OrderStatement(
        job_id=job_id, consumer=pseudonym.public.pseudonym_id, ordered_at_ms=now_ms
    )
    statement = make_statement(body, openings).signed_by("consumer", pseudonym)
    return Order(draft, statement, openings, pseudonym, record_key(key, job_id))


def job_limits(
    *,
    input_bytes: int,
    output_bytes: int,
    time_ms: int,
    fuel: int = 0,
    memory_bytes: int = 0,
    rows: int = 0,
) -> JobLimits:
    """The limits of an order.

    Raises:
        InputError: One is out of the bounds that every market keeps.
    """
    try:
        return JobLimits(
            fuel=fuel,
            memory_bytes=memory_bytes,
            time_ms=time_ms,
            input_bytes=input_bytes,
            output_bytes=output_bytes,
            rows=rows,
        )
    except ValidationError as error:
        raise InputError(f"Limits of a job: {describe_validation(error)}.") from error


def statement_json(statement: Statement) -> Json:
    """A statement as a request carries it."""
    return parse_json(statement.entry, size_max=STATEMENT_BYTES_MAX)
