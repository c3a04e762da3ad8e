"""What consumer and node must agree on about one run, beside its bytes.

Both compute it from the same order: the limits that the sandbox gets, the launch
record that is measured, and the usage that is charged. If one of them computed
anything else, evidence would be refused, or the slice disputed.
"""

from enclave_sim.channel import OVERHEAD_BYTES, padded_size
from enclave_sim.launch import LaunchRecord, digest_source
from enclave_sim.sandbox.limits import Limits
from ledger.metering.usage import Usage
from ledger.statements.order_terms import JobLimits

LENGTH_BYTES = 4
"""A sealed message begins with the length of what it pads."""

OUTCOME_OVERHEAD_BYTES = 96 * 2**10
"""What a result payload has beside the result: the log (64 KiB), the message of an
error, headers, the enclave's claim and signature, and the padding of these."""


def payload_limit(result_bytes: int) -> int:
    """The most that a result payload can have, for a result of so many bytes.

    Sealing pads by up to an eighth.
    """
    return -(-result_bytes * 9 // 8) + OUTCOME_OVERHEAD_BYTES


def sandbox_limits(limits: JobLimits) -> Limits:
    """The limits of the sandbox for an order's limits.

    An order bounds the result payload, the sandbox what the function returns; the
    latter is the smaller, so that a payload always fits its order.

    Raises:
        LimitsError: No sandbox runs under such limits.
    """
    result_bytes = (limits.output_bytes - OUTCOME_OVERHEAD_BYTES) * 8 // 9
    return Limits(
        fuel=limits.fuel,
        memory_bytes=limits.memory_bytes,
        time_ms=limits.time_ms,
        output_bytes=result_bytes,
    )


def launch_record(
    *, runner: str, source: str, entry: str, limits: JobLimits, engine_id: str
) -> LaunchRecord:
    """Everything that decides what an enclave does for an order.

    Args:
        runner: SHA-384 of the runner component, in hexadecimal.
        source: Text of the source, as ordered.
        entry: The function that is called.
        limits: Of the order.
        engine_id: From `enclave_sim.sandbox.engine`.
    """
    return LaunchRecord(
        runner_sha384=bytes.fromhex(runner),
        source_sha384=digest_source(source),
        entry=entry,
        limits=sandbox_limits(limits),
        engine_id=engine_id,
    )


def sealed_bytes(plaintext_bytes: int) -> int:
    """Size of a sealed message for a plaintext of so many bytes."""
    return padded_size(LENGTH_BYTES + plaintext_bytes) + OVERHEAD_BYTES


def python_usage(
    limits: JobLimits, *, fuel: int, input_bytes: int, result_bytes: int
) -> Usage:
    """What a run of Python source is charged for.

    Args:
        limits: Of the order.
        fuel: As the outcome has it.
        input_bytes: Of the input payload as it was sent (sealed, for an enclave).
        result_bytes: Of the result payload as it is delivered.
    """
    return Usage(
        fuel=fuel,
        memory_limit_bytes=limits.memory_bytes,
        bytes_up=input_bytes,
        bytes_down=result_bytes,
    )


def homomorphic_usage(*, operations: int, input_bytes: int, result_bytes: int) -> Usage:
    """What a homomorphic run of a published circuit is charged for.

    Args:
        operations: As the circuit's `cost_operations` gives for the ordered rows;
            0 if the run failed, and then there is no royalty either.
        input_bytes: Of the input payload.
        result_bytes: Of the result payload.
    """
    return Usage(
        bytes_up=input_bytes,
        bytes_down=result_bytes,
        homomorphic_operations=operations,
        royalty_runs=1 if operations else 0,
    )
