import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave_sim.errors import SandboxError
from enclave_sim.sandbox import FailureCode, Outcome
from enclave_sim.sandbox.guest import console, execution
from enclave_sim.sandbox.limits import FUEL_MAX, OUTPUT_BYTES_MAX
from enclave_sim.sandbox.outcome import (
    LINE_MAX,
    LOG_BYTES_MAX,
    MESSAGE_LENGTH_MAX,
)
from ledger.encoding import Json

SUCCESS = Outcome(status="succeeded", result=b"42", log=b"said", fuel=7)
FAILURE = Outcome.failed(
    FailureCode.RAISED, "ValueError: no", fuel=7, line=3, log=b"trace"
)


@pytest.mark.parametrize("outcome", [SUCCESS, FAILURE])
def test_outcome_survives_json(outcome: Outcome) -> None:
    parsed = Outcome.parse(outcome.to_json(), result=outcome.result, log=outcome.log)
    assert parsed == outcome


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed"},
        {"status": "running"},
        {"fuel": -1},
        {"fuel": FUEL_MAX + 1},
        {"fuel": None},
        {"error_code": "SANDBOX.RAISED"},
        {"error_message": "text"},
        {"error_line": 1},
    ],
)
def test_near_miss_of_success_is_refused(change: dict[str, Json]) -> None:
    with pytest.raises(SandboxError):
        Outcome.parse(SUCCESS.to_json() | change, result=b"42", log=b"")


@pytest.mark.parametrize(
    "change",
    [
        {"status": "succeeded"},
        {"fuel": FUEL_MAX + 1},
        {"error_code": "SANDBOX.UNKNOWN"},
        {"error_code": None},
        {"error_message": None},
        {"error_message": "x" * (MESSAGE_LENGTH_MAX + 1)},
        {"error_line": 0},
        {"error_line": LINE_MAX + 1},
    ],
)
def test_near_miss_of_failure_is_refused(change: dict[str, Json]) -> None:
    with pytest.raises(SandboxError):
        Outcome.parse(FAILURE.to_json() | change, result=b"", log=b"")


def test_outcome_and_result_must_agree() -> None:
    with pytest.raises(SandboxError):
        Outcome.parse(SUCCESS.to_json(), result=b"", log=b"")
    with pytest.raises(SandboxError):
        Outcome.parse(FAILURE.to_json(), result=b"1", log=b"")


def test_outcome_beyond_bounds_is_refused() -> None:
    with pytest.raises(SandboxError):
        Outcome.parse(SUCCESS.to_json(), result=bytes(OUTPUT_BYTES_MAX + 1), log=b"")
    with pytest.raises(SandboxError):
        Outcome.parse(SUCCESS.to_json(), result=b"1", log=bytes(LOG_BYTES_MAX + 1))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_garbage_outcome_is_refused(value: Json) -> None:
    with pytest.raises(SandboxError):
        Outcome.parse(value, result=b"", log=b"")


def test_bounds_take_what_the_guest_makes() -> None:
    assert console.LOG_BYTES_MAX + len(console.CUT_MARK) <= LOG_BYTES_MAX
    assert execution.MESSAGE_LENGTH_MAX <= MESSAGE_LENGTH_MAX
