"""What opens a party's statements: its own, whole, checkable, in bounded answers."""

from typing import Any

from parties import Consumer, Party, Provider

from ledger.audit.bill import check_amounts
from ledger.audit.checked_statement import check_openings, read_account
from ledger.encoding import canonical_json
from ledger.statements.disclosure import verify_blindings
from ledger.statements.kinds import AgreementStatement, ChargeStatement, OrderStatement
from ledger.statements.pseudonyms import pseudonym_key, record_key
from ledger.statements.statement import Statement, parse_statement, verify_signatures
from market.billing import service


def disclosures(party: Party) -> list[Any]:
    """All of them, page by page."""
    items: list[Any] = []
    while True:
        after = items[-1]["index"] if items else -1
        page = party.get("/billing/v0.1/disclosures", after=after)["disclosures"]
        if not page:
            return items
        items += page


def run_once(consumer: Consumer, provider: Provider) -> str:
    order = consumer.make_order()
    consumer.place(order)
    provider.work()
    consumer.settle(order.job_id)
    return order.job_id


def of_job(party: Party, job_id: str) -> dict[str, tuple[Statement, Any]]:
    """Statements and openings of one job, by kind, each checked."""
    found = {}
    for item in disclosures(party):
        statement = parse_statement(canonical_json(item["statement"]))
        assert (statement.digest, statement.kind) == (item["digest"], item["kind"])
        if getattr(statement.body, "job_id", None) == job_id:
            verify_signatures(statement)
            openings = check_openings(statement, item["openings"])
            found[statement.kind] = (statement, openings)
    return found


def test_consumer_can_open_all_of_its_job(consumer, provider) -> None:
    job_id = run_once(consumer, provider)
    found = of_job(consumer, job_id)
    assert list(found) == ["order", "agreement", "slice", "charge"]
    order, opened = found["order"]
    assert isinstance(order.body, OrderStatement)
    assert read_account(order.body, opened) == consumer.account_id
    pseudonym = pseudonym_key(consumer.key, job_id).public.pseudonym_id
    assert order.body.consumer == pseudonym
    for statement, openings in found.values():
        concealed = {*statement.private, *statement.commitments}
        assert concealed <= openings.keys()
        assert consumer.account_id.encode() not in statement.entry


def test_record_key_opens_the_slice_again(consumer, provider) -> None:
    job_id = run_once(consumer, provider)
    usage, openings = of_job(consumer, job_id)["slice"]
    secret = record_key(consumer.key, job_id)
    verify_blindings(openings, secret, usage.body.agreement, 0)


def test_provider_sees_all_of_a_job_but_whose_it_is(consumer, provider) -> None:
    job_id = run_once(consumer, provider)
    found = of_job(provider.party, job_id)
    assert list(found) == ["agreement", "slice", "charge"]
    assert found["slice"][1] == of_job(consumer, job_id)["slice"][1]
    items = disclosures(provider.party)
    assert consumer.account_id.encode() not in canonical_json(items)


def test_amounts_follow_from_the_slice(consumer, provider) -> None:
    found = of_job(consumer, run_once(consumer, provider))
    (agreement, _), (usage, _), (charge, amounts) = (
        found[kind] for kind in ("agreement", "slice", "charge")
    )
    assert isinstance(agreement.body, AgreementStatement)
    assert isinstance(charge.body, ChargeStatement)
    assert not charge.commitments
    check_amounts(agreement.body.tariff, usage.commitments, amounts)
    # 5 Mfuel and one MiB-Gfuel at 2; the market has 1 for the fuel.
    assert [amount.value for amount in amounts.values()] == [17, 12, 5]
    assert len(charge.body.postings) == 3


def test_answer_is_bounded_in_bytes(consumer, provider, monkeypatch) -> None:
    run_once(consumer, provider)
    whole = disclosures(consumer)
    monkeypatch.setattr(service, "ANSWER_BYTES_MAX", 1)
    (item,) = consumer.get("/billing/v0.1/disclosures")["disclosures"]
    assert item == whole[0]
    assert disclosures(consumer) == whole


def test_order_shows_nobody_else_who_signed(consumer, provider) -> None:
    job_id = run_once(consumer, provider)
    order, _ = of_job(consumer, job_id)["order"]
    assert order.signatures[0].public_key.pseudonym_id == order.body.consumer
    assert consumer.key.public.text.encode() not in order.entry
