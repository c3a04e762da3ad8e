"""Scores encrypted rows in a process that is made for one message and thrown away.

The native code under TenSEAL has crashed on hostile input before. So a message is
checked here in Python first, and only then scored in a child process with an empty
environment and limits on time and memory. If the child crashes or hangs, the job
fails with a typed error, and the host goes on.
"""

import math
from pathlib import Path
from tempfile import TemporaryDirectory

from enclave_sim.errors import (
    CiphertextError,
    EvaluationError,
    HomomorphicError,
    ProcessError,
    RemoteError,
)
from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.guard import parse_input, parse_result
from enclave_sim.process import ChildProcess, ProcessLimits

ADDRESS_SPACE_BYTES = 2**30
"""Python and SEAL map 0.2 GB, the largest message and its result take 0.4 GB."""

OPEN_FILES = 32
"""One scratch file at a time; the rest is for the interpreter."""

_WORKER = "enclave_sim.homomorphic.evaluator_worker"


def evaluate(
    circuit: LinearCircuit, message: bytes, *, rows: int, timeout_s: float
) -> bytes:
    """Score encrypted rows.

    The provider learns neither rows nor scores. It does not learn either whether all
    columns were encrypted with one key; if they were not, the scores are noise.

    Args:
        circuit: What to compute.
        message: Encrypted rows, as the consumer's key made them.
        rows: How many rows the order says there are; they fix the price.
        timeout_s: Of the whole evaluation; a block of 30 features takes 0.1 s.

    Returns:
        The encrypted scores, for the consumer's key to open.

    Raises:
        MessageError: The message is malformed, or does not fit circuit and rows.
        PrivateContextError: It holds a TenSEAL context with a secret key.
        CiphertextError: A column is garbage or made under other parameters.
        ProfileError: More rows than the profile takes.
        EvaluationError: The child died, took too long, or gave no result.
    """
    checked = parse_input(message, circuit, rows=rows)
    # The folder is ours, so nothing is left behind when the child is killed.
    with TemporaryDirectory(prefix="sixfold-he-") as scratch:
        result = _evaluate_apart(circuit, message, Path(scratch), timeout_s)
    try:
        # A child that hostile input took over must not answer at any length.
        parse_result(
            result,
            profile=circuit.profile,
            message_id=checked.message_id,
            blocks=len(checked.blocks),
            outputs=circuit.outputs,
        )
    except HomomorphicError as error:
        raise EvaluationError("The evaluating process gave no result.") from error
    return result


def _evaluate_apart(
    circuit: LinearCircuit, message: bytes, scratch: Path, timeout_s: float
) -> bytes:
    limits = ProcessLimits(
        cpu_s=math.ceil(timeout_s),
        address_space_bytes=ADDRESS_SPACE_BYTES,
        open_files=OPEN_FILES,
    )
    try:
        with ChildProcess(_WORKER, limits=limits) as child:
            reply = child.call(
                "evaluate",
                {"scratch": str(scratch)},
                circuit.encode(),
                message,
                timeout_s=timeout_s,
            )
    except ProcessError as error:
        if isinstance(error, RemoteError) and error.remote_code == CiphertextError.code:
            raise CiphertextError(str(error)) from error
        raise EvaluationError(f"No result: {error}") from error
    return b"".join(reply.payloads)
