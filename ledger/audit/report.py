"""What an audit found: problems with their places, and what was counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.audit.rule_meanings import MEANINGS
from ledger.audit.rules import Rule
from ledger.audit.timeline import Timeline
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
        return {
            "place": self.place,
            "rule": self.rule,
            "message": self.message,
            "meaning": MEANINGS[self.rule],
        }


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
class Invoice:
    """What one account paid in the charges that were opened, in micro-credits."""

    jobs: int = 0
    total_microcredits: int = 0
    by_payee_microcredits: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Json]:
        """The invoice as plain JSON."""
        return {
            "jobs": self.jobs,
            "totalMicrocredits": self.total_microcredits,
            "byPayeeMicrocredits": dict(sorted(self.by_payee_microcredits.items())),
        }


@dataclass(frozen=True)
class ProvedTotal:
    """A sum over charges that somebody opened, and that holds."""

    place: str
    """Where it was opened."""
    charges: int
    """How many charges it adds up."""
    payee: str | None
    """The account that was paid; None for what was paid in all."""
    amount_microcredits: int

    @property
    def meaning(self) -> str:
        """What is proved, in one sentence."""
        paid = f"paid {self.payee}" if self.payee else "cost"
        return (
            f"{self.place}: {self.charges} charges of this log {paid} "
            f"{self.amount_microcredits} micro-credits together."
        )

    def to_json(self) -> dict[str, Json]:
        """The total as plain JSON."""
        return {
            "place": self.place,
            "charges": self.charges,
            "payee": self.payee,
            "amountMicrocredits": self.amount_microcredits,
        }


@dataclass
class AuditReport:
    """The outcome of one audit, filled while it runs."""

    keys: tuple[str, ...] = ()
    """The verifier keys that all trust hangs on, as text."""
    checkpoint: Checkpoint | None = None
    witnesses: Mapping[str, int] = field(default_factory=dict)
    """Who cosigned the checkpoint and when, in seconds, of those asked for."""
    is_structure_only: bool = False
    """Files and hashes were checked, and no statement was read."""
    earlier: Checkpoint | None = None
    """The older checkpoint that this log was shown to extend."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Statements by kind."""
    timeline: Timeline = field(default_factory=Timeline)
    statements: int = 0
    receipts: int = 0
    """Receipts that verified."""
    opened: int = 0
    """Statements with private fields that were opened."""
    concealed: int = 0
    """Statements with private fields that were not, or not all."""
    charges_rated: int = 0
    """Charges whose amounts follow from commitments and tariff, seen or unseen."""
    charges_computed: int = 0
    """Charges that were computed again from usage and tariff."""
    totals: list[ProvedTotal] = field(default_factory=list)
    """Sums over charges that were opened, and are what the charges come to."""
    invoices: dict[str, Invoice] = field(default_factory=dict)
    """By account, as far as charges and pseudonyms were opened."""
    balances: Mapping[str, AccountBalance] = field(default_factory=dict)
    """Accounts of which every movement was opened."""
    accounts_unknown: int = 0
    """Accounts of which some movement was not."""
    files_not_covered: int = 0
    """Files beside the log's own, which no signature covers."""
    problems: list[Problem] = field(default_factory=list)
    """The first of them."""
    problem_count: int = 0

    def counts(self) -> "AuditReport":
        """The same report without what is known of the log before any of it is read."""
        return replace(self, **_HEAD)

    def resume(self, counts: "AuditReport") -> None:
        """Take over the counts and problems of an earlier report."""
        for name, value in vars(counts).items():
            if name not in _HEAD:
                setattr(self, name, value)

    def add_problem(self, place: str, rule: Rule, message: str) -> None:
        """Take down one breach of a rule."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_KEPT_MAX:
            self.problems.append(Problem(place, rule, message))

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Take down several."""
        for problem in problems:
            self.add_problem(problem.place, problem.rule, problem.message)

    def add_charge(
        self, account: str, total_microcredits: int, by_payee: Mapping[str, int]
    ) -> None:
        """Add a charge that was computed again to its payer's invoice."""
        invoice = self.invoices.setdefault(account, Invoice())
        invoice.jobs += 1
        invoice.total_microcredits += total_microcredits
        invoice.by_payee_microcredits.update(by_payee)

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

    def checked_rows(self) -> list[tuple[str, int]]:
        """What was checked and what was not, for people."""
        return [
            ("statements opened", self.opened),
            ("statements kept private", self.concealed),
            ("charges rated on commitments", self.charges_rated),
            ("charges computed again", self.charges_computed),
            ("totals proved", len(self.totals)),
            ("account balances replayed", len(self.balances)),
            ("accounts not fully opened", self.accounts_unknown),
            ("receipts verified", self.receipts),
            ("files that no signature covers", self.files_not_covered),
        ]

    def to_json(self) -> dict[str, Json]:
        """The whole report as plain JSON."""
        return {
            "ok": self.is_ok,
            "summary": self.summary,
            "logKeys": list(self.keys),
            "checkpoint": _checkpoint_json(self.checkpoint),
            "witnesses": dict(sorted(self.witnesses.items())),
            "earlierCheckpoint": _checkpoint_json(self.earlier),
            "structureOnly": self.is_structure_only,
            "statements": self.statements,
            "kinds": dict(sorted(self.kinds.items())),
            "receipts": self.receipts,
            "opened": self.opened,
            "concealed": self.concealed,
            "chargesRated": self.charges_rated,
            "totals": [total.to_json() for total in self.totals],
            "invoices": {
                account: invoice.to_json()
                for account, invoice in sorted(self.invoices.items())
            },
            "chargesComputed": self.charges_computed,
            "balances": {
                account: balance.to_json()
                for account, balance in sorted(self.balances.items())
            },
            "accountsUnknown": self.accounts_unknown,
            "filesNotCovered": self.files_not_covered,
            "problemCount": self.problem_count,
            "problems": [problem.to_json() for problem in self.problems],
            "timeline": self.timeline.to_json(),
        }


_HEAD: dict[str, Any] = {
    "keys": (),
    "checkpoint": None,
    "witnesses": {},
    "earlier": None,
    "is_structure_only": False,
}


def _checkpoint_json(checkpoint: Checkpoint | None) -> Json:
    if checkpoint is None:
        return None
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": encode_base64(checkpoint.root),
    }
