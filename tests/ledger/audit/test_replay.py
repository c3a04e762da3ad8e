"""What openings show: amounts, charges computed again, balances."""

from typing import Any

import pytest
from audited_market import QUANTITIES, AuditedMarket, fixed_key

from ledger.audit.checked_statement import check_openings, read_statement
from ledger.audit.errors import RuleError
from ledger.audit.history import History
from ledger.audit.replay import Replay
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.charging.tariff import RatingGroup
from ledger.statements.book_accounts import (
    clearing_of,
    development_credit_of,
    wallet_of,
)
from ledger.statements.disclosure import openings_json
from ledger.statements.pseudonyms import authorise


def replayed(market: AuditedMarket) -> AuditReport:
    """Replay all entries of a market with what was opened of them."""
    report = AuditReport()
    replay = Replay(report)
    history = History("ledger.example/test", market.entries.__getitem__)
    for index, entry in enumerate(market.entries):
        statement = read_statement(entry)
        context = history.take(index, statement)
        openings = market.openings.get(statement.digest, {})
        try:
            replay.take(statement, context, openings)
        except RuleError as error:
            report.add_problem(f"entry {index}", error.rule, str(error))
    try:
        replay.finish()
    except RuleError as error:
        report.add_problem("books", error.rule, str(error))
    return report


def rules(report: AuditReport) -> list[Rule]:
    return [problem.rule for problem in report.problems]


def wallet(report: AuditReport, name: str) -> tuple[int, int]:
    balance = report.balances[wallet_of(fixed_key(name).account_id)]
    return balance.posted_microcredits, balance.held_microcredits


def test_balances_are_replayed(market: AuditedMarket) -> None:
    market.run_job()
    job = market.order()
    market.agree(job)
    market.release(job)
    market.agree(job, hold=500)
    report = replayed(market)
    assert rules(report) == []
    assert report.charges_computed == 1
    assert (report.concealed, report.accounts_unknown) == (0, 0)
    assert wallet(report, "consumer") == (1_000_000 - 183, 500)
    assert wallet(report, "provider") == (76, 0)
    assert wallet(report, "market") == (7, 0)
    assert wallet(report, "owner") == (100, 0)
    account = fixed_key("market").account_id
    assert report.balances[clearing_of(account)].posted_microcredits == 0
    credit = report.balances[development_credit_of(account)]
    assert credit.to_json() == {
        "postedMicrocredits": -1_000_000,
        "heldMicrocredits": 0,
    }


def test_overdraft_by_holds_is_refused(market: AuditedMarket) -> None:
    for hold in (600_000, 400_000, 1):
        market.agree(market.order(price_max=10**6), hold=hold)
    report = replayed(market)
    assert rules(report) == [Rule.OVERDRAFT]
    assert "by 1 micro-credits" in report.problems[0].message
    assert report.problems[0].place == f"entry {len(market.entries) - 1}"


def test_charge_frees_the_rest_of_a_hold(market: AuditedMarket) -> None:
    market.top_up(1)
    job = market.order(price_max=10**7)
    market.agree(job, hold=1_000_001)
    market.use(job)
    market.charge(job)
    market.agree(market.order(price_max=10**7), hold=1_000_001 - 183)
    assert rules(replayed(market)) == []


def test_top_up_of_nothing_is_refused(market: AuditedMarket) -> None:
    market.top_up(0)
    assert rules(replayed(market)) == [Rule.BALANCE]


@pytest.mark.parametrize("hold", [0, -1, "1000", None])
def test_hold_of_no_amount_is_refused(market: AuditedMarket, hold: Any) -> None:
    market.agree(market.order(), hold=hold)
    assert rules(replayed(market)) == [Rule.BALANCE]


def test_hold_over_price_max_is_refused(market: AuditedMarket) -> None:
    market.agree(market.order(price_max=999), hold=1000)
    assert rules(replayed(market)) == [Rule.HOLD]


def test_price_max_of_no_amount_is_refused(market: AuditedMarket) -> None:
    market.agree(market.order(price_max="much"))
    assert rules(replayed(market)) == [Rule.BALANCE]


@pytest.mark.parametrize(
    "amounts",
    [{"amount.0": 182}, {"amount.3": 101}, {"amount.1": 75, "amount.2": 8}],
)
@pytest.mark.parametrize("is_usage_shown", [True, False])
def test_amounts_that_do_not_follow_are_refused(
    market: AuditedMarket, amounts: dict[str, int], *, is_usage_shown: bool
) -> None:
    job = market.order()
    market.agree(job)
    usage = market.use(job)
    market.charge(job, amounts=amounts)
    if not is_usage_shown:
        del market.openings[usage.digest]
    report = replayed(market)
    assert rules(report) == [Rule.RATING if is_usage_shown else Rule.OPENING]
    assert report.charges_computed == 0


