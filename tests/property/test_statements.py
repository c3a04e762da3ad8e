"""Laws of statements: they read back, and one byte makes them another's."""

import contextlib
from typing import Any

import pytest
from audited_market import AuditedMarket, fixed_key
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.charging.tariff import RatingGroup, Tariff, TariffLine
from ledger.document import Document
from ledger.encoding import canonical_json
from ledger.errors import (
    DisclosureError,
    EncodingError,
    LedgerError,
    StatementError,
)
from ledger.limits import (
    AMOUNT_MICROCREDITS_MAX,
    PRICE_MICROCREDITS_MAX,
    STATEMENT_BYTES_MAX,
)
from ledger.statements.disclosure import (
    Opening,
    conceal,
    digest_openings,
    parse_openings,
    verify_openings,
)
from ledger.statements.kinds import AgreementStatement, OrderStatement
from ledger.statements.statement import (
    Statement,
    make_statement,
    parse_statement,
    verify_signatures,
)

MARKET, CONSUMER = fixed_key("market"), fixed_key("consumer")
TIMES = st.integers(0, 2**52)
DIGESTS = st.from_regex(r"[A-Za-z0-9+/]{43}=", fullmatch=True)
ACCOUNTS = st.from_regex(r"acc_[a-z2-7]{26}", fullmatch=True)
IDENTIFIERS = st.from_regex(r"[a-z]{2,8}_[a-z0-9]{16,40}", fullmatch=True)
WORDS = st.from_regex(r"[a-z][a-z0-9_.-]{0,63}", fullmatch=True)
INTEGERS = st.integers(-AMOUNT_MICROCREDITS_MAX, AMOUNT_MICROCREDITS_MAX)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=10,
)
VALUES = st.dictionaries(TEXTS, JSON, min_size=1, max_size=5)


def built(kind: type[Document], **fields: Any) -> st.SearchStrategy[Any]:
    """As `st.builds`, which takes the JSON names of a document for its arguments."""
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


LINES = built(
    TariffLine,
    group=st.sampled_from(RatingGroup),
    role=WORDS,
    payee=ACCOUNTS,
    price_microcredits=st.integers(0, PRICE_MICROCREDITS_MAX),
)
TARIFFS = st.lists(LINES, max_size=8, unique_by=lambda it: (it.group, it.role)).map(
    lambda lines: Tariff(lines=tuple(lines))
)
BOOKS = st.builds("{}/{}".format, ACCOUNTS, st.sampled_from(["wallet", "clearing"]))
ORDERS = built(
    OrderStatement,
    job_id=IDENTIFIERS,
    consumer=st.just(CONSUMER.public.pseudonym_id),
    ordered_at_ms=TIMES,
)
AGREEMENTS = built(
    AgreementStatement,
    job_id=IDENTIFIERS,
    market=st.just(MARKET.account_id),
    consumer=st.from_regex(r"psn_[a-z2-7]{26}", fullmatch=True),
    provider=ACCOUNTS,
    node=st.from_regex(r"node_[a-z2-7]{26}", fullmatch=True),
    order=DIGESTS,
    offer=DIGESTS,
    attempt=st.integers(1, 1000),
    tariff=TARIFFS,
    hold_transfer=IDENTIFIERS,
    debit=BOOKS,
    credit=BOOKS,
    agreed_at_ms=TIMES,
    acceptance_timeout_ms=st.integers(1000, 10**9),
)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    body: Any = draw(ORDERS | AGREEMENTS)
    values = {name: draw(JSON) for name in sorted(body.private_fields)}
    role, key = ("consumer", CONSUMER) if body.kind == "order" else ("market", MARKET)
    return make_statement(body, conceal(values)).signed_by(role, key)


def _history() -> list[bytes]:
    market = AuditedMarket().begin()
    market.run_job()
    job = market.order()
    market.agree(job)
    market.release(job)
    return market.entries


HISTORY = _history()


@pytest.mark.slow
@settings(deadline=None)
@given(statements())
def test_statement_reads_back(statement: Statement) -> None:
    parsed = parse_statement(statement.entry)
    assert parsed == statement
    assert parsed.entry == statement.entry
    verify_signatures(parsed)


@pytest.mark.slow
@settings(deadline=None)
@given(st.sampled_from(HISTORY), st.data())
def test_statement_with_a_byte_changed_is_refused(
    entry: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(entry) - 1))
    middle = data.draw(
        st.binary(max_size=2).filter(lambda it: it != entry[place : place + 1])
    )
    with pytest.raises(LedgerError):
        verify_signatures(parse_statement(entry[:place] + middle + entry[place + 1 :]))


@given(st.binary(max_size=2000))
def test_garbage_is_refused_with_one_error(data: bytes) -> None:
    with pytest.raises(StatementError):
        parse_statement(data)


@given(JSON)
def test_other_json_is_refused_with_one_error(value: Any) -> None:
    with pytest.raises(StatementError):
        parse_statement(canonical_json(value))


@given(st.sampled_from(HISTORY), st.data())
def test_statement_with_other_json_inside_is_refused(
    entry: bytes, data: st.DataObject
) -> None:
    statement = parse_statement(entry)
    document = {
        "kind": statement.kind,
        "version": 1,
        "body": statement.body.to_json(),
        "private": dict(statement.private),
        "signatures": [item.to_json() for item in statement.signatures],
    }
    name = data.draw(st.sampled_from(sorted(document)))
    other = data.draw(JSON.filter(lambda value: value != document[name]))
    changed = canonical_json({**document, name: other})
    with contextlib.suppress(LedgerError):
        verify_signatures(parse_statement(changed[:STATEMENT_BYTES_MAX]))
        pytest.fail("another statement verified")


@given(VALUES)
def test_openings_fit_and_read_back(values: dict[str, Any]) -> None:
    openings = conceal(values)
    verify_openings(digest_openings(openings), {}, openings, required=openings)
    shown = {name: item.to_json() for name, item in openings.items()}
    assert parse_openings(shown) == openings


@pytest.mark.slow
@settings(deadline=None)
@given(VALUES, st.data())
def test_opening_changed_in_one_thing_is_refused(
    values: dict[str, Any], data: st.DataObject
) -> None:
    openings = conceal(values)
    digests = digest_openings(openings)
    name = data.draw(st.sampled_from(sorted(openings)))
    true = openings[name]
    value = data.draw(
        JSON.filter(lambda it: canonical_json(it) != canonical_json(true.value))
    )
    salt = data.draw(
        st.from_regex(r"([A-Za-z0-9+/]{4}){1,6}", fullmatch=True).filter(
            lambda it: it != true.salt
        )
    )
    other = data.draw(TEXTS.filter(lambda it: it != name))
    for wrong in (
        Opening(salt=true.salt, value=value),
        Opening(salt=salt, value=true.value),
    ):
        with pytest.raises(DisclosureError):
            verify_openings(digests, {}, {name: wrong})
    with pytest.raises(DisclosureError):
        verify_openings({other: digests[name]}, {}, {other: true})


@given(JSON)
def test_openings_of_any_json_raise_one_error(value: Any) -> None:
    with contextlib.suppress(DisclosureError, EncodingError):
        verify_openings({}, {}, parse_openings(value))
        assert value == {}
