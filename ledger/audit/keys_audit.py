"""The keys of a log over time, as the log itself has announced them."""

from collections.abc import Sequence

from ledger.audit.errors import RuleError
from ledger.audit.key_rotation import KeyChange, KeyHistory
from ledger.audit.report import AuditReport
from ledger.audit.rules import Rule
from ledger.errors import NoteError
from ledger.log.log_keys import LogKeys, open_checkpoint
from ledger.statements.kinds import LogKeyStatement


def audit_keys(
    keys: LogKeys,
    note: bytes,
    changes: Sequence[tuple[int, LogKeyStatement]],
    report: AuditReport,
) -> KeyHistory:
    """Check that the checkpoint is signed with the keys announced last.

    Args:
        keys: With which the checkpoint was opened.
        note: The checkpoint.
        changes: Of the keys, each with its place in the log, accepted by the history.
        report: Where problems go.

    Returns:
        Which keys count at which size; those given if the announced ones are wrong.
    """
    if not changes:
        return KeyHistory(keys)
    place = f"entry {changes[-1][0]}"
    try:
        history = _follow(keys, changes)
        open_checkpoint(note, history.keys)
    except RuleError as error:
        report.add_problem(place, error.rule, str(error))
    except NoteError as error:
        report.add_problem(
            place,
            Rule.LOG_KEY,
            f"The checkpoint is not signed with the keys that it announces: {error}",
        )
    else:
        return history
    return KeyHistory(keys)


def _follow(
    keys: LogKeys, changes: Sequence[tuple[int, LogKeyStatement]]
) -> KeyHistory:
    """Put the changes together.

    Raises:
        NoteError: One names keys that no log can have.
        RuleError: They do not follow each other, or never had these keys.
    """
    parsed = tuple(
        KeyChange(
            index=index,
            generation=body.generation,
            market=body.market,
            before=LogKeys.parse("\n".join(body.before)),
            after=LogKeys.parse("\n".join(body.after)),
        )
        for index, body in changes
    )
    history = KeyHistory(parsed[-1].after, parsed)
    if keys not in (history.keys, *(change.before for change in parsed)):
        raise RuleError(Rule.LOG_KEY, "The log never had the keys that were given.")
    return history
