"""What the market says about a job: one document for every state, read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from pydantic import ConfigDict, Field

from ledger.document import Document, Identifier
from ledger.encoding import Json
from ledger.errors import EncodingError
from sdk.errors import JobRefusedError, MarketAnswerError

State = Literal[
    "refused",
    "placed",
    "leased",
    "attested",
    "sealed",
    "reported",
    "charged",
    "released",
]

MESSAGES = {
    "node_lost": "The node that held the job is gone, and no other may take it.",
    "attempts_exhausted": "Every node that took the job was lost with it.",
    "insufficient_funds": "The job had to be placed again, and the credit is used up.",
}
"""Why the market may give a job up; other reasons are shown by their word."""


class JobOutcome(Document):
    """A job as its consumer sees it; what else the market tells is not needed here."""

    model_config = ConfigDict(extra="ignore")

    job_id: Identifier
    state: State
    attempt: int = Field(ge=0, le=1000)
    reason: str | None = None
    decision: dict[str, Json] = Field(default_factory=dict)
    agreement: dict[str, Json] | None = None
    evidence: dict[str, Json] | None = None
    slice: dict[str, Json] | None = None
    slice_openings: dict[str, Json] | None = None
    result: dict[str, Json] | None = None


def parse_outcomes(answer: object) -> list[JobOutcome]:
    """Read the jobs of an answer.

    Raises:
        MarketAnswerError: They are not in form.
    """
    jobs = answer.get("jobs") if isinstance(answer, dict) else None
    if not isinstance(jobs, list):
        raise MarketAnswerError("An answer about jobs lists them.")
    try:
        return [JobOutcome.from_json(job) for job in jobs]
    except EncodingError as error:
        raise MarketAnswerError(f"A job is not in form: {error}") from error


def refusal_of(outcome: JobOutcome) -> JobRefusedError:
    """Why a job was refused or given up, with every reason for every offer."""
    if outcome.state == "released":
        reason = outcome.reason or "released"
        message = MESSAGES.get(reason, f"The market gave the job up: {reason}.")
        return JobRefusedError(f"JOB.{reason.upper()}", message)
    refusals = read_refusals(outcome.decision)
    if not refusals:
        return JobRefusedError("JOB.NO_OFFER", "There is no node on offer.")
    reasons = "; ".join(
        f"{name}: {' '.join(item.message for item in group)}"
        for name, group in groupby(refusals, key=lambda item: item.offer)
    )
    return JobRefusedError(
        "JOB.NO_OFFER",
        f"No node may or can run this job. {reasons}",
        outcome.decision,
    )


@dataclass(frozen=True)
class OfferRefusal:
    """One reason why one node may or can not run a job."""

    offer: str
    """The offer's name."""
    rule: str
    """Stable word for the rule, such as `sensitivity_floor`."""
    message: str


def read_refusals(decision: Mapping[str, Any]) -> list[OfferRefusal]:
    """All reasons in the record of a decision; what is out of form is left out."""
    refusals = []
    offers = decision.get("offers")
    for offer in offers if isinstance(offers, list) else []:
        match offer:
            case {"name": str(name), "refusals": list(reasons)}:
                for reason in reasons:
                    match reason:
                        case {"rule": str(rule), "message": str(message)}:
                            refusals.append(OfferRefusal(name, rule, message))
    return refusals
