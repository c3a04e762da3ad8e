"""Published workloads: checked when published, priced before they run."""

from functools import lru_cache

from sqlmodel import Session

from enclave_sim.homomorphic.circuit import parse_circuit
from ledger.encoding import Json
from ledger.statements.kinds import WorkloadStatement
from ledger.statements.statement import Statement, verify_signatures
from market.blob_store import check_digest
from market.catalog.models import Workload
from market.errors import InvalidError, NotFoundError
from market.identity.service import require_account
from market.transaction import Transaction

CONTENT_BYTES_MAX = 1 * 2**20
"""A circuit of 4,096 weights is 100 KB."""


def publish_workload(
    transaction: Transaction, statement: Statement, content: bytes
) -> Json:
    """Publish code under its owner's name and price.

    Raises:
        InvalidError: Not a workload statement, or content that does not fit it.
        ForbiddenError: The owner is not registered.
        LedgerError: The signature does not hold, or the circuit is malformed.
    """
    body = statement.body
    if not isinstance(body, WorkloadStatement):
        raise InvalidError("A workload statement is due here.")
    verify_signatures(statement)
    require_account(transaction.session, body.owner)
    check_digest(content, body.content)
    if body.workload_kind != "linear_circuit":
        raise InvalidError("Only linear circuits are published as workloads.")
    parse_circuit(content)
    if transaction.session.get(Workload, body.workload_id) is not None:
        raise InvalidError("This workload id is taken.")
    transaction.session.add(
        Workload(
            workload_id=body.workload_id,
            owner=body.owner,
            name=body.name,
            workload_kind=body.workload_kind,
            content_digest=body.content,
            content=content,
            royalty_microcredits=body.royalty_microcredits,
            entry=statement.entry,
        )
    )
    transaction.record(statement, parties=[body.owner])
    return {"workloadId": body.workload_id}


def find_workload(session: Session, workload_id: str) -> Workload:
    """A published workload.

    Raises:
        NotFoundError: There is none of this id.
    """
    workload = session.get(Workload, workload_id)
    if workload is None:
        raise NotFoundError("There is no such workload.")
    return workload


@lru_cache(maxsize=256)
def circuit_operations(content: bytes, rows: int) -> int:
    """Operations that a circuit costs on this many rows, known before the run."""
    return parse_circuit(content).cost_operations(rows)
