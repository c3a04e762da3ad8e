"""Chooses among offers, and records why, so that the choice can be replayed.

First the rules, all of them, for each offer; then the score of those that remain.
The record holds everything the choice depended on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ledger.encoding import Json, canonical_json, sha256_text
from market.placement.rules import Candidate, Refusal, Request, refusals

PRICE_WEIGHT = {"price": 1.0, "balanced": 0.5, "time": 0.0}
"""Weight of the price against the predicted time, by the job's objective."""
PREDICTED_MS_MAX = 2**52
"""A node that says it does nothing per second is as slow as this; records hold it."""


@dataclass(frozen=True)
class Judged:
    """One offer with its verdict: reasons against it, or a predicted time."""

    candidate: Candidate
    refusals: tuple[Refusal, ...]
    predicted_ms: int


@dataclass(frozen=True)
class Decision:
    """The choice among all offers, or none."""

    objective: str
    judged: tuple[Judged, ...]
    chosen: Candidate | None

    def to_json(self) -> dict[str, Json]:
        """The record: each offer with its price, predicted time and refusals."""
        offers: list[Json] = [
            {
                "offerId": item.candidate.offer.offer_id,
                "name": item.candidate.offer.name,
                "node": item.candidate.offer.node,
                "tier": item.candidate.offer.tier,
                "holdMicrocredits": item.candidate.hold_microcredits,
                "predictedMs": item.predicted_ms,
                "jobs": item.candidate.jobs,
                "refusals": [
                    {"rule": refusal.rule, "message": refusal.message}
                    for refusal in item.refusals
                ],
            }
            for item in self.judged
        ]
        chosen = self.chosen.offer.offer_id if self.chosen else None
        return {"objective": self.objective, "chosen": chosen, "offers": offers}

    @cached_property
    def record(self) -> bytes:
        """The record in canonical JSON, as it is kept and hashed."""
        return canonical_json(self.to_json())

    def digest(self) -> str:
        """SHA-256 of the record, which the agreement keeps."""
        return sha256_text(self.record)


def decide(request: Request, candidates: Sequence[Candidate]) -> Decision:
    """Choose the best offer that no rule refuses.

    The score is `w * price / best price + (1 - w) * time / best time`, lower is
    better; equals go to the smaller offer id, so the same record gives the same
    choice.
    """
    objective = request.terms.data_policy.objective
    judged = tuple(
        Judged(
            candidate,
            refusals(request, candidate),
            predict_ms(request, candidate),
        )
        for candidate in sorted(candidates, key=lambda item: item.offer.offer_id)
    )
    return Decision(objective, judged, _best(judged, PRICE_WEIGHT[objective]))


def predict_ms(request: Request, candidate: Candidate) -> int:
    """Predict the time to a result if the job used all of its limits.

    Queue, transfer and work: the jobs already held are taken to be like this one.
    """
    limits, capacity = request.terms.limits, candidate.offer.capacity
    work_ms = 1000 * limits.fuel // max(capacity.fuel_per_s, 1)
    if request.homomorphic_operations:
        rate = max(capacity.homomorphic_operations_per_s, 1)
        work_ms += 1000 * request.homomorphic_operations // rate
    moved_bytes = limits.input_bytes + limits.output_bytes
    moved_ms = 1000 * moved_bytes // max(capacity.link_bytes_per_s, 1)
    queue = 1 + candidate.jobs // capacity.workers
    predicted_ms = capacity.round_trip_ms + moved_ms + max(work_ms, 1) * queue
    return min(predicted_ms, PREDICTED_MS_MAX)


def _best(judged: tuple[Judged, ...], price_weight: float) -> Candidate | None:
    possible = [item for item in judged if not item.refusals]
    if not possible:
        return None
    best_price = max(min(_price(item) for item in possible), 1)
    best_ms = max(min(item.predicted_ms for item in possible), 1)

    def score(item: Judged) -> float:
        price = _price(item) / best_price
        time = item.predicted_ms / best_ms
        return price_weight * price + (1 - price_weight) * time

    return min(possible, key=score).candidate


def _price(item: Judged) -> int:
    price = item.candidate.hold_microcredits
    assert price is not None, "the price rule refuses it"
    return price
