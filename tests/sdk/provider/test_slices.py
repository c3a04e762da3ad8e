import pytest

from ledger.charging.tariff import RatingGroup
from ledger.encoding import canonical_json, encode_base64, sha256_text
from ledger.errors import DisclosureError, SignatureError, TariffError
from ledger.limits import QUANTITY_MAX
from ledger.metering.usage import Usage, parse_quantities
from ledger.statements.disclosure import (
    opened_values,
    parse_openings,
    verify_blindings,
    verify_openings,
)
from ledger.statements.statement import parse_statement, verify_signatures
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
            "input_digest": sha256_text(b"[21]"),
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
    concealed = [*statement.private, *statement.commitments]
    verify_openings(
        statement.private, statement.commitments, openings, required=concealed
    )
    return opened_values(openings)


def test_slice_says_what_was_used(make_run, sign) -> None:
    values = open_all(sign(make_run()))
    assert parse_quantities(values) == {
        RatingGroup.FUEL: 1,
        RatingGroup.MEMORY: 1,
        RatingGroup.BYTES_UP: 2,
        RatingGroup.BYTES_DOWN: 0,
    }
    assert values["outcome"] == "succeeded"
    assert values["input_digest"] == sha256_text(b"[21]")
    assert values["result_digest"] == sha256_text(RESULT)


def test_slice_commits_to_what_the_tariff_rates(make_run, make_lease, sign) -> None:
    for groups in (["royalty", "fuel"], []):
        run = make_run(lease=make_lease(ratingGroups=groups))
        committed = sign(run)["slice"]["commitments"]
        assert committed.keys() == {f"quantity.{group}" for group in groups}


def test_record_key_opens_the_slice_of_its_agreement(
    make_run, sign, record_key
) -> None:
    run = make_run()
    openings = parse_openings(sign(run)["openings"])
    verify_blindings(openings, record_key, run.lease.agreement, 0)
    for key, agreement, sequence in (
        (bytes(32), run.lease.agreement, 0),
        (record_key, sha256_text(b"another"), 0),
        (record_key, run.lease.agreement, 1),
    ):
        with pytest.raises(DisclosureError):
            verify_blindings(openings, key, agreement, sequence)


def test_same_run_under_another_key_shows_other_commitments(
    make_run, make_lease, sign
) -> None:
    first = sign(make_run())["slice"]["commitments"]
    other_key = make_lease(recordKey=encode_base64(bytes(32)))
    assert sign(make_run())["slice"]["commitments"] == first
    second = sign(make_run(lease=other_key))["slice"]["commitments"]
    assert not set(first.values()) & set(second.values())


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


def test_result_and_quantities_are_not_in_the_slice(make_run, sign) -> None:
    usage = Usage(fuel=987_654_321 * 10**6)
    report = sign(make_run(result=b"a secret", usage=usage))
    assert b"a secret" not in canonical_json([report["slice"], report["openings"]])
    assert b"987654321" not in canonical_json(report["slice"])
    assert report["openings"]["quantity.fuel"]["value"] == 987_654_321


def test_usage_beyond_charging_is_refused(make_run, sign) -> None:
    with pytest.raises(TariffError):
        sign(make_run(usage=Usage(homomorphic_operations=QUANTITY_MAX + 1)))
