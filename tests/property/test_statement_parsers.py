"""Parsers of statements, openings, receipts and keys, fed with what is not right."""

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from audited_market import DIGEST, AuditedMarket, MadeJob, WrittenMarket
from hostile_bytes import VALUES, Parser, nearly, nearly_json
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.audit.disclosure_file import OpenedTotal, parse_total_line
from ledger.audit.errors import ReceiptError, RuleError
from ledger.audit.key_rotation import verify_key_change
from ledger.audit.openings_file import parse_openings_line
from ledger.audit.receipt import verify_receipt
from ledger.commitments import Commitment, CommitmentOpening
from ledger.commitments.group import decode_scalar, encode_scalar
from ledger.encoding import (
    canonical_json,
    decode_base64,
    encode_base64,
    parse_canonical_json,
    parse_json,
)
from ledger.errors import (
    CommitmentError,
    DisclosureError,
    EncodingError,
    KeyFileError,
    SignatureError,
    StatementError,
)
from ledger.key_files import (
    create_key,
    create_ml_dsa_key,
    load_key,
    load_ml_dsa_key,
)
from ledger.limits import STATEMENT_BYTES_MAX
from ledger.log.log_keys import LogKeys
from ledger.log.proof import TlogProof, parse_proof
from ledger.signing import PublicKey
from ledger.statements.disclosure import (
    conceal,
    openings_json,
    parse_openings,
    verify_openings,
)
from ledger.statements.order_terms import (
    DataPolicy,
    JobLimits,
    OrderTerms,
    Recipient,
    WorkloadReference,
)
from ledger.statements.pseudonyms import Authorisation, authorise
from ledger.statements.statement import parse_statement, verify_signatures
from ledger.witness.keys import create_witness_keys, load_witness_keys

SIZE_MAX = 2 * STATEMENT_BYTES_MAX


def _market() -> AuditedMarket:
    market = AuditedMarket().begin()
    market.run_job()
    job = market.order()
    market.agree(job)
    market.release(job)
    return market


MARKET = _market()
KEYS = LogKeys((MARKET.signer.verifier,))
STATEMENTS = {it.digest: it for it in map(parse_statement, MARKET.entries)}
OPENINGS = [canonical_json(openings_json(it)) for it in MARKET.openings.values()]
LINES = [
    canonical_json({"digest": digest, "openings": openings_json(openings)})
    for digest, openings in MARKET.openings.items()
]
ORDER = next(it for it in STATEMENTS.values() if it.kind == "order")
USAGE = next(it for it in STATEMENTS.values() if it.kind == "slice")


def receipt_of(market: AuditedMarket, job: MadeJob) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        written = WrittenMarket(market, Path(folder))
        written.publish()
        written.close()
        return written.receipt(job)


JOB = MARKET.run_job()
RECEIPT = receipt_of(MARKET, JOB)


def is_json(value: object) -> bool:
    try:
        canonical_json(value)
    except EncodingError:
        return False
    return True


def take_statement(data: bytes) -> None:
    verify_signatures(parse_statement(data))


def take_openings(data: bytes) -> None:
    openings = parse_openings(parse_json(data, size_max=SIZE_MAX))
    for statement in (ORDER, USAGE):
        verify_openings(statement.private, statement.commitments, openings)


def take_extra(data: bytes) -> None:
    proof = parse_proof(RECEIPT)
    changed = TlogProof(proof.index, proof.path, proof.checkpoint_note, data)
    verify_receipt(changed.encode(), KEYS)


def take_key_change(data: bytes) -> None:
    verify_key_change(KEYS, data, market=None)


