"""What an audit found: problems with their places, and what was counted."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ledger.audit.rules import Rule
from ledger.encoding import Json, encode_base64
from ledger.log.checkpoint import Checkpoint

PROBLEMS_KEPT_MAX = 1000
"""A hostile log can break a rule in each entry; all are counted, these are shown."""

Progress = Callable[[int, int], None]
"""Called with the entries or files done so far, and how many there are in all."""


@dataclass(frozen=True)
class Problem:
    """One breach of one rule."""

    place: str
    """An entry, a tile's path, or a file, as a person looks for it."""
    rule: Rule
    message: str

    def to_json(self) -> dict[str, Json]:
        """The problem as plain JSON."""
        return {"place": self.place, "rule": self.rule, "message": self.message}


@dataclass(frozen=True)
class AccountBalance:
    """An account in micro-credits, replayed from the log and its openings."""

    posted_microcredits: int = 0
    held_microcredits: int = 0

    def to_json(self) -> dict[str, Json]:
        """The balance as plain JSON."""
        return {
            "postedMicrocredits": self.posted_microcredits,
            "heldMicrocredits": self.held_microcredits,
        }


@dataclass
class AuditReport:
    """The outcome of one audit, filled while it runs."""

    key: str | None = None
    """The verifier key that all trust hangs on, as text."""
    checkpoint: Checkpoint | None = None
    earlier: Checkpoint | None = None
    """The older checkpoint that this log was shown to extend."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Statements by kind."""
    statements: int = 0
    receipts: int = 0
    """Receipts that verified."""
    opened: int = 0
    """Statements with private fields that were opened."""
    concealed: int = 0
    """Statements with private fields that were not, or not all."""
    charges_computed: int = 0
    """Charges that were computed again from usage and tariff."""
    balances: Mapping[str, AccountBalance] = field(default_factory=dict)
    """Accounts of which every movement was opened."""
    accounts_unknown: int = 0
    """Accounts of which some movement was not."""
    files_not_covered: int = 0
    """Files beside the log's own, which no signature covers."""
    problems: list[Problem] = field(default_factory=list)
    """The first of them."""
    problem_count: int = 0

    def add_problem(self, place: str, rule: Rule, message: str) -> None:
        """Take down one breach of a rule."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT_MAX:
            self.problems.append(Problem(place, rule, message))

    @property
    def is_ok(self) -> bool:
        """Whether every rule held."""
        return self.problem_count == 0

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        verdict = "ok" if self.is_ok else "FAILED"
        return (
            f"audit: {verdict} ({self.statements} statements, "
            f"{self.receipts} receipts, {self.problem_count} problems)"
        )

    def to_json(self) -> dict[str, Json]:
        """The whole report as plain JSON."""
        return {
            "ok": self.is_ok,
            "summary": self.summary,
            "logKey": self.key,
            "checkpoint": _checkpoint_json(self.checkpoint),
            "earlierCheckpoint": _checkpoint_json(self.earlier),
            "statements": self.statements,
            "kinds": dict(sorted(self.kinds.items())),
            "receipts": self.receipts,
            "opened": self.opened,
            "concealed": self.concealed,
            "chargesComputed": self.charges_computed,
            "balances": {
                account: balance.to_json()
                for account, balance in sorted(self.balances.items())
            },
            "accountsUnknown": self.accounts_unknown,
            "filesNotCovered": self.files_not_covered,
            "problemCount": self.problem_count,
            "problems": [problem.to_json() for problem in self.problems],
        }


def _checkpoint_json(checkpoint: Checkpoint | None) -> Json:
    if checkpoint is None:
        return None
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": encode_base64(checkpoint.root),
    }
