"""The quick way to parse statements accepts what the plain way accepts, and no more."""

import json
import re
from typing import Any

import annotated_types
import pytest
from audited_market import AuditedMarket
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from ledger.document import CommitmentText, Digest, Document, Word
from ledger.encoding import (
    Json,
    canonical_json,
    parse_canonical_json,
    parse_json,
)
from ledger.errors import EncodingError, StatementError
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.statements.kinds import KINDS, has_concealed_fields
from ledger.statements.statement import (
    SIGNING_LABEL,
    VERSION,
    Statement,
    StatementSignature,
    parse_statement,
    reopen_statement,
)

SIZE = 10_000
MARKET = AuditedMarket().begin()
MARKET.run_job()
MARKET.change_log_keys()
_JOB = MARKET.order()
MARKET.agree(_JOB)
MARKET.release(_JOB)
ENTRIES = list({json.loads(entry)["kind"]: entry for entry in MARKET.entries}.values())


def plainly(data: bytes) -> Json:
    """What `parse_canonical_json` says that it does."""
    value = parse_json(data, size_max=SIZE)
    if canonical_json(value) != data:
        raise EncodingError("JSON that is not in canonical form.")
    return value


def outcome(parse: Any, data: bytes) -> object:
    try:
        return parse(data)
    except (EncodingError, StatementError):
        return "refused"


def quickly(data: bytes) -> Json:
    return parse_canonical_json(data, size_max=SIZE)


NUMBERS = st.integers(-(2**54), 2**54) | st.floats() | st.integers(-(10**30), 10**30)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def nearly_canonical(draw: st.DrawFn) -> bytes:
    """JSON in one of many spellings, perhaps with a few bytes changed."""
    text = json.dumps(
        draw(VALUES),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ":"), (",", ": ")])),
        sort_keys=draw(st.booleans()),
    )
    data = text.encode("utf-8", errors="surrogatepass")
    if draw(st.booleans()):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 3))
        data = data[:place] + draw(st.binary(max_size=3)) + data[place + length :]
    return data


@settings(max_examples=500)
@given(nearly_canonical() | st.binary(max_size=60))
@example(b'{"a":1,"a":1}')
@example(b'{"b":1,"a":1}')
@example(b'{"":1}')
@example(b'{"":1,"\\u0000":2}')
@example(b'{"\xc3\xa9":1,"z":2}')
@example('{"\U00010000":1,"\uffff":2}'.encode())
@example('{"\uffff":1,"\U00010000":2}'.encode())
@example(b'"\\ud800"')
@example(b'"\\/"')
@example(b'"\x7f"')
@example(b'"\\u007f"')
@example(b'"\\u001F"')
@example(b'"\\u001f"')
@example(b'"\\b\\f\\n\\r\\t\\"\\\\"')
@example(b"-0")
@example(b"1.0")
@example(b"1E2")
@example(b"1e400")
@example(b"NaN")
@example(b"-Infinity")
@example(b"9007199254740991")
@example(b"9007199254740992")
@example(b"9" * 5000)
@example(b"[" * 16 + b"]" * 16)
@example(b"[" * 17 + b"]" * 17)
@example(b"[" * 17 + b"1" + b"]" * 17)
@example(b"[" * 16 + b'""' + b"]" * 16)
@example(b"[" * 17 + b'""' + b"]" * 17)
@example(b"[" * SIZE)
@example(b"x" * (SIZE + 1))
@example(b"\xef\xbb\xbf1")
@example(b" 1")
@example(b"1\n")
@example(b"")
def test_canonical_json_is_parsed_as_by_definition(data: bytes) -> None:
    quick, plain = outcome(quickly, data), outcome(plainly, data)
    assert quick == plain
    assert repr(quick) == repr(plain)


class Envelope(Document):
    """An entry before it is known of which kind it is."""

    kind: Word
    version: int
    body: dict[str, Json]
    private: dict[str, Digest]
    commitments: dict[str, CommitmentText]
    signatures: tuple[StatementSignature, ...]


