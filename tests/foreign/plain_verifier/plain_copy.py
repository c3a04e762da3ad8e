"""A whole copy: log, statements, openings and receipts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from plain_history import History
from plain_log import (
    Checkpoint,
    Key,
    Keys,
    WrongError,
    demand,
    leaf_hash,
    read_extra,
    read_log_keys,
    root_of,
    verify_log,
    verify_proof,
)
from plain_money import Money
from plain_receipt import verify_receipt
from plain_statements import check_points, parse_json, read_statement


class Result(NamedTuple):
    """How much was checked."""

    entries: int
    charges: int
    receipts: int
    hidden: int


def verify_copy(folder: Path) -> Result:
    """Check all of a copy."""
    given = read_log_keys((folder / "log.vkey").read_text().splitlines())
    checkpoint, entries = verify_log(folder / "log", given)
    opened = read_openings(folder)
    history, money = verify_statements(checkpoint.origin, entries, *opened)
    keys = keys_of(history, given)
    keys.open((folder / "log" / "checkpoint").read_bytes())
    earlier = folder / "checkpoint.earlier"
    if earlier.exists():
        verify_growth(keys.open(earlier.read_bytes()), checkpoint, entries)
    receipts = sorted(folder.glob("receipts/*.tlog-proof"))
    for path in receipts:
        verify_receipt(path.read_bytes(), keys)
    return Result(len(entries), money.charges, len(receipts), money.hidden)


def keys_of(history: History, given: list[Key]) -> Keys:
    """The keys of a log at all times; those that were given must be among them."""
    changes = [(index, read_log_keys(lines)) for index, lines in history.key_changes]
    newest = read_log_keys(history.keys) if history.keys else given
    known = [newest, *(before for _, before in changes)]
    demand(given in known, "keys that the log never had")
    return Keys(newest, changes)


def verify_growth(old: Checkpoint, new: Checkpoint, entries: list[bytes]) -> None:
    """Check that the log has only grown."""
    demand(old.size <= new.size, "the log has shrunk")
    leaves = list(map(leaf_hash, entries[: old.size]))
    demand(root_of(leaves) == old.root, "the log was changed")


def verify_statements(
    origin: str,
    entries: list[bytes],
    openings: dict[str, Mapping[str, Any]],
    totals: list[Mapping[str, Any]],
) -> tuple[History, Money]:
    """Check all statements, in their order, with what is opened of them."""
    history, money = History(origin), Money()
    for index, entry in enumerate(entries):
        try:
            statement = read_statement(entry)
            check_points(statement)
            history.take(index, statement)
            money.take(statement, openings.pop(statement.digest, {}))
        except (KeyError, TypeError, AttributeError, WrongError) as error:
            raise WrongError(f"entry {index}: {error}") from error
    demand(not openings, "openings of entries that are not in the log")
    money.finish()
    for total in totals:
        money.verify_total(total)
    return history, money


def read_openings(
    folder: Path,
) -> tuple[dict[str, Mapping[str, Any]], list[Mapping[str, Any]]]:
    """What was opened of entries, by their digest, and the totals."""
    openings: dict[str, Mapping[str, Any]] = {}
    totals = []
    path = folder / "openings.jsonl"
    for line in path.read_bytes().splitlines() if path.exists() else ():
        opened = parse_json(line)
        if set(opened) == {"total"}:
            totals.append(opened["total"])
            continue
        demand(set(opened) == {"digest", "openings"}, "no line of openings")
        demand(opened["digest"] not in openings, "an entry that is opened twice")
        openings[opened["digest"]] = opened["openings"]
    return openings, totals


def learn_keys(proof: bytes, known: list[Key], market: str) -> list[Key]:
    """The keys after a change, for whoever knows those before it and the market."""
    entry = read_extra(proof)
    verify_proof(proof, entry, Keys(known))
    statement = read_statement(entry)
    demand(statement.kind == "log_key", "no change of keys")
    body = statement.body
    demand(body["market"] == market, "keys from somebody else")
    demand(body["origin"] == known[0].name, "keys of another log")
    demand(body["before"] == [key.text for key in known], "a change of other keys")
    return read_log_keys(body["after"])
