"""Entries: their form, their signatures, and what opens the fields they conceal."""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from plain_group import Opening, commit, parse_commitment, parse_opening
from plain_log import WrongError, decode64, demand, sha256, verify_ed25519

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 16


class Kind(NamedTuple):
    """What a statement of one kind has, each as words."""

    roles: str
    fields: str
    private: str = ""


KINDS = {
    "market": Kind("market", "market origin tariff openedAtMs"),
    "account": Kind("account", "account publicKey registeredAtMs"),
    "offer": Kind(
        "provider node",
        "offerId provider node nodeKey name tier jurisdiction ownershipDomain "
        "protections assurance runner engine capacity prices policy publishedAtMs "
        "validUntilMs",
    ),
    "workload": Kind(
        "owner",
        "workloadId owner name workloadKind content royaltyMicrocredits publishedAtMs",
    ),
    "order": Kind(
        "consumer",
        "jobId consumer orderedAtMs",
        "account workload data_policy limits input price_max recipient",
    ),
    "agreement": Kind(
        "market",
        "jobId market consumer provider node order offer attempt tariff holdTransfer "
        "debit credit agreedAtMs acceptanceTimeoutMs",
        "hold decision",
    ),
    "slice": Kind(
        "node consumer",
        "jobId agreement node consumer sequence finishedAtMs",
        "outcome input_digest result_digest",
    ),
    "charge": Kind(
        "market",
        "jobId market agreement slice acceptance holdTransfer postings chargedAtMs",
    ),
    "release": Kind(
        "market",
        "jobId market agreement transferId holdTransfer reason releasedAtMs",
    ),
    "top_up": Kind("market", "market transferId source debit credit toppedUpAtMs"),
    "log_key": Kind(
        "market", "market origin generation before after changedAtMs beforeUntilMs"
    ),
}


class Statement(NamedTuple):
    """An entry whose form and signatures were checked."""

    digest: str
    kind: str
    body: Mapping[str, Any]
    private: Mapping[str, str]
    commitments: Mapping[str, str]
    signed_by: frozenset[str]


def read_statement(entry: bytes) -> Statement:
    """Check an entry by itself."""
    demand(len(entry) <= 65_535, "an entry that is too long")
    document = parse_json(entry)
    demand(canonical(document) == entry, "an entry that is not canonical")
    names = {"kind", "version", "body", "private", "commitments", "signatures"}
    demand(isinstance(document, dict) and set(document) == names, "no statement")
    body, kind = document["body"], KINDS.get(document["kind"])
    demand(kind is not None and document["version"] == 1, "a statement of no kind")
    assert kind is not None
    demand(set(body) == set(kind.fields.split()), "other fields than the kind has")
    demand(
        set(document["private"]) == set(kind.private.split()), "other private fields"
    )
    check_committed_names(document)
    signatures = document.pop("signatures")
    message = b"sixfold/statement/v1\n" + canonical(document)
    roles = [item["role"] for item in signatures]
    due = kind.roles.split()
    is_complete = roles == due or (document["kind"] == "slice" and roles == due[:1])
    demand(is_complete, "signatures of other roles")
    for item in signatures:
        key = decode64(item["key"], 32)
        demand(body[item["role"]] == party_id(body[item["role"]], key), "a wrong key")
        try:
            verify_ed25519(key, decode64(item["signature"], 64), message)
        except Exception as error:
            raise WrongError(f"a wrong signature of the {item['role']}") from error
    return Statement(
        encode64(sha256(entry)),
        document["kind"],
        body,
        document["private"],
        document["commitments"],
        frozenset(roles),
    )


def check_committed_names(document: Any) -> None:
    """Check which numbers a statement commits to; a slice's tariff says more."""
    names = set(document["commitments"])
    if document["kind"] == "slice":
        demand(all(name.startswith("quantity.") for name in names), "other numbers")
    else:
        due = {"amount"} if document["kind"] == "top_up" else set()
        demand(names == due, "other committed numbers than the kind has")


def party_id(like: str, key: bytes) -> str:
    """The id of a key, of the same sort as another id."""
    prefix = like.partition("_")[0]
    demand(prefix in {"acc", "node", "psn"}, "no id of a party")
    digest = sha256(f"sixfold/{prefix}/v1\n".encode(), key)
    return f"{prefix}_{base64.b32encode(digest).decode().lower()[:26]}"


def verify_openings(statement: Statement, openings: Mapping[str, Any]) -> None:
    """Check that openings fit what a statement conceals."""
    for name, opening in openings.items():
        if "blinding" in opening:
            concealed = statement.commitments.get(name)
            fits = concealed == commit(parse_opening(opening))
        else:
            demand(set(opening) == {"salt", "value"}, "no opening")
            decode64(opening["salt"])
            message = canonical([opening["salt"], name, opening["value"]])
            digest = sha256(b"sixfold/opening/v1\n", message)
            fits = statement.private.get(name) == encode64(digest)
        demand(fits, f"an opening of {name} that does not fit")


def read_quantities(openings: Mapping[str, Any]) -> dict[str, Opening]:
    """The opened quantities of a slice, by rating group."""
    return {
        name.removeprefix("quantity."): parse_opening(opening)
        for name, opening in openings.items()
        if name.startswith("quantity.")
    }


def verify_account(order: Statement, opening: Mapping[str, Any]) -> str:
    """Check whose order it is, by its opened field `account`; return the account."""
    shown = opening["value"]
    key = decode64(shown["key"], 32)
    names = [order.body["jobId"], order.body["consumer"]]
    message = b"sixfold/pseudonym/v1\n" + canonical(names)
    try:
        verify_ed25519(key, decode64(shown["signature"], 64), message)
    except Exception as error:
        raise WrongError("an account that has not said so") from error
    return party_id("acc_", key)


def check_points(statement: Statement) -> None:
    """Check that all commitments are what commitments can be."""
    for text in statement.commitments.values():
        parse_commitment(text)


# Canonical JSON


def parse_json(data: bytes) -> Any:
    """Parse JSON as the page allows it."""
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError) as error:
        raise WrongError("no JSON of this kind") from error
    check_json(value, 0)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    demand(len(dict(pairs)) == len(pairs), "a key that appears twice")
    return dict(pairs)


def _refuse(_text: str) -> None:
    raise WrongError("a number that is not whole")


def check_json(value: Any, depth: int) -> None:
    """Check the bounds of integers and of nesting."""
    demand(depth <= DEPTH_MAX, "nested too deep")
    if isinstance(value, int):
        demand(abs(value) <= INTEGER_MAX, "an integer that is too large")
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            check_json(inner, depth + 1)


def canonical(value: Any) -> bytes:
    """The canonical bytes of JSON (RFC 8785, without floating-point numbers)."""
    try:
        return _canonical(value).encode()
    except UnicodeEncodeError as error:
        raise WrongError("half of a character") from error


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        inner = (f"{_canonical(key)}:{_canonical(value[key])}" for key in keys)
        return "{" + ",".join(inner) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def encode64(data: bytes) -> str:
    """Padded base64."""
    return base64.b64encode(data).decode()
