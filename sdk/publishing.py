"""Publishing a workload: its owner is paid for each use."""

from collections.abc import Sequence

from pydantic import ValidationError

from enclave_sim.errors import CircuitError
from enclave_sim.homomorphic.circuit import LinearCircuit
from ledger.document import describe_validation
from ledger.encoding import encode_base64, sha256_text
from ledger.identifiers import new_identifier
from ledger.statements.kinds import WorkloadStatement
from ledger.statements.statement import make_statement
from sdk.errors import InputError
from sdk.order import statement_json
from sdk.session import Session


def publish_circuit(
    session: Session,
    name: str,
    *,
    weights: Sequence[Sequence[float]],
    bias: Sequence[float],
    royalty_microcredits: int,
) -> str:
    """Publish a linear model; see `Market.publish_circuit`.

    Returns:
        The workload's id.

    Raises:
        InputError: The model is no circuit, or name or royalty are out of bounds.
    """
    try:
        content = LinearCircuit.from_numbers(weights, bias).encode()
        body = WorkloadStatement(
            workload_id=new_identifier("work"),
            owner=session.consumer,
            name=name,
            workload_kind="linear_circuit",
            content=sha256_text(content),
            royalty_microcredits=royalty_microcredits,
            published_at_ms=session.now_ms(),
        )
    except CircuitError as error:
        raise InputError(f"The model cannot be published: {error}") from error
    except ValidationError as error:
        raise InputError(f"A workload: {describe_validation(error)}.") from error
    statement = make_statement(body).signed_by("owner", session.key)
    session.transport.post_json(
        "/catalog/v0.1/workloads",
        {"statement": statement_json(statement), "content": encode_base64(content)},
    )
    return body.workload_id
