"""Statements: one form, the right signatures, and nothing near it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from audited_market import (
    RECORD_KEY,
    AuditedMarket,
    MadeJob,
    conceal_fixed,
    fixed_key,
)

from ledger.encoding import canonical_json, sha256_text
from ledger.errors import LedgerError, SignatureError, StatementError
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.signing import PublicKey
from ledger.statements.disclosure import conceal_numbers
from ledger.statements.kinds import (
    KINDS,
    ChargeStatement,
    OfferStatement,
    SliceStatement,
    TopUpStatement,
)
from ledger.statements.statement import (
    SIGNING_LABEL,
    StatementSignature,
    make_statement,
    parse_statement,
    verify_signatures,
)


@pytest.fixture
def market() -> AuditedMarket:
    return AuditedMarket().begin()


@pytest.fixture
def job(market: AuditedMarket) -> MadeJob:
    return market.run_job()


def changed(entry: bytes, *path: str | int, value: Any) -> bytes:
    """The entry with one value replaced, canonical as before."""
    document = json.loads(entry)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return canonical_json(document)


def test_every_kind_reads_back(market: AuditedMarket) -> None:
    market.run_job()
    released = market.order()
    market.agree(released)
    market.release(released)
    market.change_log_keys()
    statements = [parse_statement(entry) for entry in market.entries]
    assert {statement.kind for statement in statements} == set(KINDS)
    for statement, entry in zip(statements, market.entries, strict=True):
        verify_signatures(statement)
        assert statement.entry == entry
        assert statement.digest == sha256_text(entry)
        assert canonical_json(json.loads(entry)) == entry


def test_parties_sign_everything_but_the_signatures(market: AuditedMarket) -> None:
    statement = parse_statement(market.entries[-1])
    core = json.loads(statement.entry)
    del core["signatures"]
    assert statement.signed_bytes == SIGNING_LABEL + canonical_json(core)


def test_signatures_stand_in_the_order_of_roles(
    market: AuditedMarket, job: MadeJob
) -> None:
    usage = job.statements["slice"]
    again = replace(usage, signatures=())
    again = again.signed_by("consumer", job.key).signed_by("node", market.node)
    assert again == usage
    assert again.signed_by("node", market.node) == usage


def test_key_of_role_is_told(market: AuditedMarket, job: MadeJob) -> None:
    usage = job.statements["slice"]
    assert usage.key_of("node") == market.node.public
    assert usage.key_of("provider") is None


def test_consumer_may_sign_a_slice_later(market: AuditedMarket, job: MadeJob) -> None:
    usage = job.statements["slice"]
    alone = replace(usage, signatures=usage.signatures[:1])
    verify_signatures(alone)
    verify_signatures(alone.with_signature(usage.signatures[1]))


def test_missing_role_is_refused(market: AuditedMarket) -> None:
    assert market.offer is not None
    offer = market.offer
    provider_only = replace(offer, signatures=offer.signatures[:1])
    with pytest.raises(StatementError, match="signed by"):
        verify_signatures(provider_only)


def test_only_named_roles_count_as_verified(market: AuditedMarket) -> None:
    assert market.offer is not None
    provider, node = market.offer.signatures
    forged = node.model_copy(update={"signature": provider.signature})
    altered = market.offer.with_signature(forged)
    verify_signatures(altered, verified=frozenset({"node"}))
    for verified in (frozenset[str](), frozenset({"provider"})):
        with pytest.raises(SignatureError):
            verify_signatures(altered, verified=verified)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kind",), "gift"),
        (("kind",), "order"),
        (("kind",), 5),
        (("version",), 2),
        (("version",), "1"),
        (("version",), True),
        (("body",), {}),
        (("body", "market"), "acc_short"),
        (("body", "creditedAtMs"), 1),
        (("body", "toppedUpAtMs"), -1),
        (("body", "toppedUpAtMs"), 2**52 + 1),
        (("body", "toppedUpAtMs"), "1"),
        (("body", "source"), "gold"),
        (("body", "credit"), "acc_" + "a" * 26),
        (("commitments",), {}),
        (("commitments", "amount"), "short"),
        (("commitments", "amount"), 5),
        (("commitments", "bonus"), "A" * 43 + "="),
        (("private", "amount"), "A" * 43 + "="),
        (("signatures",), {}),
        (("signatures", 0, "role"), "Market"),
        (("signatures", 0, "key"), "A" * 44),
        (("signatures", 0, "signature"), "no base64!"),
        (("signatures", 0, "more"), 1),
        (("more",), 1),
    ],
)
def test_form_with_one_thing_wrong_is_refused(
    market: AuditedMarket, path: tuple[str | int, ...], value: Any
) -> None:
    with pytest.raises(StatementError):
        parse_statement(changed(market.entries[-1], *path, value=value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("body", "toppedUpAtMs"), 1),
        (("body", "transferId"), "topup_" + "9" * 20),
        (("commitments", "amount"), "A" * 43 + "="),
        (("signatures", 0, "role"), "consumer"),
        (("signatures", 0, "key"), "A" * 43 + "="),
        (("signatures", 0, "key"), fixed_key("owner").public.text),
        (("signatures", 0, "signature"), "A" * 88),
        (("signatures", 0, "signature"), "A" * 84 + "AA=="),
        (("signatures", 0, "signature"), "AAAA"),
        (("signatures", 0, "signature"), "A"),
        (("signatures",), []),
    ],
)
def test_statement_with_one_thing_changed_does_not_verify(
    market: AuditedMarket, path: tuple[str | int, ...], value: Any
) -> None:
    entry = changed(market.entries[-1], *path, value=value)
    with pytest.raises((StatementError, SignatureError)):
        verify_signatures(parse_statement(entry))


def test_doubled_signature_is_refused(market: AuditedMarket) -> None:
    entry = market.entries[-1]
    signatures = json.loads(entry)["signatures"] * 2
    with pytest.raises(StatementError, match="signed by"):
        verify_signatures(
            parse_statement(changed(entry, "signatures", value=signatures))
        )


def test_key_that_is_no_point_is_refused(market: AuditedMarket) -> None:
    """Nobody can find a key to a given id; the pure check stands all the same."""
    statement = parse_statement(market.entries[-1])
    key = PublicKey(b"\xff" * 32)
    body = statement.body.model_copy(update={"market": key.account_id})
    signature = StatementSignature(
        role="market", key=key.text, signature="A" * 86 + "=="
    )
    with pytest.raises(SignatureError):
        verify_signatures(replace(statement, body=body, signatures=(signature,)))


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"kind":1.5}',
        b'{"kind":NaN}',
        b'{"a":1,"a":1}',
        b'{"kind":"\\ud800"}',
        b"[" * STATEMENT_BYTES_MAX,
        b" " * (STATEMENT_BYTES_MAX + 1),
        b'{"body":' + b"9" * 5000 + b"}",
    ],
)
def test_garbage_is_refused(entry: bytes) -> None:
    with pytest.raises(StatementError):
        parse_statement(entry)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'":', b'": '),
        (b"{", b" {"),
        (b'"top_up"', b'"top\\u005fup"'),
    ],
)
def test_other_spelling_is_refused(
    market: AuditedMarket, old: bytes, new: bytes
) -> None:
    entry = market.entries[-1].replace(old, new, 1)
    with pytest.raises(StatementError, match="canonical"):
        parse_statement(entry)


def test_concealed_fields_are_those_of_the_kind(
    market: AuditedMarket, job: MadeJob
) -> None:
    top_up = parse_statement(market.entries[6]).body
    assert isinstance(top_up, TopUpStatement)
    amount = conceal_numbers({"amount": 1}, RECORD_KEY, "place")
    make_statement(top_up, amount)
    for openings in (
        {},
        conceal_fixed({"amount": 1}),
        amount | conceal_fixed({"bonus": 2}),
        amount | conceal_numbers({"bonus": 2}, RECORD_KEY, "place"),
    ):
        with pytest.raises(StatementError, match="conceals other fields"):
            make_statement(top_up, openings)
    charge = job.statements["charge"].body
    assert isinstance(charge, ChargeStatement)
    with pytest.raises(StatementError, match="conceals other fields"):
        make_statement(charge, amount)


def test_slice_commits_to_rating_groups_alone(job: MadeJob) -> None:
    usage = job.statements["slice"]
    name = next(iter(usage.commitments))
    fewer = {key: text for key, text in usage.commitments.items() if key != name}
    parse_statement(replace(usage, commitments=fewer).entry)
    for other in ("quantity.gold", "fuel", ""):
        renamed = {**fewer, other: usage.commitments[name]}
        with pytest.raises(StatementError, match="conceals other fields"):
            parse_statement(replace(usage, commitments=renamed).entry)


def test_statement_of_one_kind_is_none_of_another(
    market: AuditedMarket, job: MadeJob
) -> None:
    """The kind is signed, so no signature serves for two."""
    for kind in KINDS:
        entry = changed(job.statements["charge"].entry, "kind", value=kind)
        if kind == "charge":
            continue
        with pytest.raises(LedgerError):
            verify_signatures(parse_statement(entry))


def test_offer_of_one_price_is_another_statement(market: AuditedMarket) -> None:
    assert market.offer is not None
    body = market.offer.body
    assert isinstance(body, OfferStatement)
    entry = changed(market.offer.entry, "body", "prices", "fuel", value=9)
    with pytest.raises(SignatureError):
        verify_signatures(parse_statement(entry))
    with pytest.raises(StatementError):
        parse_statement(changed(market.offer.entry, "body", "prices", "gold", value=9))


def test_node_cannot_sign_as_consumer(market: AuditedMarket, job: MadeJob) -> None:
    usage = job.statements["slice"]
    assert isinstance(usage.body, SliceStatement)
    forged = usage.signed_by("consumer", market.node)
    with pytest.raises(StatementError, match="not that of"):
        verify_signatures(forged)
