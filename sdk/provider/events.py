"""What an agent tells whoever watches it. Events carry ids, never payloads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ledger.encoding import Json

EventName = Literal[
    "ready",
    "job",
    "given_up",
    "lost",
    "refused",
    "fault",
    "market_away",
    "market_back",
    "stopping",
]


@dataclass(frozen=True)
class Event:
    """Something that happened on a node.

    | name | when |
    | --- | --- |
    | `ready` | the offer is on the market; jobs may come |
    | `job` | a job ran, and the market has its slice |
    | `given_up` | the node gave a job up; it will be placed again |
    | `lost` | the market has placed a job again, which this node held |
    | `refused` | the market did not take what the node sent |
    | `fault` | a fault of ours; the job, if there was one, was given up |
    | `market_away` | the market cannot be reached; the node tries on |
    | `market_back` | it can be reached again |
    | `stopping` | no more jobs are taken |
    """

    name: EventName
    fields: dict[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The event as one flat object."""
        return {"event": self.name, **self.fields}


Tell = Callable[[Event], None]
"""Takes events from all threads of an agent; must be quick and never raise."""