def test_amount_of_nobody_is_refused(market: AuditedMarket) -> None:
    job = market.order()
    market.agree(job)
    usage = market.use(job)
    del market.openings[usage.digest]
    market.charge(job, amounts={"amount.4": 5})
    assert rules(replayed(market)) == [Rule.OPENING]


def test_charge_is_opened_without_its_slice(market: AuditedMarket) -> None:
    job = market.run_job()
    del market.openings[job.statements["slice"].digest]
    report = replayed(market)
    assert rules(report) == []
    assert (report.charges_rated, report.charges_computed) == (1, 0)
    assert wallet(report, "provider") == (76, 0)
    assert report.accounts_unknown == 0


def test_one_share_is_opened_alone(market: AuditedMarket) -> None:
    job = market.run_job()
    charge = job.statements["charge"].digest
    shown = {"amount.3": market.openings[charge]["amount.3"]}
    market.openings = {charge: shown}
    report = replayed(market)
    assert rules(report) == []
    assert report.opened == 0


def test_quantity_out_of_bounds_is_refused(market: AuditedMarket) -> None:
    job = market.order()
    market.agree(job)
    market.use(job, quantities={**QUANTITIES, RatingGroup.FUEL: 2**48 + 1})
    market.charge(job)
    assert rules(replayed(market)) == [Rule.RATING]


def test_invoices_are_of_accounts_not_of_pseudonyms(market: AuditedMarket) -> None:
    first, second = market.run_job(), market.run_job()
    assert first.pseudonym != second.pseudonym
    report = replayed(market)
    (account,) = report.invoices
    assert account == market.consumer.account_id
    assert report.invoices[account].to_json() == {
        "jobs": 2,
        "totalMicrocredits": 2 * 183,
        "byPayeeMicrocredits": {
            market.provider.account_id: 152,
            market.market.account_id: 14,
            market.owner.account_id: 200,
        },
    }


def test_unopened_pseudonym_hides_all_wallets(market: AuditedMarket) -> None:
    job = market.run_job()
    del market.openings[job.statements["order"].digest]
    report = replayed(market)
    assert rules(report) == []
    assert report.invoices == {}
    assert not any(name.endswith("/wallet") for name in report.balances)


def test_openings_swapped_between_records_are_refused(market: AuditedMarket) -> None:
    first, second = (market.run_job().statements["slice"] for _ in range(2))
    shown = openings_json(market.openings[second.digest])
    with pytest.raises(RuleError) as caught:
        check_openings(first, shown)
    assert caught.value.rule is Rule.OPENING


def test_account_must_have_signed_for_its_pseudonym(market: AuditedMarket) -> None:
    other = fixed_key("owner")
    for account in (
        authorise(other, "job_" + "9" * 20, "psn_" + "a" * 26),
        authorise(market.consumer, "job_" + "9" * 20, "psn_" + "a" * 26),
    ):
        statement = market.order(account=account).statements["order"]
        with pytest.raises(RuleError) as caught:
            check_openings(statement, openings_json(market.openings[statement.digest]))
        assert caught.value.rule is Rule.PSEUDONYM


def test_charge_over_hold_is_refused(market: AuditedMarket) -> None:
    job = market.order()
    market.agree(job, hold=182)
    market.use(job)
    market.charge(job)
    assert rules(replayed(market)) == [Rule.HOLD]


@pytest.mark.parametrize("kind", ["order", "agreement", "slice"])
def test_what_is_not_opened_is_not_judged(market: AuditedMarket, kind: str) -> None:
    job = market.run_job()
    del market.openings[job.statements[kind].digest]
    report = replayed(market)
    assert rules(report) == []
    assert (report.opened, report.concealed) == (3, 1)
    assert report.charges_computed == (0 if kind == "slice" else 1)


def test_accounts_not_fully_opened_are_unknown(market: AuditedMarket) -> None:
    job = market.run_job()
    for kind in ("slice", "charge"):
        del market.openings[job.statements[kind].digest]
    report = replayed(market)
    # Wallets of consumer and three payees, and the clearing.
    assert report.accounts_unknown == 5
    assert len(report.balances) == 1


def test_hidden_top_up_hides_no_overdraft_elsewhere(market: AuditedMarket) -> None:
    hidden = market.top_up(5)
    del market.openings[hidden.digest]
    market.register(fixed_key("other"))
    market.consumer = fixed_key("other")
    market.agree(market.order(price_max=10**6), hold=10)
    assert rules(replayed(market)) == [Rule.OVERDRAFT]


def test_openings_are_checked_against_digests(market: AuditedMarket) -> None:
    statement = market.top_up(5)
    shown = openings_json(market.openings[statement.digest])
    check_openings(statement, shown)
    for value in ([], {"amount": {"salt": "", "value": 5}}, {"amount": 5}, None):
        with pytest.raises(RuleError) as caught:
            check_openings(statement, value)
        assert caught.value.rule is Rule.OPENING
