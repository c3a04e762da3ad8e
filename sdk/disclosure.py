"""What a party shows of its records: any one of them, what they come to, or all.

The market keeps the openings of a party's records and hands them out. What is shown is
checked first, so that nobody vouches for a lie of the market's.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from ledger.audit.bill import check_amounts
from ledger.audit.checked_statement import check_openings, read_statement
from ledger.audit.disclosure_file import make_totals, record_line
from ledger.charging.tariff import Tariff
from ledger.commitments.pedersen import CommitmentOpening
from ledger.encoding import Json, canonical_json
from ledger.errors import LedgerError
from ledger.signing import PrivateKey
from ledger.statements.book_accounts import wallet_of
from ledger.statements.disclosure import Openings, opened_numbers
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    SliceStatement,
)
from ledger.statements.pseudonyms import pseudonym_key
from ledger.statements.statement import Statement
from sdk.errors import InputError, MarketAnswerError


class JobRecord(StrEnum):
    """A record of a job that conceals something."""

    ORDER = "order"
    """Whose job it is, what was to run on what, under which policy."""
    AGREEMENT = "agreement"
    """How much was held, and the decision's digest."""
    SLICE = "slice"
    """What was used, how it ended, and digests of input and result."""
    CHARGE = "charge"
    """What was paid, to each payee."""


JOB_RECORDS = tuple(JobRecord)

TotalOf = Literal["paid", "earned"]
"""What the account paid for its jobs, or what it was paid for those of others."""

_SUMMED = frozenset({"agreement", "slice", "charge"})


@dataclass(frozen=True)
class Choice:
    """What is to be shown; nothing by default."""

    jobs: Collection[str] = ()
    """Ids of jobs whose records are opened."""
    records: Collection[str] = JOB_RECORDS
    """Which records of those jobs."""
    total: TotalOf | None = None
    """A total over all charges."""
    is_everything: bool = False
    """Whether every record of the party is opened."""


def disclosure_lines(
    items: Iterable[Mapping[str, Any]], choice: Choice, key: PrivateKey
) -> Iterator[bytes]:
    """Make the lines of a disclosure file.

    Args:
        items: The party's disclosures, as the market lists them.
        choice: What to show of them.
        key: The party's; it stays here.

    Yields:
        Lines with their newlines, the totals last.

    Raises:
        InputError: Nothing was chosen, a job has no such records, or there is no
            charge to add up.
        MarketAnswerError: The market's openings do not fit its statements.
    """
    if not (choice.jobs or choice.total or choice.is_everything):
        raise InputError("Say what to show: a job, the total, or everything.")
    missing = set(choice.jobs)
    charges = _Charges(key, key.account_id if choice.total == "earned" else None)
    for item in items:
        kind, job_id = _name(item)
        is_chosen = job_id in choice.jobs and kind in choice.records
        is_shown = (choice.is_everything or is_chosen) and item["openings"]
        is_summed = choice.total is not None and kind in _SUMMED
        if not (is_shown or is_summed):
            continue
        statement, openings = _read(item)
        if is_shown:
            missing.discard(str(job_id))
            yield record_line(statement.digest, item["openings"])
        if is_summed:
            charges.take(statement, openings)
    if missing:
        raise InputError(f"The market has no such records of {', '.join(missing)}.")
    if choice.total is not None:
        if not charges.opened:
            raise InputError("There is no charge to add up.")
        for total in make_totals(charges.opened, charges.payee):
            yield total.to_line()


@dataclass
class _Charges:
    """Picks the amounts that a total adds up, and checks each as far as it can."""

    key: PrivateKey
    payee: str | None
    opened: list[tuple[str, CommitmentOpening]] = field(default_factory=list)
    tariffs: dict[str, Tariff] = field(default_factory=dict)
    """Of agreements that are not charged yet."""
    commitments: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Of slices that are not charged yet."""

    def take(self, statement: Statement, openings: Openings) -> None:
        body = statement.body
        if isinstance(body, AgreementStatement):
            self.tariffs[statement.digest] = body.tariff
        elif isinstance(body, SliceStatement):
            self.commitments[statement.digest] = statement.commitments
        elif isinstance(body, ChargeStatement):
            self._charge(statement.digest, body, openings)

    def _charge(self, digest: str, body: ChargeStatement, openings: Openings) -> None:
        tariff = self.tariffs.pop(body.agreement, None)
        commitments = self.commitments.pop(body.slice, None)
        place = self._place(body)
        if place is None:
            return
        name = f"amount.{place}"
        opening = opened_numbers(openings).get(name)
        if opening is None:
            raise MarketAnswerError("The market does not open a charge to its party.")
        # An owner of a workload sees neither agreement nor slice.
        if tariff is not None and commitments is not None:
            try:
                check_amounts(tariff, commitments, {name: opening})
            except LedgerError as error:
                raise _wrong(error) from error
        self.opened.append((digest, opening))

    def _place(self, body: ChargeStatement) -> int | None:
        """Where the party's own amount stands among those of a charge."""
        if self.payee is not None:
            wallet = wallet_of(self.payee)
            credits_ = [posting.credit for posting in body.postings]
            return credits_.index(wallet) if wallet in credits_ else None
        pseudonym = pseudonym_key(self.key, body.job_id).public.pseudonym_id
        is_payer = body.postings and body.postings[0].debit == wallet_of(pseudonym)
        return 0 if is_payer else None


def _name(item: Mapping[str, Any]) -> tuple[str, str | None]:
    """Kind and job of a record, not checked yet."""
    match item:
        case {
            "digest": str(),
            "openings": dict(),
            "statement": {"kind": str(kind), "body": dict(body)},
        }:
            job_id = body.get("jobId")
            return kind, job_id if isinstance(job_id, str) else None
    raise MarketAnswerError("A disclosure of the market is not in form.")


def _read(item: Mapping[str, Any]) -> tuple[Statement, Openings]:
    shown: Json = item["statement"]
    try:
        statement = read_statement(canonical_json(shown))
        openings = check_openings(statement, item["openings"])
    except LedgerError as error:
        raise _wrong(error) from error
    if statement.digest != item["digest"]:
        raise MarketAnswerError("The market opens another record than it shows.")
    return statement, openings


def _wrong(error: LedgerError) -> MarketAnswerError:
    return MarketAnswerError(f"What the market shows of a record is wrong: {error}")
