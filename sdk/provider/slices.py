"""Slices: what a node signs about one run (step 9 of the life of a job)."""

from ledger.encoding import Json
from ledger.metering.usage import quantity_fields
from ledger.signing import PrivateKey
from ledger.statements.disclosure import conceal
from ledger.statements.kinds import SliceStatement
from ledger.statements.statement import make_statement
from sdk.order import statement_json
from sdk.payloads import payload_digest
from sdk.provider.executor import Run


def sign_slice(
    run: Run, payload: dict[str, Json], *, key: PrivateKey, now_ms: int
) -> dict[str, Json]:
    """Put a result and the signed slice for it together, as the market takes them.

    Every call gives other bytes, for the salts are fresh: what may have been sent is
    to be sent again as it was.

    Args:
        run: What came of the lease.
        payload: The result as `send_payload` describes it.
        key: The node's.
        now_ms: When the run was over.

    Raises:
        TariffError: The usage is beyond what can be charged.
    """
    lease = run.lease
    openings = conceal(
        {
            **quantity_fields(run.usage.quantities()),
            "outcome": run.outcome,
            "input_digest": run.input_digest,
            "result_digest": payload_digest(run.result),
        }
    )
    body = SliceStatement(
        job_id=lease.job_id,
        agreement=lease.agreement,
        node=key.node_id,
        consumer=lease.consumer,
        sequence=0,
        finished_at_ms=now_ms,
    )
    statement = make_statement(body, openings).signed_by("node", key)
    return {
        **lease.reference(),
        "slice": statement_json(statement),
        "openings": {name: item.to_json() for name, item in openings.items()},
        "result": payload,
    }
