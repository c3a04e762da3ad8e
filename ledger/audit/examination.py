"""What of a bundle can be checked without any other statement, and so in any order.

Form, signatures, commitments and openings of each statement by itself. It is most of
an audit's work, and several processes can share it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ledger.audit.checked_statement import (
    check_commitments,
    check_openings,
    check_signatures,
    read_statement,
)
from ledger.audit.errors import RuleError
from ledger.audit.openings_file import parse_openings_line
from ledger.audit.rules import Rule
from ledger.errors import EncodingError
from ledger.statements.disclosure import Openings
from ledger.statements.statement import Statement

Shown = Mapping[int, Sequence[bytes]]
"""Lines of disclosure files that open an entry, by its place in the bundle."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an entry is no valid statement."""

    rule: Rule
    message: str
    kind: str | None = None
    """Of the statement, if it could be read at all."""


@dataclass(slots=True)
class Examined:
    """What was found in one bundle, by place in it."""

    refused: dict[int, Refusal] = field(default_factory=dict)
    openings: dict[int, Openings] = field(default_factory=dict)
    misfits: list[tuple[int, Rule, str]] = field(default_factory=list)
    """Openings that fit nothing. They show nothing, and the statement stands."""
    kinds: dict[int, str] = field(default_factory=dict)
    """Of those that were not refused."""
    statements: dict[int, Statement] = field(default_factory=dict)
    """The same; left out on the way to another process."""


def examine(entries: Sequence[bytes | None], shown: Shown) -> Examined:
    """Check each entry of a bundle by itself; None stands for one that is not there."""
    found = Examined()
    for offset, entry in enumerate(entries):
        if entry is None:
            continue
        kind = None
        try:
            statement = read_statement(entry)
            kind = statement.kind
            if offset in shown:
                _open(found, offset, statement, shown[offset])
            check_signatures(statement)
            check_commitments(statement)
        except RuleError as error:
            found.refused[offset] = Refusal(error.rule, str(error), kind)
        else:
            found.kinds[offset] = kind
            found.statements[offset] = statement
    return found


def _open(
    found: Examined, offset: int, statement: Statement, lines: Sequence[bytes]
) -> None:
    openings: Openings = {}
    for line in lines:
        try:
            value = parse_openings_line(line).openings
            openings = {**openings, **check_openings(statement, value)}
        except EncodingError:
            message = "The line was changed since the audit began."
            found.misfits.append((offset, Rule.OPENING_FORM, message))
        except RuleError as error:
            found.misfits.append((offset, error.rule, str(error)))
    found.openings[offset] = openings
