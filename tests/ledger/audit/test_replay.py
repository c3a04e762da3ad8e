"""What openings show: amounts, charges computed again, balances."""

from typing import Any

import pytest
from audited_market import QUANTITIES, AuditedMarket, fixed_key

from ledger.audit.bill import opened_values
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


def replayed(market: AuditedMarket) -> AuditReport:
    """Replay all entries of a market with what was opened of them."""
    report = AuditReport()
    replay = Replay(report)
    history = History("ledger.example/test", market.entries.__getitem__)
    for index, entry in enumerate(market.entries):
        statement = read_statement(entry)
        agreement = history.take(index, statement)
        values = opened_values(market.openings.get(statement.digest, {}))
        try:
            replay.take(statement.body, agreement, values)
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


@pytest.mark.parametrize("amount", [0, -5, True, "5", None])
def test_top_up_of_no_amount_is_refused(market: AuditedMarket, amount: Any) -> None:
    market.top_up(amount)
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
    ("amounts", "expected"),
    [
        ({"total": 182}, [Rule.RATING]),
        # More is passed on than was paid: the clearing is overdrawn, too.
        ({"amount.0": 182}, [Rule.RATING, Rule.BALANCE]),
        ({"amount.1": 75}, [Rule.RATING, Rule.BALANCE]),
        ({"amount.3": 101}, [Rule.RATING, Rule.BALANCE]),
        # The sum is right, the shares are not.
        ({"amount.1": 75, "amount.2": 8}, [Rule.RATING]),
        ({"amount.1": 0}, [Rule.BALANCE, Rule.BALANCE]),
    ],
)
def test_charge_that_is_not_rated_is_refused(
    market: AuditedMarket, amounts: dict[str, Any], expected: list[Rule]
) -> None:
    job = market.order()
    market.agree(job)
    market.use(job)
    market.charge(job, amounts=amounts)
    report = replayed(market)
    assert rules(report) == expected
    assert report.charges_computed == 0


def test_overdrawn_clearing_is_found_without_tariff_check(
    market: AuditedMarket,
) -> None:
    """Even where the usage is not shown, no money comes out of nowhere."""
    job = market.order()
    market.agree(job)
    usage = market.use(job)
    del market.openings[usage.digest]
    market.charge(job, amounts={"amount.3": 101})
    assert rules(replayed(market)) == [Rule.OVERDRAFT, Rule.BALANCE]


def test_quantity_of_no_number_is_refused(market: AuditedMarket) -> None:
    job = market.order()
    market.agree(job)
    market.use(job, quantities={**QUANTITIES, RatingGroup.FUEL: "7"})
    assert rules(replayed(market)) == [Rule.RATING]


def test_charge_over_hold_is_refused(market: AuditedMarket) -> None:
    job = market.order()
    market.agree(job, hold=182)
    market.use(job)
    market.charge(job)
    assert rules(replayed(market)) == [Rule.HOLD]


@pytest.mark.parametrize("kind", ["order", "agreement", "slice", "charge"])
def test_what_is_not_opened_is_not_judged(market: AuditedMarket, kind: str) -> None:
    job = market.run_job()
    del market.openings[job.statements[kind].digest]
    report = replayed(market)
    assert rules(report) == []
    assert report.concealed == 1
    assert report.opened == 4
    assert report.charges_computed == (1 if kind == "order" else 0)


def test_accounts_not_fully_opened_are_unknown(market: AuditedMarket) -> None:
    job = market.run_job()
    del market.openings[job.statements["charge"].digest]
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
    shown = {
        name: item.to_json() for name, item in market.openings[statement.digest].items()
    }
    check_openings(statement, shown)
    for value in ([], {"amount": {"salt": "", "value": 5}}, {"amount": 5}, None):
        with pytest.raises(RuleError) as caught:
            check_openings(statement, value)
        assert caught.value.rule is Rule.OPENING
