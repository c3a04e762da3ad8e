"""Slices: what a node signs about one run (step 9 of the life of a job)."""

from ledger.encoding import Json, decode_base64, sha256_text
from ledger.metering.usage import quantity_fields
from ledger.signing import PrivateKey
from ledger.statements.disclosure import conceal, conceal_numbers, openings_json
from ledger.statements.kinds import SliceStatement
from ledger.statements.statement import make_statement
from sdk.order import statement_json
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
    body = SliceStatement(
        job_id=lease.job_id,
        agreement=lease.agreement,
        node=key.node_id,
        consumer=lease.consumer,
        sequence=0,
        finished_at_ms=now_ms,
    )
    numbers = quantity_fields(run.usage.quantities(), lease.rating_groups)
    record_key = decode_base64(lease.record_key)
    openings = conceal_numbers(numbers, record_key, body.agreement, body.sequence)
    openings |= conceal(
        {
            "outcome": run.outcome,
            "input_digest": run.input_digest,
            "result_digest": sha256_text(run.result),
        }
    )
    statement = make_statement(body, openings).signed_by("node", key)
    return {
        **lease.reference(),
        "slice": statement_json(statement),
        "openings": openings_json(openings),
        "result": payload,
    }