def parse_plainly(entry: bytes) -> Statement:
    """A statement by definition: parse, check each form, encode again, compare."""
    envelope = Envelope.from_bytes(entry, size_max=STATEMENT_BYTES_MAX)
    if envelope.kind not in KINDS or envelope.version != VERSION:
        raise StatementError("An entry of unknown kind.")
    statement = Statement(
        KINDS[envelope.kind].from_json(envelope.body),
        envelope.private,
        envelope.commitments,
        envelope.signatures,
    )
    if statement.entry != entry:
        raise StatementError("The entry is not in canonical form.")
    if not has_concealed_fields(
        statement.body, statement.private, statement.commitments
    ):
        raise StatementError("It conceals other fields.")
    return statement


def facts(statement: object) -> object:
    if not isinstance(statement, Statement):
        return statement
    core = json.loads(statement.entry)
    del core["signatures"]
    assert statement.signed_bytes == SIGNING_LABEL + canonical_json(core)
    return (
        statement,
        type(statement.body),
        statement.entry,
        statement.signed_bytes,
        statement.digest,
    )


CHANGES = (
    VALUES
    | st.just(True)
    | st.sampled_from([0, 1, -1, 1.0, 2**53, 2**52 + 1, "", "a" * 44, [], {}])
)


@st.composite
def nearly_statements(draw: st.DrawFn) -> bytes:
    """A statement with some values, keys or bytes changed, often still canonical."""
    entry = draw(st.sampled_from(ENTRIES))
    value = json.loads(entry)
    for _ in range(draw(st.integers(0, 2))):
        target = value
        while True:
            keys = list(range(len(target)) if isinstance(target, list) else target)
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(target[key], dict | list) and draw(st.booleans()):
                target = target[key]
                continue
            match draw(st.sampled_from(["change", "drop", "add", "keep"])):
                case "change":
                    target[key] = draw(CHANGES)
                case "drop":
                    del target[key]
                case "add" if isinstance(target, dict):
                    target[draw(st.text(max_size=5))] = draw(CHANGES)
                case _:
                    pass
            break
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = text.encode("utf-8", errors="surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.binary(max_size=2)) + data[place + 1 :]
    return data


@settings(max_examples=400)
@given(nearly_statements())
def test_statement_is_parsed_as_by_definition(entry: bytes) -> None:
    quick = outcome(parse_statement, entry)
    assert facts(quick) == facts(outcome(parse_plainly, entry))


@pytest.mark.parametrize("entry", ENTRIES)
def test_each_kind_is_parsed_as_by_definition(entry: bytes) -> None:
    statement = parse_statement(entry)
    assert facts(statement) == facts(parse_plainly(entry))
    assert facts(reopen_statement(entry, statement.kind)) == facts(statement)
    for spelling in (
        entry + b" ",
        entry.replace(b":", b": ", 1),
        entry.replace(b'"version":1', b'"version":true'),
        entry.replace(b'"version":1', b'"version":1.0'),
        entry.replace(b'"version":1', b'"version":1,"version":1'),
        entry.replace(b'"version":1', b'"version":2'),
        entry.replace(b"{", b'{"a":0,', 1),
        re.sub(rb'"kind":"', rb'"kind":"\\u006', entry),
    ):
        assert outcome(parse_statement, spelling) == "refused"
        assert outcome(parse_plainly, spelling) == "refused"


def test_every_kind_is_among_the_examples() -> None:
    assert {json.loads(entry)["kind"] for entry in ENTRIES} == set(KINDS)


def documents(kind: type[Document]) -> set[type[Document]]:
    """All documents inside a document."""
    found = {kind}
    for field in kind.model_fields.values():
        for inner in re.findall(r"\w+", str(field.annotation)):
            for other in Document.__subclasses__():
                if other.__name__ == inner and other not in found:
                    found |= documents(other)
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_fields_have_no_defaults_and_numbers_have_bounds(kind: type[Document]) -> None:
    """So encoding gives the same bytes again, and canonical numbers stay exact."""
    for document in documents(kind) | {StatementSignature}:
        for name, field in document.model_fields.items():
            assert field.is_required(), (document, name)
            if field.annotation is int:
                assert bounds(field) == {"Ge", "Le"}, (document, name)


def bounds(field: FieldInfo) -> set[str]:
    kinds = (annotated_types.Ge, annotated_types.Le)
    return {type(item).__name__ for item in field.metadata if isinstance(item, kinds)}
