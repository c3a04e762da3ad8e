"""Laws of the parsers: untrusted bytes raise errors of this package and no others."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enclave_sim.errors import HomomorphicError
from enclave_sim.homomorphic.circuit import LinearCircuit, parse_circuit
from enclave_sim.homomorphic.guard import parse_input, parse_result
from enclave_sim.homomorphic.keys import EncryptedRows
from enclave_sim.homomorphic.message import Kind, Message, parse_message
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192

CIRCUIT = LinearCircuit.from_numbers([[0.5, -2.0, 0.125]], [1.5])
HEADERS = [
    Kind.INPUT.value + b"\x13ckks-linear-8192-v1",
    Kind.RESULT.value + b"\x13ckks-linear-8192-v1" + b"i" * 16,
    b"\x0a\x04\x5e\xa1\x00\x00",
    b"\x0a\x04\x5e\xa1\x00\x00\x1a",
    b'{"bias":["0"],',
    b"",
]
any_bytes = st.builds(bytes.__add__, st.sampled_from(HEADERS), st.binary(max_size=200))
shared = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def swallow_ours(data: bytes) -> None:
    """Give the bytes to every parser; any foreign error fails the test."""
    for parse in (
        parse_circuit,
        lambda data: parse_input(data, CIRCUIT, rows=3),
        lambda data: parse_message(data, Kind.RESULT),
        lambda data: parse_result(
            data, profile=CKKS_LINEAR_8192, message_id=b"i" * 16, blocks=1, outputs=1
        ),
    ):
        try:
            parse(data)
        except HomomorphicError:
            continue


@given(any_bytes)
def test_arbitrary_bytes_raise_only_ours(data: bytes) -> None:
    swallow_ours(data)


@shared
@given(
    cut=st.integers(0, 400_000),
    at=st.integers(0, 400_000) | st.integers(0, 200),
    patch=st.binary(max_size=12),
)
def test_near_right_message_raises_only_ours(
    cut: int, at: int, patch: bytes, encrypted: EncryptedRows
) -> None:
    data = encrypted.message
    swallow_ours(data[:at] + patch + data[at + len(patch) :])
    swallow_ours(data[:cut])
    swallow_ours(data[:at] + patch + data[at:])


@given(at=st.integers(0, 200), patch=st.binary(max_size=12))
def test_near_right_circuit_raises_only_ours(at: int, patch: bytes) -> None:
    data = CIRCUIT.encode()
    swallow_ours(data[:at] + patch + data[at + len(patch) :])


numbers = st.floats(-0.4, 0.4, allow_subnormal=False)


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.tuples(st.lists(numbers, min_size=width, max_size=width), numbers),
            min_size=1,
            max_size=4,
        )
    )
)
def test_circuit_survives_its_bytes(
    outputs: list[tuple[list[float], float]],
) -> None:
    weights = [[*row, 1.0] for row, _ in outputs]
    circuit = LinearCircuit.from_numbers(weights, [bias for _, bias in outputs])
    assert parse_circuit(circuit.encode()) == circuit


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.binary(max_size=9), min_size=width, max_size=width).map(tuple),
            min_size=1,
            max_size=4,
        ).map(tuple)
    ),
    st.sampled_from(Kind),
)
def test_message_survives_its_bytes(
    message_id: bytes, blocks: tuple[tuple[bytes, ...], ...], kind: Kind
) -> None:
    message = Message(kind, CKKS_LINEAR_8192, message_id, blocks)
    assert parse_message(message.encode(), kind) == message
