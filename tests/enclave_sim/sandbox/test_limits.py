import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave_sim.errors import JobError, LimitsError
from enclave_sim.sandbox.limits import (
    ENTRY_LENGTH_MAX,
    FUEL_MAX,
    INPUT_BYTES_MAX,
    MEMORY_BYTES_MAX,
    MEMORY_BYTES_MIN,
    OUTPUT_BYTES_MAX,
    SOURCE_BYTES_MAX,
    TIME_MS_MAX,
    Limits,
    verify_job,
)
from ledger.encoding import Json, canonical_json

BOUNDS = {
    "fuel": (1, FUEL_MAX),
    "memory_bytes": (MEMORY_BYTES_MIN, MEMORY_BYTES_MAX),
    "time_ms": (1, TIME_MS_MAX),
    "output_bytes": (1, OUTPUT_BYTES_MAX),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_limits_keep_their_bounds(name: str) -> None:
    least, most = BOUNDS[name]
    for allowed in (least, most):
        assert getattr(Limits(**{name: allowed}), name) == allowed
    for refused in (least - 1, most + 1):
        with pytest.raises(LimitsError, match=name):
            Limits(**{name: refused})


@pytest.mark.parametrize("value", [True, 1.0, "5", None])
def test_limits_are_integers(value: object) -> None:
    with pytest.raises(LimitsError):
        Limits(fuel=value)  # type: ignore[arg-type]


def test_limits_survive_json() -> None:
    limits = Limits(fuel=5, memory_bytes=2**26, time_ms=7, output_bytes=9)
    assert Limits.parse(limits.to_json()) == limits
    assert canonical_json(limits.to_json()) == (
        b'{"fuel":5,"memory_bytes":67108864,"output_bytes":9,"time_ms":7}'
    )


@pytest.mark.parametrize("change", [{"fuel": None}, {"more": 1}, {"fuel": "1"}])
def test_near_miss_of_limits_is_refused(change: dict[str, Json]) -> None:
    value = Limits().to_json() | change
    with pytest.raises(LimitsError):
        Limits.parse(value)


def test_missing_limit_is_refused() -> None:
    value = Limits().to_json()
    del value["time_ms"]
    with pytest.raises(LimitsError):
        Limits.parse(value)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_garbage_limits_are_refused(value: Json) -> None:
    with pytest.raises(LimitsError):
        Limits.parse(value)


def test_job_of_largest_size_is_taken() -> None:
    verify_job("#" * SOURCE_BYTES_MAX, "f" * ENTRY_LENGTH_MAX, bytes(INPUT_BYTES_MAX))


@pytest.mark.parametrize(
    ("source", "entry", "input_json"),
    [
        ("é" * (SOURCE_BYTES_MAX // 2 + 1), "f", b"[]"),
        ("", "f" * (ENTRY_LENGTH_MAX + 1), b"[]"),
        ("", "f", bytes(INPUT_BYTES_MAX + 1)),
        ("\ud800", "f", b"[]"),
        ("", "\ud800", b"[]"),
    ],
)
def test_job_beyond_bounds_is_refused(
    source: str, entry: str, input_json: bytes
) -> None:
    with pytest.raises(JobError):
        verify_job(source, entry, input_json)
