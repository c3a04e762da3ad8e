import pytest

from ledger.charging.tariff import RatingGroup
from ledger.encoding import canonical_json
from ledger.errors import SignatureError, TariffError
from ledger.limits import QUANTITY_MAX
from ledger.metering.usage import Usage, parse_quantities
from ledger.statements.disclosure import parse_openings, verify_openings
from ledger.statements.statement import parse_statement, verify_signatures
from sdk.payloads import payload_digest
from sdk.provider.executor import Run
from sdk.provider.slices import sign_slice

NOW_MS = 1_800_000_000_000
RESULT = b"what came back"


@pytest.fixture
def make_run(make_lease):
    def make(**changes) -> Run:
        values = {
            "lease": make_lease(),
            "outcome": "succeeded",
            "error_code": None,
            "usage": Usage(fuel=1, memory_limit_bytes=2**27, bytes_up=1025),
            "input_digest": payload_digest(b"[21]"),
            "result": RESULT,
            "elapsed_ms": 3,
        }
        return Run(**(values | changes))

    return make


@pytest.fixture
def sign(node_key):
    return lambda run: sign_slice(run, {"inline": "eA=="}, key=node_key, now_ms=NOW_MS)


def open_all(report) -> dict:
    statement = parse_statement(canonical_json(report["slice"]))
    openings = parse_openings(report["openings"])
    verify_openings(statement.private, openings, required=statement.private)
    return {name: opening.value for name, opening in openings.items()}


def test_slice_says_what_was_used(make_run, sign) -> None:
    values = open_all(sign(make_run()))
    quantities = parse_quantities(values)
    assert quantities[RatingGroup.FUEL] == 1
    assert quantities[RatingGroup.MEMORY] == 1
    assert quantities[RatingGroup.BYTES_UP] == 2
    assert quantities[RatingGroup.ROYALTY] == 0
    assert values["outcome"] == "succeeded"
    assert values["input_digest"] == payload_digest(b"[21]")
    assert values["result_digest"] == payload_digest(RESULT)


def test_slice_belongs_to_its_lease(make_run, sign, node_key) -> None:
    run = make_run()
    report = sign(run)
    statement = parse_statement(canonical_json(report["slice"]))
    verify_signatures(statement)
    body = statement.body.to_json()
    assert body == {
        "jobId": run.lease.job_id,
        "agreement": run.lease.agreement,
        "node": node_key.node_id,
        "consumer": run.lease.consumer,
        "sequence": 0,
        "finishedAtMs": NOW_MS,
    }
    assert (report["jobId"], report["attempt"]) == run.lease.key
    assert report["result"] == {"inline": "eA=="}


def test_slice_with_one_thing_changed_does_not_verify(make_run, sign) -> None:
    report = sign(make_run())
    report["slice"]["body"]["finishedAtMs"] += 1
    with pytest.raises(SignatureError):
        verify_signatures(parse_statement(canonical_json(report["slice"])))


def test_result_is_not_in_the_slice(make_run, sign) -> None:
    report = sign(make_run(result=b"a secret"))
    assert b"a secret" not in canonical_json([report["slice"], report["openings"]])


def test_usage_beyond_charging_is_refused(make_run, sign) -> None:
    with pytest.raises(TariffError):
        sign(make_run(usage=Usage(homomorphic_operations=QUANTITY_MAX + 1)))
