"""A party shows one record, one total, or all: true, checked, and nothing else."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from checkers import read_statements

from ledger.audit.checked_statement import check_openings
from ledger.audit.disclosure_file import PlacedTotal, parse_total_line
from ledger.audit.errors import RuleError
from ledger.audit.openings_file import parse_openings_line
from ledger.audit.totals import TotalsCheck
from ledger.key_files import load_key
from ledger.signing import PrivateKey
from ledger.statements.kinds import (
    AgreementStatement,
    ChargeStatement,
    SliceStatement,
)
from ledger.statements.statement import Statement
from sdk import InputError, Market, MarketAnswerError
from sdk.disclosure import Choice, JobRecord, disclosure_lines


def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def bob(running) -> Iterator[Market]:
    with Market.open(running.url, key=PrivateKey.generate()) as market:
        market.top_up(100)
        yield market


@pytest.fixture
def provider(running, node) -> Iterator[Market]:
    with Market.open(running.url, key=node.provider.party.key) as market:
        yield market


@pytest.fixture
def log(running) -> Callable[[], list[Statement]]:
    return lambda: read_statements(running.context.database)


@pytest.fixture
def jobs(alice, bob, node) -> list[str]:
    """Three jobs of alice's, with one of bob's among them."""
    mine = alice.offload(sensitivity="public")(double)
    mine(1)
    first = mine.last.job_id
    bob.offload(sensitivity="public")(double)(2)
    mine.map([3, 4])
    return [first, *(job.job_id for job in mine.last_jobs)]


def opened(lines: list[bytes], log: list[Statement]) -> list[tuple[Statement, Any]]:
    """The records that lines open, each checked against the log."""
    by_digest = {statement.digest: statement for statement in log}
    parsed = [parse_openings_line(line) for line in lines]
    return [
        (
            statement := by_digest[line.digest],
            check_openings(statement, line.openings),
        )
        for line in parsed
    ]


def judge(line: bytes, log: list[Statement]) -> RuleError | None:
    """Check a total against the log alone."""
    check = TotalsCheck([PlacedTotal("line 1", parse_total_line(line))])
    by_digest = {statement.digest: statement for statement in log}
    for statement in log:
        if isinstance(body := statement.body, ChargeStatement):
            agreement = by_digest[body.agreement].body
            assert isinstance(agreement, AgreementStatement)
            commitments = by_digest[body.slice].commitments
            check.take(statement.digest, agreement.tariff, commitments)
    ((_, error),) = check.results()
    return error


def test_one_job_is_opened_and_no_other(alice, jobs, log) -> None:
    lines = list(alice.disclose(jobs=[jobs[1]]))
    found = opened(lines, log())
    assert [statement.kind for statement, _ in found] == list(JobRecord)
    assert {statement.body.job_id for statement, _ in found} == {jobs[1]}
    total = alice.job(jobs[1])["sliceOpenings"]["quantity.fuel"]["value"]
    assert found[2][1]["quantity.fuel"].value == total
    text = b"".join(lines)
    assert all(job_id.encode() not in text for job_id in jobs)


def test_one_record_is_opened_and_no_other(alice, jobs, log) -> None:
    lines = list(alice.disclose(jobs=jobs[:1], records=[JobRecord.CHARGE]))
    ((statement, openings),) = opened(lines, log())
    assert (statement.kind, statement.body.job_id) == ("charge", jobs[0])
    assert openings["amount.0"].value > 0
    assert alice.account_id.encode() not in lines[0]


def test_total_is_proved_and_nothing_else_shown(alice, jobs, log) -> None:
    (line,) = alice.disclose(total="paid")
    assert judge(line, log()) is None
    total = parse_total_line(line)
    assert total.payee is None
    assert total.opening.value == alice.invoice()["totalMicrocredits"]
    charges = [
        statement.digest
        for statement in log()
        if isinstance(statement.body, ChargeStatement) and statement.body.job_id in jobs
    ]
    assert list(total.charges) == charges
    assert alice.account_id.encode() not in line
    for item in alice.disclosures():
        for opening in item["openings"].values():
            secret = opening.get("blinding") or opening["salt"]
            assert secret.encode() not in line


def test_provider_proves_its_earnings(provider, jobs, log) -> None:
    (line,) = provider.disclose(total="earned")
    assert judge(line, log()) is None
    total = parse_total_line(line)
    assert total.payee == provider.account_id
    by_node = provider.earnings()["byNode"].values()
    assert total.opening.value == sum(row["earnedMicrocredits"] for row in by_node)
    (record,) = provider.disclose(jobs=jobs[:1], records=[JobRecord.SLICE])
    ((statement, _),) = opened([record], log())
    assert isinstance(statement.body, SliceStatement)


def test_owner_proves_its_royalties(alice, bob, node, log) -> None:
    workload_id = bob.publish_circuit(
        "a model", weights=[[1.0, 2.0]], bias=[0.5], royalty_microcredits=700
    )
    scorer = alice.scorer(workload_id, sensitivity="restricted")
    for _ in range(2):
        scorer([[1.0, 2.0]])
    (line,) = bob.disclose(total="earned")
    assert judge(line, log()) is None
    total = parse_total_line(line)
    assert (total.opening.value, total.payee) == (1_400, bob.account_id)
    # The owner sees its own share of a job and nothing else of it.
    (record,) = bob.disclose(jobs=[scorer.last.job_id])
    assert list(parse_openings_line(record).openings) == ["amount.3"]
    assert judge(line.replace(b":1400", b":1401"), log()) is not None


def test_what_is_paid_and_what_is_earned_are_apart(running, node, log) -> None:
    with Market.open(running.url, key=node.provider.party.key) as both:
        both.top_up(1)
        own = both.offload(sensitivity="public")(double)
        own(1)
        (paid,) = both.disclose(total="paid")
        assert parse_total_line(paid).opening.value == own.last.total_microcredits
        assert len(parse_total_line(paid).charges) == 1
        assert judge(paid, log()) is None


def test_everything_is_all_that_conceals_something(alice, jobs, log) -> None:
    lines = list(alice.disclose(everything=True))
    kinds = [statement.kind for statement, _ in opened(lines, log())]
    assert kinds.count("top_up") == 1
    assert len(kinds) == 1 + 4 * len(jobs)


def test_nothing_is_shown_unless_it_is_chosen(alice, bob, jobs, node) -> None:
    with pytest.raises(InputError, match="Say what"):
        list(alice.disclose())
    with pytest.raises(InputError, match=jobs[0]):
        list(bob.disclose(jobs=[jobs[0]]))
    with pytest.raises(InputError, match="no charge"):
        list(alice.disclose(total="earned"))
    with pytest.raises(InputError, match="An id"):
        list(alice.disclose(jobs=["../balance"]))


def change_value(items: dict[str, Any], _: object) -> None:
    items["charge"]["openings"]["amount.0"]["value"] += 1


def change_share(items: dict[str, Any], _: object) -> None:
    items["slice"]["openings"]["quantity.fuel"]["value"] += 1


def drop_amount(items: dict[str, Any], _: object) -> None:
    del items["charge"]["openings"]["amount.0"]


def open_as_text(items: dict[str, Any], _: object) -> None:
    items["charge"]["openings"]["amount.0"] = {"salt": "AAAA", "value": 1}


def show_another_charge(items: dict[str, Any], others: dict[str, Any]) -> None:
    items["charge"]["openings"] = others["charge"]["openings"]


def rename(items: dict[str, Any], others: dict[str, Any]) -> None:
    items["charge"]["digest"] = others["charge"]["digest"]


def swap_slices(items: dict[str, Any], others: dict[str, Any]) -> None:
    for name in ("statement", "openings"):
        items["slice"][name] = others["slice"][name]


def change_prices(items: dict[str, Any], _: object) -> None:
    lines = items["agreement"]["statement"]["body"]["tariff"]["lines"]
    lines[0]["priceMicrocredits"] += 1


def garble(items: dict[str, Any], _: object) -> None:
    items["slice"]["statement"] = 7


LIES = [
    change_value,
    change_share,
    drop_amount,
    open_as_text,
    show_another_charge,
    rename,
    swap_slices,
    change_prices,
    garble,
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_openings_that_do_not_fit_are_never_passed_on(
    alice, key_path, jobs, lie
) -> None:
    items = list(alice.disclosures())

    def of_job(job_id: str, among: list[Any]) -> dict[str, Any]:
        return {
            item["kind"]: item
            for item in among
            if item["statement"]["body"].get("jobId") == job_id
        }

    lied = copy.deepcopy(items)
    lie(of_job(jobs[0], lied), of_job(jobs[1], items))
    assert json.dumps(lied) != json.dumps(items)
    choice = Choice(jobs=jobs, total="paid")
    key = load_key(key_path)
    assert list(disclosure_lines(items, choice, key))
    with pytest.raises(MarketAnswerError):
        list(disclosure_lines(lied, choice, key))
