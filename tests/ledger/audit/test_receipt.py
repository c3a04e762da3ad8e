"""A receipt is believed only if every byte of it is as it was written."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from audited_market import (
    ACCEPTANCE_TIMEOUT_MS,
    START_MS,
    AuditedMarket,
    MadeJob,
    WrittenMarket,
    fixed_key,
)

from ledger.audit.errors import ReceiptError
from ledger.audit.receipt import VerifiedReceipt, make_receipt, verify_receipt
from ledger.audit.rules import Rule
from ledger.charging.tariff import RatingGroup, Tariff
from ledger.encoding import canonical_json
from ledger.log.note import Signer
from ledger.log.proof import parse_proof
from ledger.statements.book_accounts import wallet_of
from ledger.statements.kinds import ChargeStatement
from ledger.statements.pseudonyms import authorise


def verify(written: WrittenMarket, data: bytes) -> VerifiedReceipt:
    return verify_receipt(data, written.market.signer.verifier)


def refusal(written: WrittenMarket, data: bytes) -> ReceiptError:
    with pytest.raises(ReceiptError) as caught:
        verify(written, data)
    assert caught.value.code == "LEDGER.RECEIPT"
    assert str(caught.value)[0].isupper()
    return caught.value


def published(written: WrittenMarket, job: MadeJob) -> bytes:
    written.publish()
    return written.receipt(job)


def extra_changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    """The receipt with its extra data changed, and canonical as before."""
    proof = parse_proof(data)
    assert proof.extra is not None
    extra = json.loads(proof.extra)
    change(extra)
    return type(proof)(
        proof.index, proof.path, proof.checkpoint_note, canonical_json(extra)
    ).encode()


def test_true_receipt_is_verified(written: WrittenMarket) -> None:
    market = written.market
    job = market.run_job()
    receipt = verify(written, published(written, job))
    assert receipt.job_id == job.job_id
    assert receipt.consumer == job.pseudonym
    assert receipt.account == market.consumer.account_id
    assert receipt.provider == market.provider.account_id
    assert receipt.node == market.node.node_id
    assert receipt.market == market.market.account_id
    assert receipt.quantities[RatingGroup.FUEL] == 7
    assert receipt.hold_microcredits == 1000
    assert receipt.total_microcredits == 7 * 11 + 2 * 3 + 100
    assert receipt.by_payee_microcredits == {
        market.provider.account_id: 76,
        market.market.account_id: 7,
        market.owner.account_id: 100,
    }
    assert receipt.outcome == "succeeded"
    assert (receipt.index, receipt.checkpoint_size) == (10, 11)
    assert receipt.charge_entry == job.statements["charge"].entry
    assert receipt.to_json()["totalMicrocredits"] == 183
    assert "that consumer, node and market signed" in receipt.meaning
    assert "it does not prove" in receipt.meaning


def test_receipt_without_order_openings_is_verified(written: WrittenMarket) -> None:
    job = written.market.run_job()
    del written.market.openings[job.statements["order"].digest]
    receipt = verify(written, published(written, job))
    assert (receipt.account, receipt.total_microcredits) == (None, 183)


def test_charge_of_nothing_is_verified(written: WrittenMarket) -> None:
    market = written.market
    job = market.order()
    market.agree(job)
    market.use(job, quantities={})
    market.charge(job, quantities={})
    receipt = verify(written, published(written, job))
    assert receipt.total_microcredits == 0
    assert set(receipt.by_payee_microcredits.values()) == {0}


def test_timeout_is_verified_and_said(written: WrittenMarket) -> None:
    market = written.market
    job = market.order()
    market.agree(job)
    market.use(job, countersigned=False)
    in_time_ms = START_MS + 10 + ACCEPTANCE_TIMEOUT_MS
    market.charge(job, acceptance="timeout", charged_at_ms=in_time_ms)
    receipt = verify(written, published(written, job))
    assert receipt.acceptance == "timeout"
    assert "let the agreed time run out" in receipt.meaning


@pytest.mark.parametrize(
    ("countersigned", "acceptance", "charged_at_ms"),
    [
        (False, "countersigned", START_MS + 20),
        (True, "timeout", START_MS + 10 + ACCEPTANCE_TIMEOUT_MS),
        (False, "timeout", START_MS + 9 + ACCEPTANCE_TIMEOUT_MS),
    ],
)
def test_wrong_acceptance_is_refused(
    written: WrittenMarket, *, countersigned: bool, acceptance: str, charged_at_ms: int
) -> None:
    market = written.market
    job = market.order()
    market.agree(job)
    market.use(job, countersigned=countersigned)
    market.charge(job, acceptance=acceptance, charged_at_ms=charged_at_ms)
    assert refusal(written, published(written, job)).rule is Rule.ACCEPTANCE


def test_early_slice_does_not_shorten_timeout(written: WrittenMarket) -> None:
    """A node that dates its slice back gains nothing."""
    market = written.market
    job = market.order()
    market.agree(job)
    market.use(job, countersigned=False, finished_at_ms=0)
    market.charge(job, acceptance="timeout", charged_at_ms=START_MS + 20)
    assert refusal(written, published(written, job)).rule is Rule.ACCEPTANCE


@pytest.mark.slow
def test_each_changed_byte_is_refused(written: WrittenMarket) -> None:
    data = published(written, written.market.run_job())
    proof = parse_proof(data)
    assert proof.extra is not None
    # The extra data is long; what is inside of it has its turn below.
    head = data.index(b"index ")
    places = [*range(0, head, 8), *range(head, len(data))]
    for place in places:
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        refusal(written, changed)


@pytest.mark.slow
def test_changed_byte_of_extra_is_refused(written: WrittenMarket) -> None:
    proof = parse_proof(published(written, written.market.run_job()))
    assert proof.extra is not None
    for place in range(0, len(proof.extra), 4):
        extra = bytearray(proof.extra)
        extra[place] ^= 1
        changed = type(proof)(
            proof.index, proof.path, proof.checkpoint_note, bytes(extra)
        )
        refusal(written, changed.encode())


@pytest.mark.parametrize("data", [b"", b"receipt", b"\xff" * 100, b"\n\n", b"[" * 999])
def test_garbage_is_refused(written: WrittenMarket, data: bytes) -> None:
    assert refusal(written, data).rule is Rule.RECEIPT_PROOF


def test_other_key_is_refused(written: WrittenMarket) -> None:
    data = published(written, written.market.run_job())
    other = Signer(written.market.signer.verifier.name, fixed_key("other"))
    with pytest.raises(ReceiptError) as caught:
        verify_receipt(data, other.verifier)
    assert caught.value.rule is Rule.CHECKPOINT


def test_bare_proof_is_no_receipt(written: WrittenMarket) -> None:
    published(written, written.market.run_job())
    assert refusal(written, written.log.prove(3).encode()).rule is Rule.RECEIPT_FORM


def test_other_index_is_refused(written: WrittenMarket) -> None:
    proof = parse_proof(published(written, written.market.run_job()))
    moved = type(proof)(proof.index - 1, proof.path, proof.checkpoint_note, proof.extra)
    assert refusal(written, moved.encode()).rule is Rule.RECEIPT_PROOF


@pytest.mark.parametrize("kind", ["order", "agreement", "slice", "charge"])
def test_statement_of_other_job_is_refused(written: WrittenMarket, kind: str) -> None:
    job, other = written.market.run_job(), written.market.run_job()
    written.publish()
    data = written.receipt(job, **{kind: other.statements[kind]})
    rule = Rule.RECEIPT_PROOF if kind == "charge" else Rule.REFERENCE
    assert refusal(written, data).rule is rule


def test_statements_out_of_order_are_refused(written: WrittenMarket) -> None:
    data = published(written, written.market.run_job())
    swapped = extra_changed(data, lambda extra: extra["statements"].reverse())
    assert refusal(written, swapped).rule is Rule.RECEIPT_FORM


def test_other_version_is_refused(written: WrittenMarket) -> None:
    data = published(written, written.market.run_job())
    changed = extra_changed(data, lambda extra: extra.update(version=2))
    assert refusal(written, changed).rule is Rule.RECEIPT_FORM


@pytest.mark.parametrize(
    ("place", "name", "rule"),
    [
        (1, "hold", Rule.BALANCE),
        (2, "quantity.fuel", Rule.RATING),
        (2, "quantity.royalty", Rule.RATING),
    ],
)
def test_missing_opening_is_refused(
    written: WrittenMarket, place: int, name: str, rule: Rule
) -> None:
    data = published(written, written.market.run_job())
    changed = extra_changed(
        data, lambda extra: extra["statements"][place]["openings"].pop(name)
    )
    assert refusal(written, changed).rule is rule


def test_swapped_openings_are_refused(written: WrittenMarket) -> None:
    data = published(written, written.market.run_job())

    def swap(extra: Any) -> None:
        openings = extra["statements"][2]["openings"]
        fuel, up = openings["quantity.fuel"], openings["quantity.bytes_up"]
        openings["quantity.fuel"], openings["quantity.bytes_up"] = up, fuel

    assert refusal(written, extra_changed(data, swap)).rule is Rule.OPENING


def test_unknown_opening_is_refused(written: WrittenMarket) -> None:
    data = published(written, written.market.run_job())

    def add(extra: Any) -> None:
        openings = extra["statements"][0]["openings"]
        openings["bonus"] = openings["price_max"]

    assert refusal(written, extra_changed(data, add)).rule is Rule.OPENING


@pytest.mark.parametrize(
    "amounts",
    [
        {"amount.0": 182},
        {"amount.0": 184},
        {"amount.1": 77},
        {"amount.1": 77, "amount.2": 6},
        {"amount.3": 99},
    ],
)
def test_amount_that_is_not_rated_is_refused(
    written: WrittenMarket, amounts: dict[str, Any]
) -> None:
    market = written.market
    job = market.order()
    market.agree(job)
    market.use(job)
    market.charge(job, amounts=amounts)
    assert refusal(written, published(written, job)).rule is Rule.RATING


@pytest.mark.parametrize("total", [True, -1, "183", None])
def test_amount_that_is_no_amount_is_refused(
    written: WrittenMarket, total: Any
) -> None:
    data = published(written, written.market.run_job())

    def change(extra: Any) -> None:
        extra["statements"][3]["openings"]["amount.0"]["value"] = total

    assert refusal(written, extra_changed(data, change)).rule is Rule.OPENING


def test_receipt_without_amounts_is_verified(written: WrittenMarket) -> None:
    """They follow from usage and tariff, so nothing is missing."""
    data = published(written, written.market.run_job())
    changed = extra_changed(
        data, lambda extra: extra["statements"][3]["openings"].clear()
    )
    assert verify(written, changed).total_microcredits == 183


def test_pseudonym_of_another_account_is_refused(written: WrittenMarket) -> None:
    market = written.market
    other = authorise(fixed_key("owner"), "job_" + "9" * 20, "psn_" + "a" * 26)
    job = market.order(account=other)
    for step in (market.agree, market.use, market.charge):
        step(job)
    assert refusal(written, published(written, job)).rule is Rule.PSEUDONYM


def test_charge_over_hold_is_refused(written: WrittenMarket) -> None:
    market = written.market
    job = market.order()
    market.agree(job, hold=182)
    market.use(job)
    market.charge(job)
    assert refusal(written, published(written, job)).rule is Rule.HOLD


def test_hold_over_price_max_is_refused(written: WrittenMarket) -> None:
    market = written.market
    job = market.order(price_max=999)
    market.agree(job)
    market.use(job)
    market.charge(job)
    assert refusal(written, published(written, job)).rule is Rule.HOLD


def test_unpriced_usage_is_refused(written: WrittenMarket) -> None:
    market = written.market
    job = market.order()
    market.agree(job)
    rated = [RatingGroup.FUEL, RatingGroup.BYTES_UP, RatingGroup.ROYALTY]
    market.use(job, groups=[*rated, RatingGroup.HOMOMORPHIC])
    market.charge(job)
    assert refusal(written, published(written, job)).rule is Rule.SLICE


def _other_payee(market: AuditedMarket, charge: ChargeStatement) -> dict[str, Any]:
    first, share, *rest = charge.postings
    stolen = share.model_copy(
        update={"credit": wallet_of(fixed_key("thief").account_id)}
    )
    return {"postings": (first, stolen, *rest)}


def _swapped_payees(market: AuditedMarket, charge: ChargeStatement) -> dict[str, Any]:
    first, one, two, *rest = charge.postings
    return {"postings": (first, two, one, *rest)}


def _other_purse(market: AuditedMarket, charge: ChargeStatement) -> dict[str, Any]:
    first, *rest = charge.postings
    other = first.model_copy(update={"debit": wallet_of(market.provider.account_id)})
    return {"postings": (other, *rest)}


def _share_from_wallet(
    market: AuditedMarket, charge: ChargeStatement
) -> dict[str, Any]:
    first, share, *rest = charge.postings
    other = share.model_copy(update={"debit": first.debit})
    return {"postings": (first, other, *rest)}


def _transfer_for_post(
    market: AuditedMarket, charge: ChargeStatement
) -> dict[str, Any]:
    first, *rest = charge.postings
    other = first.model_copy(update={"action": "transfer"})
    return {"postings": (other, *rest)}


def _other_hold(market: AuditedMarket, charge: ChargeStatement) -> dict[str, Any]:
    return {"hold_transfer": market.new_id("hold")}


def _other_job(market: AuditedMarket, charge: ChargeStatement) -> dict[str, Any]:
    return {"job_id": market.new_id("job")}


@pytest.mark.parametrize(
    "change",
    [
        _other_payee,
        _swapped_payees,
        _other_purse,
        _share_from_wallet,
        _transfer_for_post,
        _other_hold,
        _other_job,
    ],
)
def test_charge_of_wrong_party_is_refused(
    written: WrittenMarket,
    change: Callable[[AuditedMarket, ChargeStatement], dict[str, Any]],
) -> None:
    market = written.market
    job = market.order()
    market.agree(job)
    market.use(job)
    true = market.charge(job).body
    assert isinstance(true, ChargeStatement)
    market.entries.pop()
    market.charge(job, **{"postings": true.postings, **change(market, true)})
    assert refusal(written, published(written, job)).rule is Rule.CHARGE


@pytest.mark.parametrize(
    ("step", "changes", "rule"),
    [
        ("agree", {"job_id": "job_" + "9" * 20}, Rule.AGREEMENT),
        ("agree", {"debit": wallet_of(fixed_key("owner").account_id)}, Rule.AGREEMENT),
        (
            "agree",
            {"credit": wallet_of(fixed_key("market").account_id)},
            Rule.AGREEMENT,
        ),
        ("agree", {"consumer": "psn_" + "a" * 26}, Rule.AGREEMENT),
        ("agree", {"order": "B" * 43 + "="}, Rule.REFERENCE),
        ("use", {"job_id": "job_" + "9" * 20}, Rule.SLICE),
        ("use", {"agreement": "B" * 43 + "="}, Rule.REFERENCE),
        ("charge", {"agreement": "B" * 43 + "="}, Rule.REFERENCE),
        ("charge", {"slice": "B" * 43 + "="}, Rule.REFERENCE),
    ],
)
def test_link_that_is_wrong_is_refused(
    written: WrittenMarket, step: str, changes: dict[str, Any], rule: Rule
) -> None:
    market = written.market
    job = market.order()
    for name in ("agree", "use", "charge"):
        getattr(market, name)(job, **(changes if name == step else {}))
    assert refusal(written, published(written, job)).rule is rule


def test_node_of_other_agreement_is_refused(written: WrittenMarket) -> None:
    market = written.market
    job = market.order()
    market.agree(job, node=fixed_key("another node").node_id)
    market.use(job)
    market.charge(job)
    assert refusal(written, published(written, job)).rule is Rule.SLICE


@pytest.mark.parametrize("role", ["consumer", "node"])
def test_foreign_signature_is_refused(written: WrittenMarket, role: str) -> None:
    market = written.market
    job = market.order()
    market.agree(job)
    true = market.use(job)
    forged = true.signed_by(role, fixed_key("stranger"))
    market.openings[forged.digest] = market.openings[true.digest]
    job.statements["slice"] = forged
    market.charge(job)
    assert refusal(written, published(written, job)).rule is Rule.SIGNATURE


def test_tariff_is_what_counts(written: WrittenMarket) -> None:
    """A charge rated under other prices than were agreed is refused."""
    market = written.market
    job = market.order()
    agreement = market.agree(job)
    market.use(job)
    dearer = Tariff(
        lines=tuple(
            line.model_copy(update={"price_microcredits": line.price_microcredits + 1})
            for line in market.tariff().lines
        )
    )
    job.statements["agreement"] = type(agreement)(
        agreement.body.model_copy(update={"tariff": dearer})
    )
    market.charge(job, agreement=agreement.digest)
    job.statements["agreement"] = agreement
    assert refusal(written, published(written, job)).rule is Rule.RATING


def test_too_large_receipt_is_refused(written: WrittenMarket) -> None:
    job = written.market.run_job()
    written.publish()
    items = [
        (job.statements[kind], written.market.openings[job.statements[kind].digest])
        for kind in ("order", "agreement", "slice", "charge")
    ]
    with pytest.raises(ReceiptError, match="at most"):
        make_receipt(written.log.prove(0), items * 20)
