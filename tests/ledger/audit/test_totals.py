"""A total stands or falls by the log: one thing changed, and it does not hold."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from audited_market import QUANTITIES, AuditedMarket, MadeJob
from pydantic import TypeAdapter

from ledger.audit.disclosure_file import OpenedTotal, PlacedTotal, make_totals
from ledger.audit.errors import RuleError
from ledger.audit.rules import Rule
from ledger.audit.totals import TotalsCheck, TotalState
from ledger.charging.committed import open_amounts
from ledger.charging.tariff import RatingGroup, Tariff
from ledger.commitments.group import ORDER
from ledger.commitments.pedersen import CommitmentOpening
from ledger.statements.disclosure import opened_numbers
from ledger.statements.kinds import AgreementStatement

USED = [QUANTITIES, {RatingGroup.FUEL: 1}, {}]
DUE = [
    # Fuel at 11, a royalty of 100, kibibytes up at 3.
    7 * 11 + 2 * 3 + 100,
    11,
    0,
]


def run(market: AuditedMarket, quantities: dict[RatingGroup, int]) -> MadeJob:
    job = market.order()
    market.agree(job)
    market.use(job, quantities=quantities)
    market.charge(job, quantities=quantities)
    return job


@pytest.fixture(scope="module")
def market() -> AuditedMarket:
    return AuditedMarket().begin()


@pytest.fixture(scope="module")
def jobs(market: AuditedMarket) -> list[MadeJob]:
    return [run(market, quantities) for quantities in USED]


def tariff_of(job: MadeJob) -> Tariff:
    agreement = job.statements["agreement"].body
    assert isinstance(agreement, AgreementStatement)
    return agreement.tariff


def charge_of(job: MadeJob) -> str:
    return job.statements["charge"].digest


def total_of(
    jobs: Sequence[MadeJob], payee: str | None = None, *, place: int = 0
) -> OpenedTotal:
    opened = (
        (
            charge_of(job),
            open_amounts(tariff_of(job), opened_numbers(job.used))[f"amount.{place}"],
        )
        for job in jobs
    )
    (total,) = make_totals(opened, payee)
    return total


def feed(check: TotalsCheck, jobs: Sequence[MadeJob]) -> None:
    for job in jobs:
        commitments = job.statements["slice"].commitments
        check.take(charge_of(job), tariff_of(job), commitments)


def judge(jobs: Sequence[MadeJob], *totals: OpenedTotal) -> list[RuleError | None]:
    check = TotalsCheck([PlacedTotal("shown line 1", total) for total in totals])
    feed(check, jobs)
    return [error for _, error in check.results()]


def test_true_totals_hold(market, jobs) -> None:
    provider, owner = market.provider.account_id, market.owner.account_id
    totals = [
        total_of(jobs),
        total_of(jobs[:1]),
        total_of(jobs[1:]),
        total_of(jobs, provider, place=1),
        total_of(jobs, market.market.account_id, place=2),
        total_of(jobs, owner, place=3),
    ]
    assert [total.opening.value for total in totals] == [
        sum(DUE),
        DUE[0],
        DUE[1],
        7 * 10 + 2 * 3 + 10,
        8,
        100,
    ]
    assert judge(jobs, *totals) == [None] * len(totals)


def test_other_charges_of_the_log_change_nothing(market, jobs) -> None:
    assert judge([*jobs, run(market, QUANTITIES)], total_of(jobs)) == [None]


def test_no_totals_are_no_work(jobs) -> None:
    assert judge(jobs) == []


def spoiled(total: OpenedTotal, payee: str) -> dict[str, OpenedTotal]:
    value, blinding = total.opening
    return {
        "more": replace(total, opening=CommitmentOpening(value + 1, blinding)),
        "less": replace(total, opening=CommitmentOpening(value - 1, blinding)),
        "blinding": replace(
            total, opening=CommitmentOpening(value, (blinding + 1) % ORDER)
        ),
        "nothing": replace(total, opening=CommitmentOpening(0, 0)),
        "one charge less": replace(total, charges=total.charges[1:]),
        "of a payee": replace(total, payee=payee),
        "of a stranger": replace(total, payee="acc_" + "a" * 26),
    }


@pytest.mark.parametrize(
    "spoil", list(spoiled(OpenedTotal(["A"], None, CommitmentOpening(1, 1)), ""))
)
def test_total_with_one_thing_changed_is_refused(market, jobs, spoil) -> None:
    total = spoiled(total_of(jobs), market.provider.account_id)[spoil]
    good = total_of(jobs)
    error, none = judge(jobs, total, good)
    assert error is not None
    assert error.rule is Rule.TOTAL
    assert none is None


def test_charge_that_is_not_in_the_log_is_named(jobs) -> None:
    for missing in range(len(jobs)):
        present = [job for job in jobs if job is not jobs[missing]]
        (error,) = judge(present, total_of(jobs))
        assert error is not None
        assert error.rule is Rule.TOTAL
        assert charge_of(jobs[missing]) in str(error)


def test_slice_of_another_job_does_not_add_up(jobs) -> None:
    check = TotalsCheck([PlacedTotal("shown line 1", total_of(jobs))])
    first, second = (job.statements["slice"].commitments for job in jobs[:2])
    swapped = first | {"quantity.fuel": second["quantity.fuel"]}
    check.take(charge_of(jobs[0]), tariff_of(jobs[0]), swapped)
    feed(check, jobs[1:])
    ((_, error),) = check.results()
    assert error is not None


def test_job_that_nobody_charges_for_pays_nobody(jobs) -> None:
    check = TotalsCheck([PlacedTotal("shown line 1", total_of(jobs[:1]))])
    check.take(charge_of(jobs[0]), Tariff(lines=()), {})
    ((_, error),) = check.results()
    assert "nothing" in str(error)


def test_check_goes_on_from_its_state(jobs) -> None:
    states = TypeAdapter(list[TotalState])
    totals = [
        PlacedTotal("line 1", total_of(jobs)),
        PlacedTotal("line 2", total_of(jobs[:1])),
    ]
    for stopped in range(len(jobs) + 1):
        first = TotalsCheck(totals)
        feed(first, jobs[:stopped])
        state = states.validate_json(states.dump_json(first.state), strict=True)
        second = TotalsCheck(totals, state)
        feed(second, jobs[stopped:])
        assert [error for _, error in second.results()] == [None, None]