def take_key_file(load: Callable[[Path], object]) -> Callable[[bytes], object]:
    """The reader of a key file, given what lies in it."""

    def take(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tried.key"
            path.touch(mode=0o600)
            path.write_bytes(data)
            return load(path)

    return take


def new_key_file(create: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.key"
        create(path)
        return path.read_bytes()


TERMS = OrderTerms(
    account=authorise(MARKET.consumer, "job_" + "1" * 20, "psn_" + "a" * 26),
    workload=WorkloadReference(kind="python_source", content=DIGEST, entry="risk"),
    data_policy=DataPolicy(sensitivity="internal", protection="enclave"),
    limits=JobLimits(fuel=1, memory_bytes=1, time_ms=1, input_bytes=1, output_bytes=1),
    input=None,
    price_max=5000,
    recipient=Recipient(public_key="AAAA", challenge=DIGEST),
)
POINT = next(iter(USAGE.commitments.values()))
TOTAL = OpenedTotal([DIGEST], None, CommitmentOpening(7, 8))
SCALAR = encode_scalar(1234)

JSON_PARSERS = [
    Parser(
        "JSON",
        lambda data: parse_json(data, size_max=SIZE_MAX),
        EncodingError,
        (MARKET.entries[-1], b'{"a":[1,null,true,"\\u00e9"]}'),
    ),
    Parser(
        "canonical JSON",
        lambda data: parse_canonical_json(data, size_max=SIZE_MAX),
        EncodingError,
        (MARKET.entries[-1], '{"a":[1,null,true,"\\n\\u001f\x7fé"]}'.encode()),
        canonical_json,
    ),
    Parser(
        "statement",
        parse_statement,
        StatementError,
        tuple(MARKET.entries),
        lambda statement: statement.entry,
    ),
    Parser(
        "signed statement",
        take_statement,
        (StatementError, SignatureError),
        tuple(MARKET.entries),
    ),
    Parser(
        "openings",
        lambda data: parse_openings(parse_json(data, size_max=SIZE_MAX)),
        (DisclosureError, EncodingError),
        tuple(OPENINGS),
    ),
    Parser(
        "openings of a statement",
        take_openings,
        (DisclosureError, EncodingError),
        (b"{}",),
    ),
    Parser("line of openings", parse_openings_line, EncodingError, tuple(LINES)),
    Parser(
        "line of a total",
        parse_total_line,
        EncodingError,
        (TOTAL.to_line(),),
    ),
    Parser(
        "opening of a commitment",
        lambda data: CommitmentOpening.parse(parse_json(data, size_max=SIZE_MAX)),
        (CommitmentError, EncodingError),
        (canonical_json(CommitmentOpening(7, 8).to_json()),),
    ),
    Parser(
        "authorisation",
        lambda data: Authorisation.from_bytes(data, size_max=SIZE_MAX).account_id,
        (EncodingError, SignatureError),
        (canonical_json(MARKET.openings[ORDER.digest]["account"].value),),
    ),
    Parser(
        "terms of an order",
        lambda data: OrderTerms.from_openings(
            parse_openings(parse_json(data, size_max=SIZE_MAX))
        ),
        (StatementError, EncodingError, DisclosureError),
        (canonical_json(openings_json(conceal(TERMS.private_values()))),),
    ),
    Parser(
        "statements of a receipt",
        take_extra,
        ReceiptError,
        (parse_proof(RECEIPT).extra or b"",),
    ),
    Parser(
        "key file", take_key_file(load_key), KeyFileError, (new_key_file(create_key),)
    ),
    Parser(
        "ML-DSA key file",
        take_key_file(load_ml_dsa_key),
        KeyFileError,
        (new_key_file(create_ml_dsa_key),),
    ),
    Parser(
        "key file of a witness",
        take_key_file(load_witness_keys),
        KeyFileError,
        (new_key_file(lambda path: create_witness_keys(path, name="w.example")),),
    ),
]

PARSERS = [
    *JSON_PARSERS,
    Parser(
        "base64",
        lambda data: decode_base64(data.decode("latin-1")),
        EncodingError,
        (b"AAAA", b"AAA=", b"AA=="),
        lambda decoded: encode_base64(decoded).encode(),
    ),
    Parser(
        "commitment",
        lambda data: Commitment.parse(data.decode(errors="surrogateescape")),
        CommitmentError,
        (POINT.encode(),),
        lambda commitment: commitment.text.encode(),
    ),
    Parser("scalar", decode_scalar, CommitmentError, (SCALAR,), encode_scalar),
    Parser(
        "public key",
        lambda data: PublicKey.from_text(data.decode(errors="surrogateescape")),
        SignatureError,
        (MARKET.market.public.text.encode(),),
        lambda key: key.text.encode(),
    ),
    Parser(
        "receipt", lambda data: verify_receipt(data, KEYS), ReceiptError, (RECEIPT,)
    ),
    Parser("change of keys", take_key_change, RuleError, ()),
]

WHOLE_VALUES = VALUES.filter(is_json) | st.integers(0, 6000)

each_parser = pytest.mark.parametrize("parser", PARSERS, ids=str)


@each_parser
def test_samples_are_accepted(parser) -> None:
    for sample in parser.samples:
        parser.parse(sample)


@each_parser
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_accepted_or_refused(parser, data) -> None:
    parser.take(data)


@pytest.mark.slow
@each_parser
@settings(deadline=None)
@given(st.data())
def test_nearly_right_bytes_are_accepted_or_refused(parser, data) -> None:
    sample = data.draw(st.sampled_from(parser.samples or (RECEIPT,)))
    parser.take(data.draw(nearly(sample)))


@pytest.mark.slow
@pytest.mark.parametrize("parser", JSON_PARSERS, ids=str)
@settings(deadline=None)
@given(st.data())
def test_nearly_right_json_is_accepted_or_refused(parser, data) -> None:
    sample = data.draw(st.sampled_from(parser.samples))
    parser.take(data.draw(nearly_json(sample)))


@settings(deadline=None)
@given(st.data())
def test_both_parsers_of_canonical_json_agree(data) -> None:
    """The fast one accepts what the slow one accepts and writes in the same way."""
    sample = data.draw(st.sampled_from(MARKET.entries) | VALUES.map(some_json))
    change = data.draw(st.sampled_from([st.just, nearly, nearly_json]))
    text = data.draw(change(sample))
    assert accepted(parse_canonical_json, text) == (
        accepted(parse_json, text)
        and canonical_json(parse_json(text, size_max=SIZE_MAX)) == text
    )


def some_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def accepted(parse: Callable[..., object], data: bytes) -> bool:
    try:
        parse(data, size_max=SIZE_MAX)
    except EncodingError:
        return False
    return True


@pytest.mark.slow
@each_parser
def test_endless_bytes_are_refused_in_time(parser) -> None:
    parser.take_endless()


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(hold=WHOLE_VALUES, price_max=WHOLE_VALUES)
def test_receipt_of_any_signed_values_is_accepted_or_refused(hold, price_max) -> None:
    """The parties sign it; it is nonsense all the same."""
    market = AuditedMarket().begin()
    job = market.order(price_max=price_max)
    market.agree(job, hold=hold)
    market.use(job)
    market.charge(job)
    with contextlib.suppress(ReceiptError):
        verified = verify_receipt(receipt_of(market, job), KEYS)
        assert verified.total_microcredits <= verified.hold_microcredits == hold
        assert hold <= price_max
