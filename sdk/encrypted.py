"""Scoring under encryption, called as if it ran here.

    scorer = market.scorer(workload_id, sensitivity="restricted", categories=["health"])
    scores = scorer(rows)

The node computes on ciphertexts and sees neither rows nor scores; the key is made for
each job and never leaves this process. That the scores were computed, and by one
linear function, the key's owner can tell (`enclave_sim.homomorphic.canary`); that the
weights are the owner's, nobody can.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from enclave_sim.errors import EnclaveError
from enclave_sim.homomorphic.circuit import LinearCircuit
from enclave_sim.homomorphic.limits import CIPHERTEXTS_MAX, FEATURES_MAX, OUTPUTS_MAX
from enclave_sim.homomorphic.message import MAGIC_BYTES, Kind
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192
from ledger.charging.tariff import RatingGroup, TariffLine
from ledger.encoding import sha256_text
from ledger.statements.order_terms import WorkloadReference
from sdk.errors import (
    ExtraMissingError,
    InputError,
    JobDisputedError,
    JobFailedError,
    UntrustedEvidenceError,
)
from sdk.fulfilment import Fulfilment, take_results
from sdk.options import JobPlan
from sdk.order import Draft, Order, job_limits, sign_order
from sdk.payloads import parse_outcome
from sdk.results import JobResult
from sdk.runs import OUTCOME_OVERHEAD_BYTES, homomorphic_usage
from sdk.session import Session
from sdk.transport import Progress
from sdk.work import Opened

if TYPE_CHECKING:
    from enclave_sim.homomorphic.keys import EncryptedRows, HomomorphicKey

PROFILE = CKKS_LINEAR_8192

TIME_MS = 60_000
"""Twenty times what the largest message takes on a slow node."""

FLYING_MAX = 4
"""Encrypted messages have up to 60 MB; so many are in memory at once."""

_FRAME_BYTES = 1_024
"""What a message of scores has beside its ciphertexts and their lengths."""

Row = Sequence[float]


@dataclass(frozen=True)
class PublishedCircuit:
    """A workload as the market describes it; its weights stay with its owner."""

    workload_id: str
    owner: str
    content: str
    """SHA-256 of the circuit, in base64."""
    royalty_microcredits: int

    @property
    def royalty(self) -> TariffLine:
        """What the owner gets for one run."""
        return TariffLine(
            group=RatingGroup.ROYALTY,
            role="owner",
            payee=self.owner,
            price_microcredits=self.royalty_microcredits,
        )


@dataclass(frozen=True, kw_only=True)
class HomomorphicWork:
    """One message of encrypted rows, and the key that opens its scores."""

    order: Order
    key: "HomomorphicKey"
    encrypted: "EncryptedRows"
    outputs: int

    def seal(self, evidence: bytes, *, attempt: int, now_ms: int) -> bytes:
        """Nothing is ever sealed here: no evidence is due."""
        del evidence, attempt, now_ms
        raise UntrustedEvidenceError("Encrypted scoring has no evidence to show.")

    def open(self, result: bytes, *, attempt: int) -> Opened:
        """Decrypt the scores and check that they were computed from these rows.

        Raises:
            JobDisputedError: They were not; more is not said, for a node that learns
                why could learn of the scores.
        """
        del attempt
        has_scores = result[:MAGIC_BYTES] == Kind.RESULT.value
        value: object = None
        failure = None
        try:
            if has_scores:
                value = self.key.decrypt(result, self.encrypted, outputs=self.outputs)
            else:
                failure = _read_failure(result)
        except EnclaveError as error:
            raise JobDisputedError("result_invalid", str(error)) from error
        return Opened(
            status="succeeded" if has_scores else "failed",
            value=value,
            result_bytes=result,
            log=b"",
            fuel=0,
            usage=homomorphic_usage(
                operations=self.order.draft.operations if has_scores else 0,
                input_bytes=len(self.encrypted.message),
                result_bytes=len(result),
            ),
            input_digest=sha256_text(self.encrypted.message),
            assurance="none",
            failure=failure,
        )


class Scorer:
    """A published circuit, applied to rows that only the caller can read.

    Calls raise the same errors as those of an offloaded function.
    """

    def __init__(
        self,
        circuit: PublishedCircuit,
        plan: JobPlan,
        session: Session,
        *,
        outputs: int,
    ) -> None:
        """Prepare; made by `Market.scorer`.

        Args:
            circuit: What is computed.
            plan: Under which policy, for how much.
            session: Where the jobs are placed.
            outputs: How many scores the circuit gives for each row.

        Raises:
            InputError: No circuit has so many outputs.
        """
        if not 1 <= outputs <= OUTPUTS_MAX:
            raise InputError(f"A circuit has 1 to {OUTPUTS_MAX} outputs.")
        self._circuit = circuit
        self._plan = plan
        self._session = session
        self._outputs = outputs
        self.last_jobs: tuple[JobResult, ...] = ()
        """The jobs of the last call that came to a result, in order."""

    @property
    def last(self) -> JobResult:
        """The last job that came to a result.

        Raises:
            InputError: There is none yet.
        """
        if not self.last_jobs:
            raise InputError("No job of this scorer has come to a result yet.")
        return self.last_jobs[-1]

    def __call__(
        self, rows: Sequence[Row], *, progress: Progress | None = None
    ) -> list[list[float]]:
        """Score rows without showing them to anybody.

        Args:
            rows: Shape (rows, features), numbers within ±1024; standardised features
                use the precision best.
            progress: Told how many jobs have ended, and of how many.

        Returns:
            Shape (rows, outputs), each within 6e-6 of the exact score.

        Raises:
            InputError: The rows cannot be encrypted as they are.
        """
        width = _check_shape(rows)
        size = PROFILE.rows_per_block * (CIPHERTEXTS_MAX // max(width, self._outputs))
        starts = range(0, len(rows), size)
        report = None if progress is None else lambda done: progress(done, len(starts))
        fulfilment = Fulfilment(
            self._session,
            timeout_s=self._plan.timeout_s,
            flying_max=FLYING_MAX,
            ended=report,
        )
        ended = fulfilment.run(self._works(rows, width, starts))
        self.last_jobs = tuple(item for item in ended if isinstance(item, JobResult))
        results = take_results(ended)
        scores = (cast("list[list[float]]", item.value) for item in results)
        return [row for part in scores for row in part]

    def _works(
        self, rows: Sequence[Row], width: int, starts: range
    ) -> Iterator[HomomorphicWork]:
        for start in starts:
            part = rows[start : start + starts.step]
            key = _generate_key()
            try:
                encrypted = key.encrypt(part)
            except EnclaveError as error:
                raise InputError(f"The rows cannot be encrypted: {error}") from error
            order = self._sign(encrypted.message, rows=len(part), features=width)
            yield HomomorphicWork(
                order=order, key=key, encrypted=encrypted, outputs=self._outputs
            )

    def _sign(self, message: bytes, *, rows: int, features: int) -> Order:
        ciphertexts = self._outputs * PROFILE.block_count(rows)
        draft = Draft(
            workload=WorkloadReference(
                kind="linear_circuit",
                content=self._circuit.content,
                workload_id=self._circuit.workload_id,
            ),
            policy=self._plan.policy,
            limits=job_limits(
                time_ms=TIME_MS,
                input_bytes=len(message),
                output_bytes=max(
                    ciphertexts * (PROFILE.result_bytes + 4) + _FRAME_BYTES,
                    OUTCOME_OVERHEAD_BYTES,
                ),
                rows=rows,
            ),
            price_max_microcredits=self._plan.price_max_microcredits,
            input=message,
            operations=_operations(features, self._outputs, rows),
            royalty=self._circuit.royalty,
        )
        return sign_order(draft, key=self._session.key, now_ms=self._session.now_ms())


def _check_shape(rows: Sequence[Row]) -> int:
    if len(rows) == 0:
        raise InputError("There are no rows to score.")
    width = len(rows[0])
    if not 1 <= width <= FEATURES_MAX:
        raise InputError(f"A row has 1 to {FEATURES_MAX} numbers.")
    return width


def _operations(features: int, outputs: int, rows: int) -> int:
    """What a circuit of this shape costs; its weights do not matter for that."""
    shape = LinearCircuit.from_numbers([[0.25] * features] * outputs, [0.0] * outputs)
    return shape.cost_operations(rows)


def _read_failure(result: bytes) -> JobFailedError:
    outcome = parse_outcome(result)
    if outcome.status != "failed":
        raise JobDisputedError("result_invalid", "The result holds no scores.")
    message = f"The node could not score the rows: {outcome.error_message}"
    return JobFailedError(str(outcome.error_code), message)


def _generate_key() -> "HomomorphicKey":
    try:
        from enclave_sim.homomorphic.keys import HomomorphicKey  # noqa: PLC0415 - extra
    except ImportError as error:
        raise ExtraMissingError("Encrypting rows", "provider") from error
    return HomomorphicKey.generate()
